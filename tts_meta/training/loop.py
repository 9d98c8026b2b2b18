"""The steps of a resumable run: a bar, log.jsonl, TensorBoard, a checkpoint every so many seconds and at the end."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

LOG = "log.jsonl"


@dataclass
class Loop:
    """`run` goes from one step to the last; of several ranks the `main` one alone writes.

    `seconds` is the time of all runs together: give what the checkpoint says of the earlier ones. With a `board` the
    numbers of the log also go to FOLDER/tensorboard, as BOARD/NAME.
    """

    folder: Path
    title: str
    save_seconds: float
    main: bool = True
    seconds: float = 0.0
    board: str = ""

    def run(
        self, first: int, last: int, step: Callable[[], dict[str, float]],
        report: Callable[[int, dict[str, float]], dict | None], save: Callable[[float], None],
    ) -> None:
        """From `first` steps done to `last`. `step` does one and returns its numbers; `report(steps done, numbers)` says what
        goes to the log (None: nothing this time); `save(seconds)` keeps a checkpoint."""
        from tqdm import tqdm

        self.folder.mkdir(parents=True, exist_ok=True)
        board = None
        if self.board and self.main:
            from torch.utils.tensorboard import SummaryWriter

            board = SummaryWriter(str(self.folder / "tensorboard"))
        bar = tqdm(total=last, initial=first, desc=self.title, disable=not self.main, mininterval=1)
        saved = time.monotonic()
        begin = saved - self.seconds
        for done in range(first + 1, last + 1):
            numbers = step()
            now = time.monotonic()
            self.seconds = now - begin
            if not self.main:
                continue
            bar.update()
            line = report(done, numbers)
            if line is not None:
                plain = {k: v for k, v in line.items() if isinstance(v, float)}
                bar.set_postfix({k: f"{v:.3g}" for k, v in plain.items()}, refresh=False)
                with open(self.folder / LOG, "a", encoding="utf-8") as f:
                    f.write(json.dumps({"step": done, "seconds": round(self.seconds, 2), **line}) + "\n")
                for k, v in plain.items():
                    if board:
                        board.add_scalar(f"{self.board}/{k}", v, done)
            if now - saved > self.save_seconds or done == last:
                save(self.seconds)
                saved = now
        bar.close()
        if board:
            board.close()

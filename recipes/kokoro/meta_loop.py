"""Meta-training that is kept as it goes: `state.safetensors`, from which it resumes, and `log.jsonl`, a row a meta-step."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tts_meta.audio.files import replace_file
from tts_meta.meta.trainer import MetaTrainer
from tts_meta.training.checkpoint import load_checkpoint, save_checkpoint


def resume(trainer: MetaTrainer, out: Path, settings: dict[str, Any]) -> None:
    """Go on from what `out` holds, if it holds something; what was logged after that state is met again, so it leaves the log.
    Raises SystemExit where that is of other settings."""
    kept, log = out / "state.safetensors", out / "log.jsonl"
    if not kept.exists():
        return
    tensors, found = load_checkpoint(kept)
    if found != settings:
        raise SystemExit(f"{kept} is of other settings; give another --out.")
    trainer.restore(tensors)
    if log.exists() and not trainer.rank:
        rows = [r for r in log.read_text().splitlines() if json.loads(r)["step"] <= trainer.step_count]
        replace_file(log, "".join(f"{r}\n" for r in rows).encode())


def meta_train(
    trainer: MetaTrainer, out: Path, settings: dict[str, Any], steps: int, minutes: float, every: int,
    more: Callable[[], dict[str, Any]], keep: Callable[[dict[str, Any]], None],
) -> None:
    """To `steps` meta-steps, or for so many `minutes`. A row of the log has `more` beside the trainer's metrics; every so many
    meta-steps, and after the last, the state is kept, and `keep(row)` called to write what others read."""
    resume(trainer, out, settings)
    out.mkdir(parents=True, exist_ok=True)
    started = time.time()
    while trainer.step_count < steps and time.time() - started < 60 * minutes:
        metrics = trainer.step()
        if trainer.rank:
            continue
        row = {"step": trainer.step_count, "seconds": round(time.time() - started)} | {k: round(v, 2) for k, v in metrics.items()}
        with open(out / "log.jsonl", "a") as f:
            f.write(json.dumps(row | more()) + "\n")
        if trainer.step_count % every == 0 or trainer.step_count == steps:
            save_checkpoint(out / "state.safetensors", trainer.tensors(), settings)
            keep(row)

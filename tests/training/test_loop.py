"""The one loop of all trainers: what it writes, when it keeps, and that a second run goes on where the first stopped."""

from __future__ import annotations

import json

from tests.conftest import ROOT
from tts_meta.training.loop import LOG, Loop


def lines(folder) -> list[dict]:
    return [json.loads(line) for line in (folder / LOG).read_text().splitlines()]


def test_a_run_logs_what_it_is_told_and_keeps_at_the_end(tmp_path):
    kept: list[float] = []
    loop = Loop(tmp_path, "t", 1e9, seconds=100.0)
    asked = []
    loop.run(2, 5, lambda: {"loss": 0.5}, lambda n, x: asked.append(n) or ({**x, "more": [n]} if n != 4 else None), kept.append)
    assert asked == [3, 4, 5] and [row.pop("seconds") >= 100.0 for row in lines(tmp_path)] == [True, True]
    assert [(row["step"], row["loss"], row["more"]) for row in lines(tmp_path)] == [(3, 0.5, [3]), (5, 0.5, [5])]
    assert kept == [loop.seconds] and loop.seconds >= 100.0, "once, at the last step, with the time of the earlier runs"
    assert not (tmp_path / "tensorboard").exists()


def test_a_checkpoint_is_due_after_its_seconds_and_the_board_has_the_numbers(tmp_path):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    kept: list[float] = []
    Loop(tmp_path, "t", -1.0, board="phase").run(0, 3, lambda: {"loss": 0.25}, lambda n, x: {**x, "names": {}}, kept.append)
    assert len(kept) == 3 and kept == sorted(kept)
    board = EventAccumulator(str(tmp_path / "tensorboard")).Reload()
    assert [(e.step, e.value) for e in board.Scalars("phase/loss")] == [(1, 0.25), (2, 0.25), (3, 0.25)]
    assert board.Tags()["scalars"] == ["phase/loss"]


def test_other_ranks_step_and_write_nothing(tmp_path):
    done: list[int] = []

    def never(*_: object) -> None:
        raise AssertionError("only the main rank reports and keeps")

    Loop(tmp_path, "t", 0.0, main=False, board="phase").run(0, 4, lambda: done.append(1) or {}, never, never)
    assert len(done) == 4 and not list(tmp_path.iterdir())


def test_a_finished_run_does_nothing(tmp_path):
    Loop(tmp_path, "t", 0.0).run(7, 7, lambda: 1 / 0, lambda n, x: x, lambda s: 1 / 0)
    assert not (tmp_path / LOG).exists()


def test_no_trainer_has_a_loop_of_its_own():
    for path in (ROOT / "tts_meta" / "training").rglob("*.py"):
        own = [word for word in ("SummaryWriter", "while trainer", '"a") as') if word in path.read_text()]
        assert not own or path.name == "loop.py", (path, own)

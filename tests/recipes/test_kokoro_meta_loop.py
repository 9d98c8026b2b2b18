"""Meta-training that was stopped goes on as if it had not been, and another run's state is refused."""

import json
import sys

import pytest
import torch

from tests.conftest import ROOT
from tts_meta.meta.hypergrad.base import MetaGrads
from tts_meta.meta.outer import Group
from tts_meta.meta.trainer import MetaTrainer

sys.path.insert(0, str(ROOT / "recipes" / "kokoro"))
from meta_loop import meta_train  # noqa: E402


class Pulled:
    def meta_grads(self, state, episodes, rngs):
        return MetaGrads({"phi/x": state["phi/x"] - episodes}, 1, {"query_loss": float(state["phi/x"].sum())})


def trainer(until: int = 7) -> MetaTrainer:
    groups = {"phi": Group("phi/*", lambda t: torch.optim.Adam(t, lr=0.1))}
    return MetaTrainer(Pulled(), {"phi/x": torch.zeros(2)}, lambda step, at: torch.tensor([1.0, step]), groups, 1, 1, until)


def run(out, steps, settings=None, found=None):
    made, kept = found or trainer(), []
    meta_train(made, out, settings or {"of": "x"}, steps, 1e9, 3, lambda: {"x": round(float(made.phi["x"][0]), 4)}, kept.append)
    return made, kept


def rows(out):
    return [{k: v for k, v in json.loads(r).items() if k != "seconds"} for r in (out / "log.jsonl").read_text().splitlines()]


def test_a_stopped_run_ends_as_one_that_was_not(tmp_path):
    whole, kept = run(tmp_path / "whole", 7)
    assert [r["step"] for r in kept] == [3, 6, 7] and [r["step"] for r in rows(tmp_path / "whole")] == list(range(1, 8))

    class Killed(Exception):
        pass

    dying = trainer()
    step = dying.step

    def dies():
        if dying.step_count == 5:
            raise Killed
        return step()

    dying.step = dies
    with pytest.raises(Killed):
        run(tmp_path / "half", 7, found=dying)
    assert [r["step"] for r in rows(tmp_path / "half")] == [1, 2, 3, 4, 5]
    again, kept = run(tmp_path / "half", 7)
    assert torch.equal(again.phi["x"], whole.phi["x"]) and [r["step"] for r in kept] == [6, 7]
    assert rows(tmp_path / "half") == rows(tmp_path / "whole")  # what was met again stands there once


def test_a_state_of_other_settings_is_refused(tmp_path):
    run(tmp_path, 3)
    with pytest.raises(SystemExit, match="of other settings; give another --out"):
        run(tmp_path, 7, {"of": "y"})

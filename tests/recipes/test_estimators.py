"""Estimators of sigma's gradient beside the unrolled one: on a quadratic whose inner loop converges the implicit one is exact."""

from __future__ import annotations

import json
import runpy

import pytest
import torch

from tests.conftest import ROOT
from tests.recipes.running import recipe

RECIPE = ROOT / "recipes" / "validation" / "estimators.py"


def test_a_run_is_measured_and_the_implicit_gradient_is_the_unrolled_one(tmp_path):
    run = tmp_path / "linear"
    made = recipe("recipes/train.py", "algorithm=sigma_reptile_implicit", "domain=hierarchical_gaussian", f"run={run}",
                  "meta_steps=3", "tasks=4", "test.tasks=4", "inner.sigma.steps=20")
    assert made.returncode == 0, made.stderr
    done = recipe("recipes/validation/estimators.py", str(run), "--tasks", "3", "--scales", "1", "--longer", "20", "--out",
                  str(tmp_path))
    assert done.returncode == 0, done.stderr
    rows = {(r["steps"], r["method"]): r for r in json.loads((tmp_path / "estimators.json").read_text())}
    assert {s for s, _ in rows} == {20, 400} and (tmp_path / "estimators.png").stat().st_size > 1000
    assert rows[400, "unrolled"]["bias"] == 0
    assert rows[400, "implicit, 30 CG steps"]["bias"] < 0.1 < rows[400, "first_order"]["bias"]
    assert rows[400, "implicit, 30 CG steps"]["cosine"] > 0.99
    table = (tmp_path / "estimators").with_suffix(".md").read_text()
    assert table == done.stdout and table.count("first_order") == 2


def test_bias_spread_and_signs_are_what_they_say(monkeypatch):
    monkeypatch.syspath_prepend(str(RECIPE.parent))
    compared = runpy.run_path(str(RECIPE))["compared"]
    truth = torch.tensor([[3.0, 3.0], [3.0, 5.0]]).double()  # mean 3, 4
    found = compared(torch.tensor([[3.0, -4.0], [5.0, -4.0]]).double(), truth)  # mean 4, -4
    assert found == pytest.approx({
        "bias": 65**0.5 / 5, "spread": 2**0.5 / 5, "right_sign": 3 / 7, "cosine": (12 - 16) / 5 / 32**0.5, "signal": 4.0,
    })

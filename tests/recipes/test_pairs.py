"""Differences between ways of adapting are taken person by person, of the people whom all have cloned."""

import sys

import numpy as np
import pytest

from tests.conftest import ROOT

sys.path.insert(0, str(ROOT / "recipes"))
from shared.pairs import interval, paired, scores  # noqa: E402


def cell(position: float, wer: float = 0.0) -> dict:
    return {"sounds": {"120": {"position": position, "p808": 0.1, "distillmos": -0.2, "wer": wer}}}


def test_people_whom_one_has_not_cloned_are_in_no_mean():
    grid = {f"sigma_reptile|{p}|300": cell(x) for p, x in (("a", 0.8), ("b", 1.0), ("c", 9.0))}
    more = {"lora|a|120": cell(0.9, 0.02), "lora|b|120": cell(1.2), "sigma_reptile|a|120": cell(7.0)}
    _, _, ours, theirs = paired(scores(grid, more), ["lora"]).splitlines()
    assert ours == "| sigma_reptile | 2 | 0.90 | +0.10 | -0.20 | 0.0 |"
    assert theirs.startswith("| lora, less that | 2 | +0.15 [+0.10, +0.20] | +0.00 [+0.00, +0.00] |")
    assert theirs.endswith("| +1.0 [+0.0, +2.0] |")


def test_the_interval_is_that_of_a_mean():
    rng = np.random.default_rng(1)
    low, high = interval(rng.normal(0.5, 1.0, 400))
    assert high - low == pytest.approx(2 * 1.96 / 20, rel=0.15) and low < 0.5 < high

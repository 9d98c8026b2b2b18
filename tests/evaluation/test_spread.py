"""How much a voice varies, against the recordings."""

import numpy as np
import pytest

from tts_meta.evaluation.evaluate import disagreement
from tts_meta.evaluation.spread import pitch_ratios, spread_ratios


def test_half_as_lively_is_a_half_and_flat_is_nothing():
    mel = np.random.default_rng(0).normal(-5, 2, (400, 80))
    flat = np.repeat(mel.mean(0, keepdims=True), 400, 0)
    halved = flat + 0.5 * (mel - flat)
    assert spread_ratios([halved], [mel]) == pytest.approx({"1-8": 0.5, "9-20": 0.5, "21-40": 0.5})
    assert max(spread_ratios([flat], [mel]).values()) < 1e-6
    # Smoothed over the bands it keeps its colour and loses its fine structure.
    smooth = np.stack([np.convolve(row, np.ones(7) / 7, "same") for row in mel])
    found = spread_ratios([smooth], [mel])
    assert found["21-40"] < 0.5 * found["1-8"]


def test_pitch_is_compared_where_it_is_voiced():
    f0 = np.where(np.arange(200) % 5 == 0, 0.0, 120 * np.exp(0.2 * np.sin(np.arange(200))))
    higher = np.where(f0 > 0, 180 * (f0 / 120) ** 0.5, 0.0)
    mean, spread = pitch_ratios([higher], [f0])
    assert mean == pytest.approx(1.5, rel=0.01) and spread == pytest.approx(0.5)
    assert pitch_ratios([np.zeros(9)], [f0]) is None


def test_predictors_that_disagree_are_told():
    def m(first, second):
        return {"p808": {"clone": first, "vocoded": 3.7}, "distillmos": {"clone": second, "vocoded": 4.0}}

    assert "P.808 gives it +0.20, distillmos -0.50" in disagreement(m(3.9, 3.5))
    assert disagreement(m(3.9, 4.2)) == disagreement(m(3.75, 3.5)) == disagreement(m(3.9, None)) == ""
    assert disagreement({"p808": {}}) == ""

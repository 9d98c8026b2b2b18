"""What a clone is beside recordings that it has not learned from, and what a judge likes in both."""

import runpy
from dataclasses import replace

import numpy as np
import pytest

from tests.conftest import EXAMPLES, ROOT
from tts_meta.clips.checkup import check_clips
from tts_meta.clips.prepared_clips import prepare
from tts_meta.clips.transcripts import complete_transcripts, find_clips
from tts_meta.nets.cepstra import cepstral_basis
from tts_meta.speaking.synthesize import Synthesizer
from tts_meta.starters.kokoro_starter import load_kokoro


@pytest.fixture(scope="module")
def fit():
    return runpy.run_path(str(ROOT / "recipes" / "kokoro" / "fit.py"))


@pytest.fixture(scope="module")
def contrast():
    return runpy.run_path(str(ROOT / "recipes" / "kokoro" / "contrast.py"))


@pytest.fixture
def mel():
    return (np.random.default_rng(0).normal(size=(200, 80)) * 2 - 5).astype(np.float32)


def test_spread_is_that_of_its_cepstra(fit, mel):
    basis = cepstral_basis(80, 80).numpy()
    factors = np.ones(80)
    factors[1:9], factors[9:21], factors[21:41] = 2, 3, 0.5
    cepstra = mel @ basis.T
    other = ((cepstra - cepstra.mean(0)) * factors + cepstra.mean(0)) @ basis
    before, after = fit["spreads"](mel), fit["spreads"](other)
    assert {k: after[k] / before[k] for k in before} == pytest.approx({"1-8": 2, "9-20": 3, "21-40": 0.5}, rel=1e-4)


def test_what_is_recorded_matches_itself_and_what_is_another_does_not(fit):
    """The mel that a voice makes of a recording's prosody, given as the recording, is met by it exactly."""
    kokoro = load_kokoro()
    clips = find_clips([EXAMPLES / "clips"])[:4]
    items = [c.item for c in prepare(check_clips(clips, complete_transcripts(clips, None, print), kokoro).require(), kokoro)]
    voice = Synthesizer(kokoro)
    as_made = [replace(i, mel=fit["made"](voice, i, "dfe")[0], f0=fit["made"](voice, i, "d")[1]) for i in items]
    found = fit["match"](voice, as_made)
    assert found["f0_spread"] == 1 and found["voicing"] == 0
    again = [replace(i, f0=a.f0) for i, a in zip(as_made, items, strict=True)]
    exact = fit["match"](voice, again)
    assert exact["l1"] == 0 and [exact[k] for k in ("1-8", "9-20", "21-40")] == [1, 1, 1]
    real = fit["match"](voice, items)
    assert real["l1"] > 0.3 and 0 < real["voicing"] < real["voicing_drawn"] < 0.5


def test_contrast_moves_spectra_from_their_mean_and_leaves_levels(contrast, mel):
    found = contrast["contrasted"](mel, 1.3)
    shape, new = (m - m.mean(1, keepdims=True) for m in (mel, found))
    np.testing.assert_allclose(new - new.mean(0), 1.3 * (shape - shape.mean(0)), atol=1e-4)
    np.testing.assert_allclose(found.mean(1), mel.mean(1), atol=1e-4)
    np.testing.assert_allclose(found.mean(0), mel.mean(0), atol=1e-4)
    np.testing.assert_allclose(contrast["contrasted"](mel, 1.0), mel, atol=1e-5)

"""Faster speech keeps its pitch, its level and its length's promise."""

from __future__ import annotations

import numpy as np
import pytest
import soundfile

from tests.conftest import EXAMPLES
from tts_meta.audio.pitch import f0_at_frames
from tts_meta.audio.tempo import change_tempo


@pytest.mark.parametrize("factor", [0.7, 1.0, 1.5, 2.0, 4.0])
def test_a_tone_keeps_its_pitch_and_level(factor):
    rate = 22050
    tone = (0.3 * np.sin(2 * np.pi * 150 * np.arange(rate * 2) / rate)).astype(np.float32)
    out = change_tempo(tone, rate, factor)
    assert len(out) == pytest.approx(len(tone) / factor, abs=2)
    inner = out[rate // 10 : -rate // 10]
    assert np.sqrt((inner**2).mean()) == pytest.approx(0.3 / np.sqrt(2), rel=0.03)
    crossings = np.count_nonzero((inner[:-1] < 0) & (inner[1:] >= 0)) / (len(inner) / rate)
    assert crossings == pytest.approx(150, rel=0.02)


def test_speech_keeps_its_melody():
    samples, rate = soundfile.read(EXAMPLES / "clips" / "p225_003.flac", dtype="float32")
    fast = change_tempo(samples, rate, 1.6)

    def melody(x):
        f0 = f0_at_frames(x, rate, len(x) // 256)
        return np.median(f0[f0 > 0])

    assert melody(fast) == pytest.approx(melody(samples), rel=0.05)

"""Faster speech keeps its pitch, its level and its length's promise."""

from __future__ import annotations

import numpy as np
import pytest
import soundfile

from tests.conftest import EXAMPLES
from tts_meta.audio.pitch import f0_at_frames
from tts_meta.audio.tempo import change_tempo, schedule


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


def test_pauses_give_more_of_the_time_than_speech():
    rate = 22050
    tone = 0.3 * np.sin(2 * np.pi * 150 * np.arange(rate) / rate)
    samples = np.concatenate([np.zeros(rate // 2), tone, np.zeros(rate // 2)]).astype(np.float32)
    fast = change_tempo(samples, rate, 2.0)
    assert len(fast) == rate
    sounding = float((np.abs(fast) > 0.05).sum() / (np.abs(samples) > 0.05).sum())
    assert 0.65 < sounding < 0.85, sounding  # half of it, if the pauses were speech
    edges, sources = schedule(samples, rate, 2.0)
    assert edges[-1] == pytest.approx(rate) and sources[-1] == 2 * rate and (np.diff(edges) > 0).all()
    even, _ = schedule(tone, rate, 3.0)
    assert np.ptp(np.diff(even)) < 1e-6 and even[-1] == pytest.approx(rate / 3)

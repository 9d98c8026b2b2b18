"""Noise under speech goes, the speech stays where it is and as it is."""

import sys

import numpy as np
import pytest

from tests.conftest import EXAMPLES
from tts_meta.audio.activity import speech_spans
from tts_meta.audio.denoise import without_noise
from tts_meta.audio.files import read_audio, resample
from tts_meta.audio.measures import signal_to_noise
from tts_meta.clips.checkup import check_clips
from tts_meta.clips.transcripts import find_clips, find_transcripts


@pytest.fixture(scope="module")
def clip():
    return read_audio(find_clips([EXAMPLES / "clips"])[1])


def beside_noise(samples: np.ndarray, db: float) -> np.ndarray:
    noise = np.random.default_rng(0).normal(size=len(samples))
    return (samples + noise * samples.std() * 10 ** (-db / 20)).astype(np.float32)


@pytest.mark.parametrize("rate", [16000, 24000, 44100])
@pytest.mark.parametrize("level", [1.0, 0.05])
def test_pauses_are_quieter_and_speech_is_on_its_place(clip, rate, level):
    x = level * resample(*clip, rate)
    noisy = beside_noise(x, 15)
    quiet = without_noise(noisy, rate)
    assert quiet.shape == x.shape and quiet.dtype == np.float32
    spans = speech_spans(x, rate)
    assert signal_to_noise(quiet, rate, spans) > signal_to_noise(noisy, rate, spans) + 12
    a, b = int(spans[0][0] * rate), int(spans[-1][1] * rate)
    lags = range(-rate // 50, rate // 50 + 1, max(1, rate // 8000))  # 20 ms to both sides
    likeness = [np.corrcoef(x[a:b], np.roll(quiet, -d)[a:b])[0, 1] for d in lags]
    assert abs(lags[int(np.argmax(likeness))]) <= rate // 8000 and max(likeness) > 0.9


def test_a_quiet_recording_is_treated_as_a_loud_one(clip):
    noisy = beside_noise(clip[0], 15)
    loud = without_noise(noisy, clip[1])
    assert np.allclose(without_noise(noisy * np.float32(0.001), clip[1]) * 1000, loud, atol=1e-3 * np.abs(loud).max())


def test_no_sample_and_silence(clip):
    assert without_noise(np.zeros(0, dtype=np.float32), 24000).shape == (0,)
    assert not without_noise(np.zeros(1000, dtype=np.float32), 24000).any()


def test_a_noisy_clip_is_learned_from_without_its_noise(clip, tmp_path, starter, monkeypatch):
    import soundfile

    paths = find_clips([EXAMPLES / "clips"])[1:3]
    texts = find_transcripts(paths, None)
    noisy = tmp_path / "noisy.wav"
    x, rate = clip
    soundfile.write(noisy, np.clip(beside_noise(x, 15), -1, 1), rate)

    def checked():
        return check_clips([noisy, paths[1]], {noisy: texts[paths[0]], paths[1]: texts[paths[1]]}, starter).clips

    first, second = checked()
    assert first.used and "was lowered" in first.findings[0].sentence and first.findings[0].about == "noise"
    assert not second.findings and np.array_equal(second.samples, read_audio(paths[1])[0])
    heard, _ = read_audio(noisy)
    spans = speech_spans(x, rate)
    assert signal_to_noise(first.samples, rate, spans) > signal_to_noise(heard, rate, spans) + 12
    # Without the package the clip is taken as it is; this much noise hides its words.
    monkeypatch.setitem(sys.modules, "pyrnnoise", None)
    first, _ = checked()
    assert "lowered" not in first.findings[0].sentence and np.array_equal(first.samples, heard) and not first.used

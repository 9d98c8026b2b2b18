"""The speaker encoder without its package's imports, against the package itself."""

from __future__ import annotations

import subprocess
import sys
import warnings

import librosa
import numpy as np
import pytest

from tests.conftest import EXAMPLES, ROOT
from tts_meta.audio.files import read_audio, resample
from tts_meta.measures import ge2e
from tts_meta.measures.similarity import embed


@pytest.fixture(scope="module")
def theirs():
    with warnings.catch_warnings():  # webrtcvad's import of pkg_resources tells users to mend what they cannot
        warnings.simplefilter("ignore")
        import resemblyzer
    return resemblyzer


def sounds():
    """Recordings as they are, quiet, loud, with a long pause, in noise, and of lengths about one partial utterance."""
    rng = np.random.default_rng(0)
    hers = [resample(*read_audio(p), ge2e.RATE) for p in sorted((EXAMPLES / "clips").glob("*.flac"))[:3]]
    yield from hers
    yield 0.01 * hers[0]
    yield np.clip(8 * hers[1], -1, 1)
    yield np.concatenate([hers[0], np.zeros(5 * ge2e.RATE, np.float32), hers[1]])
    yield (hers[0] + rng.normal(0, 0.05, len(hers[0]))).astype(np.float32)
    for length in (1600, 20_000, 25_599, 25_600, 31_000, 44_800, 60_000):
        yield np.resize(hers[2], length)


def test_what_it_hears_is_the_packages(theirs):
    for wave in sounds():
        speech = theirs.preprocess_wav(wave)
        assert np.array_equal(ge2e.without_silence(wave), speech)
        mel = theirs.audio.wav_to_mel_spectrogram(speech if len(speech) else wave)
        assert np.abs(ge2e.mel_power(speech if len(speech) else wave).numpy() - mel).max() < 1e-6 * mel.max()
        slices = theirs.VoiceEncoder.compute_partial_slices(len(speech), 1.3, 0.75)[1]
        assert ge2e.partial_starts(len(speech)) == [s.start for s in slices]


def test_what_it_says_is_the_packages(theirs):
    encoder = theirs.VoiceEncoder("cpu", verbose=False)
    for wave in sounds():
        speech = theirs.preprocess_wav(wave)
        expected = encoder.embed_utterance(speech if len(speech) >= 1600 else wave)
        assert np.abs(embed(wave, ge2e.RATE) - expected).max() < 1e-5
    path = sorted((EXAMPLES / "clips").glob("*.flac"))[3]
    samples, rate = read_audio(path)
    expected = encoder.embed_utterance(theirs.preprocess_wav(resample(samples, rate, 16000)))
    found = embed(samples, rate)
    assert rate != 16000 and np.abs(found - expected).max() < 1e-5
    assert found.dtype == np.float32 and found.shape == (256,) and np.linalg.norm(found) == pytest.approx(1)


def test_the_filter_bank_is_librosas():
    bands = librosa.filters.mel(sr=ge2e.RATE, n_fft=ge2e.N_FFT, n_mels=ge2e.BANDS)
    assert np.abs(ge2e._basis()[0].numpy() - bands).max() < 1e-7 * bands.max()


def test_silence_and_too_little_are_embedded_as_they_are():
    rng = np.random.default_rng(0)
    for wave in (np.zeros(16_000, np.float32), rng.normal(0, 0.1, 400).astype(np.float32), np.zeros(0, np.float32)):
        assert np.linalg.norm(embed(wave, 16000)) == pytest.approx(1)


def test_neither_librosa_nor_scipy_is_imported_to_adapt_and_to_measure_likeness():
    """Two to four seconds of every clone."""
    code = ("import sys, numpy, tts_meta.jobs.job_work, tts_meta.clips.checkup, tts_meta.kokoro.clips as k\n"
            "from tts_meta.measures.similarity import embed; embed(numpy.ones(9000), 16000)\n"
            "k.frame_energy(numpy.ones(9000, numpy.float32), 24000)\n"
            "print(sorted({'librosa', 'scipy', 'numba', 'resemblyzer', 'pkg_resources'} & set(sys.modules)))")
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"

"""Audio: mel against librosa, codecs, trimming margins, loudness, F0, atomic writes."""

from __future__ import annotations

import sys
import threading
import time

import librosa
import numpy as np
import pytest
import soundfile

from tests.conftest import EXAMPLES, Unloadable
from tts_meta.audio.activity import speech_spans, trim_to_speech
from tts_meta.audio.files import read_audio, replace_file, resample
from tts_meta.audio.loudness import normalise_loudness
from tts_meta.audio.mel import HOP, N_FFT, SAMPLE_RATE, log_mel
from tts_meta.audio.pitch import f0_at_frames
from tts_meta.audio.vocoder import HiFiGan
from tts_meta.errors import InputError

CLIP = EXAMPLES / "clips" / "p225_002.flac"


def speech() -> np.ndarray:
    samples, rate = read_audio(CLIP)
    return resample(samples, rate, SAMPLE_RATE)


def test_mel_equals_librosa():
    x = speech()
    pad = (N_FFT - HOP) // 2
    spectrum = np.abs(librosa.stft(np.pad(x, pad, mode="reflect"), n_fft=N_FFT, hop_length=HOP, center=False))
    basis = librosa.filters.mel(sr=SAMPLE_RATE, n_fft=N_FFT, n_mels=80, fmin=0, fmax=8000)
    expected = np.log(np.maximum(basis @ np.sqrt(spectrum**2 + 1e-9), 1e-5)).T
    found = log_mel(x)
    assert found.shape == (len(x) // HOP, 80)
    assert np.abs(found - expected).max() < 2e-3


@pytest.mark.parametrize("name, kind", [
    ("a.wav", None), ("a.flac", None), ("a.mp3", None), ("a.ogg", ("OGG", "VORBIS")), ("a.opus", ("OGG", "OPUS")),
])
def test_every_format_is_read(tmp_path, name, kind):
    x = resample(speech(), SAMPLE_RATE, 24000)
    if kind:
        soundfile.write(tmp_path / name, x, 24000, format=kind[0], subtype=kind[1])
    else:
        soundfile.write(tmp_path / name, np.stack([x, x], 1), 24000)
    found, rate = read_audio(tmp_path / name)
    assert found.ndim == 1 and rate in (24000, 48000)
    assert abs(len(found) / rate - len(x) / 24000) < 0.1
    assert np.sqrt((found**2).mean()) == pytest.approx(np.sqrt((x**2).mean()), rel=0.1)


def test_trim_keeps_a_quarter_second():
    x = speech()
    silence = np.zeros(SAMPLE_RATE, dtype=np.float32)
    padded = np.concatenate([silence, x, silence])
    first = speech_spans(padded, SAMPLE_RATE)[0][0]
    trimmed, seconds = trim_to_speech(padded, SAMPLE_RATE)
    assert len(trimmed) < len(padded) - SAMPLE_RATE
    assert np.array_equal(trimmed[:100], padded[int((first - 0.25) * SAMPLE_RATE) :][:100])
    assert seconds > 1
    assert trim_to_speech(silence, SAMPLE_RATE)[1] == 0


def test_loudness_is_the_same_whatever_the_gain():
    import pyloudnorm

    for gain in (0.05, 0.5):
        y = normalise_loudness(gain * speech(), SAMPLE_RATE)
        assert pyloudnorm.Meter(SAMPLE_RATE).integrated_loudness(y.astype(float)) == pytest.approx(-23, abs=0.3)
        assert np.abs(y).max() <= 0.951


def test_f0_of_a_known_tone():
    t = np.arange(SAMPLE_RATE) / SAMPLE_RATE
    tone = sum(np.sin(2 * np.pi * 180 * k * t) / k for k in range(1, 8)).astype(np.float32) * 0.2
    f0 = f0_at_frames(tone, SAMPLE_RATE, len(tone) // HOP)
    assert (f0 > 0).mean() > 0.8
    assert np.median(f0[f0 > 0]) == pytest.approx(180, rel=0.02)


def test_a_failed_write_keeps_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "kept"
    path.write_bytes(b"old")

    def full(fd):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(InputError, match="No space left"):
        replace_file(path, b"new")
    assert path.read_bytes() == b"old"
    assert [p.name for p in tmp_path.iterdir()] == ["kept"]


def test_copy_synthesis_keeps_the_sound():
    from tts_meta.audio.vocoder import default_vocoder

    mel = log_mel(speech())
    again = log_mel(default_vocoder()(mel))
    assert again.shape == mel.shape
    assert np.abs(again - mel).mean() < 0.35


def test_bfloat16_changes_the_sound_less_than_the_vocoder_does():
    from tts_meta.audio.vocoder import HiFiGan

    mel = log_mel(speech())
    exact, fast = (log_mel(HiFiGan(bf16)(mel)) for bf16 in (False, True))
    assert 0 < np.abs(fast - exact).mean() < 0.5 * np.abs(exact - mel).mean()


def test_the_loudness_is_the_standards():
    import pyloudnorm

    from tts_meta.audio.loudness import integrated_loudness

    x = speech()
    for rate in (8000, SAMPLE_RATE, 48000):
        y = np.concatenate([x, np.zeros(len(x)), 1e-3 * x]).astype(float)  # both gates have something to do
        assert integrated_loudness(y, rate) == pytest.approx(pyloudnorm.Meter(rate).integrated_loudness(y), abs=1e-6)
    assert integrated_loudness(np.zeros(SAMPLE_RATE), SAMPLE_RATE) == integrated_loudness(x[:4000], SAMPLE_RATE) == -np.inf


def test_the_filter_bank_is_slaneys():
    from tts_meta.audio.mel import F_MAX, F_MIN, N_FFT, N_MELS, band_edges, mel_bands

    theirs = librosa.filters.mel(sr=SAMPLE_RATE, n_fft=N_FFT, n_mels=N_MELS, fmin=F_MIN, fmax=F_MAX)
    assert np.array_equal(mel_bands().numpy(), theirs)
    assert np.allclose(band_edges(), librosa.mel_frequencies(n_mels=N_MELS + 2, fmin=F_MIN, fmax=F_MAX))


def test_the_filter_bank_of_energy_is_htks():
    from tts_meta.kokoro.clips import _energy_basis

    theirs = librosa.filters.mel(sr=16000, n_fft=2048, n_mels=80, fmin=0, fmax=8000, htk=True, norm=None)
    assert np.abs(_energy_basis()[0].numpy() - theirs).max() < 1e-6


def test_the_spectrum_of_a_recording_is_welchs():
    from scipy.signal import welch

    from tts_meta.audio.measures import power_density

    for samples, rate, size in ((speech() + 0.1, SAMPLE_RATE, 2048), (speech()[:700], 16000, 512), (speech()[:512], 8000, 512)):
        power = welch(samples.astype(np.float64), rate, nperseg=size)[1]
        assert np.allclose(power_density(samples, rate, size), power, rtol=1e-6, atol=1e-18)


def test_in_float32_a_sentence_goes_through_the_vocoder_as_long_as_it_is(monkeypatch):
    import torch

    from tts_meta.audio.vocoder import CONTEXT, LONGEST, STEP, HiFiGan

    vocoder, lengths = HiFiGan(bf16=False), []
    vocoder.generator.register_forward_hook(lambda _, inputs, __: lengths.append(inputs[0].shape[-1]))
    mel = np.tile(log_mel(speech()), (10, 1)).astype(np.float32)
    for frames, expected in ((1, [2 * STEP]), (2 * STEP - CONTEXT, [2 * STEP]), (2 * STEP, [3 * STEP])):
        lengths.clear()
        assert vocoder(mel[:frames]).shape == (frames * HOP,)
        assert lengths == expected
    monkeypatch.setattr(vocoder.generator, "forward", lambda x: torch.zeros(1, 1, HOP * x.shape[-1]))
    lengths.clear()
    assert vocoder(mel[: LONGEST + 1]).shape == ((LONGEST + 1) * HOP,)
    assert lengths == [LONGEST, LONGEST]


def test_the_vocoder_is_prepared_on_another_core(monkeypatch, hifigan):
    import threading

    from tts_meta.audio import vocoder

    made = []

    class Fake(vocoder.HiFiGan):
        def __init__(self):
            made.append(threading.current_thread().name)
            self.bf16 = False

    monkeypatch.setattr(vocoder, "HiFiGan", Fake)
    vocoder._loaded.cache_clear()
    try:
        monkeypatch.setattr(vocoder, "cores", lambda: 1)
        vocoder.prepare_vocoder()
        assert not made
        monkeypatch.setattr(vocoder, "cores", lambda: 2)
        vocoder.prepare_vocoder()
        for thread in threading.enumerate():
            if thread.name == "vocoder":
                thread.join()
        vocoder.default_vocoder()
        assert made == ["vocoder"]  # once, and not by whoever waits for it
    finally:
        vocoder._loaded.cache_clear()


def test_the_vocoders_windows_join_to_what_the_whole_mel_gives_and_are_all_of_one_shape(monkeypatch):
    import torch

    from tts_meta.audio import vocoder as module
    from tts_meta.audio.vocoder import CONTEXT, WINDOW, HiFiGan

    monkeypatch.setattr(module, "LONGEST", WINDOW)  # float32, to compare, in the windows of bfloat16
    monkeypatch.setattr(module, "STEP", WINDOW)
    vocoder, shapes, step = HiFiGan(bf16=False), set(), WINDOW - 2 * CONTEXT
    mel = np.tile(log_mel(speech()), (10, 1))[: WINDOW + step + 7].astype(np.float32)
    with torch.inference_mode():
        whole = vocoder.generator(torch.from_numpy(mel).T[None])[0, 0].numpy()
    assert np.abs(whole).max() > 0.1
    vocoder.generator.register_forward_hook(lambda _, inputs, __: shapes.add(tuple(inputs[0].shape)))
    assert np.abs(vocoder(mel) - whole).max() < 1e-4
    for length in (1, WINDOW, WINDOW + 1):
        assert vocoder(mel[:length]).shape == (length * HOP,)
    # A short one depends on what follows it as little as a long one does.
    assert np.abs(vocoder(mel[: WINDOW - 40]) - whole[: (WINDOW - 40) * HOP])[: -CONTEXT * HOP].max() < 1e-4
    assert shapes == {(1, 80, WINDOW)}


def test_the_watermark_is_found_again_and_only_where_it_is(tmp_path, starter, cloned):
    from tts_meta.audio.files import write_wav
    from tts_meta.audio.watermark import apply, detect_file, name
    from tts_meta.speaking.synthesize import Synthesizer, comment
    from tts_meta.voices.voice_file import load_voice

    pytest.importorskip("perth")
    voice = load_voice(cloned.path, starter)
    plain, marked = (Synthesizer.of(starter, voice, watermark=w).speak("Good morning. How are you today?") for w in (False, True))
    assert len(plain.samples) == len(marked.samples)
    noise = np.sqrt(((plain.samples - marked.samples) ** 2).mean() / (plain.samples**2).mean())
    assert 0 < noise < 0.3
    for label, samples, rate, found in (
        ("plain", plain.samples, SAMPLE_RATE, False), ("marked", marked.samples, SAMPLE_RATE, True),
        ("resampled", resample(marked.samples, SAMPLE_RATE, 16000), 16000, True),
        ("quiet", marked.samples * 0.3, SAMPLE_RATE, True),
    ):
        path = tmp_path / f"{label}.wav"
        write_wav(path, samples, rate, comment("p225", name()))
        assert detect_file(path)["watermark"] is found, (label, detect_file(path))
        assert soundfile.SoundFile(path).comment == f"Synthetic speech by tts-meta in the voice 'p225'; watermark: {name()}."
    assert not detect_file(next((EXAMPLES / "clips").glob("*.flac")))["watermark"]
    assert np.abs(apply(plain.samples, SAMPLE_RATE)).max() <= 1


def test_a_watermark_that_cannot_be_had_stops_the_speech(monkeypatch, starter, cloned):
    from tts_meta.audio import watermark
    from tts_meta.speaking.synthesize import Synthesizer
    from tts_meta.voices.voice_file import load_voice

    watermark._marker.cache_clear()
    synthesizer = Synthesizer.of(starter, load_voice(cloned.path, starter), watermark=True)
    monkeypatch.setattr(watermark, "find_spec", lambda name: None)
    with pytest.raises(InputError, match="extra 'watermark'"):
        synthesizer.speak("Hello.")
    monkeypatch.undo()
    pytest.importorskip("perth")
    with monkeypatch.context() as patch:
        patch.setitem(sys.modules, "perth", Unloadable("perth"))
        with pytest.raises(InputError, match="cannot be loaded .*same build as torch.*Nothing was written"):
            synthesizer.speak("Hello.")
    monkeypatch.setattr(watermark, "SHA256", "0" * 64)
    with pytest.raises(InputError, match="weights are not those"):
        synthesizer.speak("Hello.")
    watermark._marker.cache_clear()


def test_a_vocoder_that_loads_in_a_thread_takes_no_ones_output(capsys):
    """The package prints; what the rest of the program prints meanwhile is the caller's JSON."""
    whose, seen = sys.stdout, set()
    thread = threading.Thread(target=HiFiGan, args=(False,))
    thread.start()
    while thread.is_alive():
        seen.add(sys.stdout is whose)
        time.sleep(0.001)
    assert seen == {True} and capsys.readouterr().out == ""

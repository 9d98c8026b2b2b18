"""Pulses, noise and filters: each against what it is defined as, and the whole against HiFi-GAN."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch

from tests.conftest import EXAMPLES
from tests.hostile.test_bad_input import run  # noqa: F401
from tts_meta.audio.fast_vocoder import WEIGHTS, FastVocoder, mel_to_bins
from tts_meta.audio.files import read_audio, resample
from tts_meta.audio.mel import F_MAX, HOP, SAMPLE_RATE, band_frequencies, log_mel
from tts_meta.audio.pitch import f0_at_frames
from tts_meta.audio.vocoder import HiFiGan, default_vocoder
from tts_meta.errors import InputError
from tts_meta.nets.source_filter import BINS, FFT, PitchNet, SourceFilter, minimum_phase, sources


@pytest.fixture(scope="module")
def recording() -> np.ndarray:
    samples, rate = read_audio(sorted((EXAMPLES / "reference").glob("*.flac"))[0])
    return resample(samples, rate, SAMPLE_RATE)[: 4 * SAMPLE_RATE]


@pytest.fixture(autouse=True)
def what_is_chosen_ends_with_the_test(monkeypatch):
    monkeypatch.setenv("TTS_META_VOCODER", "hifigan")


@pytest.fixture(scope="module")
def vocoder() -> FastVocoder:
    return FastVocoder()


def test_pulses_are_all_cosines_under_half_the_rate_and_silent_where_nothing_is_voiced():
    f0 = torch.full((1, 40), 150.0)
    f0[:, 20:] = 0
    pulses, noise, gated = sources(f0, torch.randn(1, 40 * HOP, generator=torch.Generator().manual_seed(0)), SAMPLE_RATE,
                                   torch.tensor([0.25]))
    time = torch.arange(1, 10 * HOP + 1, dtype=torch.float64) / SAMPLE_RATE
    count = int(SAMPLE_RATE / 2 // 150)
    phase = 150 * time + 0.25
    expected = sum(torch.cos(2 * torch.pi * k * phase) for k in range(1, count + 1)) * (2 / count) ** 0.5
    assert torch.allclose(pulses[0, : 10 * HOP].double(), expected, atol=2e-3)
    assert pulses[0, : 19 * HOP].pow(2).mean() == pytest.approx(1, rel=0.05)
    assert gated[0, : 19 * HOP].pow(2).mean() == pytest.approx(1, rel=0.1)
    # in step: most where the pulses are
    top = torch.cos(2 * torch.pi * phase) > 0.9
    assert gated[0, : 10 * HOP][top].pow(2).mean() > 2 * gated[0, : 10 * HOP].pow(2).mean()
    assert not pulses[0, 21 * HOP :].any() and not gated[0, 21 * HOP :].any() and noise[0, 21 * HOP :].std() > 0.9


def test_the_phase_is_that_of_the_minimum_phase_filter():
    """A pole inside the unit circle: its own phase follows from its magnitude."""
    z = torch.exp(-2j * torch.pi * torch.arange(BINS) / FFT)
    response = 1 / (1 - 0.8 * z) / (1 - 0.5 * z)
    assert torch.allclose(minimum_phase(response.abs().log()), response.angle(), atol=1e-4)


def test_filters_begin_with_the_mel_between_its_bands():
    at = mel_to_bins()
    hertz = np.arange(BINS) * SAMPLE_RATE / FFT
    centres = band_frequencies()[0]
    inside = (hertz > centres[0]) & (hertz < centres[-1])
    assert np.allclose((at[:, :-1] @ torch.from_numpy(centres)).numpy()[inside], hertz[inside], rtol=1e-4)
    assert np.allclose(at[:, :-1].sum(1), 1) and not at[hertz <= F_MAX, -1].any() and (np.diff(at[hertz > F_MAX, -1]) < 0).all()


def test_flat_filters_give_the_sources_back():
    net = SourceFilter(torch.rand(80, 513), mel_to_bins(), SAMPLE_RATE, HOP)
    of = sources(torch.full((1, 12), 200.0), torch.randn(1, 12 * HOP), SAMPLE_RATE)
    for chosen, source in enumerate(of):
        size = torch.full((1, 24, 3, BINS), -16.0)
        size[:, :, chosen] = 0
        assert torch.allclose(net.sound(size, torch.zeros(1, 24, BINS), of), source, atol=1e-4)


def test_f0_between_two_classes_is_between_them():
    net = PitchNet()
    logits = torch.full((1, 1, 220), -20.0)
    logits[..., 100] = logits[..., 101] = 5.0
    for voiced, expected in ((3.0, 50 * 2 ** (100.5 * 20 / 1200)), (-3.0, 0.0)):
        net.forward = lambda mel, voiced=voiced: (logits, torch.full((1, 1), voiced))  # type: ignore[method-assign]
        assert float(net.f0(torch.zeros(1, 1, 80))) == pytest.approx(expected, rel=1e-4)


def test_it_hears_f0_in_a_mel_as_a_tracker_hears_it_in_the_sound(vocoder, recording):
    mel = log_mel(recording)
    heard, tracked = vocoder.pitch.f0(torch.from_numpy(mel)[None])[0].numpy(), f0_at_frames(recording, SAMPLE_RATE, len(mel))
    both = (heard > 0) & (tracked > 0)
    assert both.sum() > 0.8 * (tracked > 0).sum()
    assert np.median(np.abs(1200 * np.log2(heard[both] / tracked[both]))) < 30


def test_its_copy_has_the_mel_and_the_melody_of_the_recording_as_hifigans_has(vocoder, recording):
    mel = log_mel(recording)
    ours, theirs = vocoder(mel), HiFiGan(bf16=False)(mel)
    assert ours.shape == theirs.shape and ours.dtype == np.float32 and np.abs(ours).max() <= 1
    apart = [np.abs(log_mel(y) - mel).mean() for y in (ours, theirs)]
    assert apart[0] < 1.5 * apart[1]
    melody = [f0_at_frames(y, SAMPLE_RATE, len(mel)) for y in (ours, recording)]
    both = (melody[0] > 0) & (melody[1] > 0)
    assert both.sum() > 0.8 * (melody[1] > 0).sum()
    assert np.median(np.abs(1200 * np.log2(melody[0][both] / melody[1][both]))) < 30


def test_the_same_mel_gives_the_same_samples_at_any_length(vocoder, recording):
    mel = log_mel(recording)
    assert np.array_equal(vocoder(mel), vocoder(mel))
    for frames in (1, 2, 3):
        assert vocoder(mel[:frames]).shape == (frames * HOP,)
    assert np.abs(vocoder(np.full((50, 80), -30.0))).max() < 1e-2  # under the floor


def test_weights_that_are_damaged_are_one_sentence():
    with pytest.raises(InputError, match=f"{WEIGHTS} is missing or damaged .*reinstall tts-meta"):
        FastVocoder(b"nothing")


def test_the_variable_chooses_who_speaks(monkeypatch):
    monkeypatch.delenv("TTS_META_VOCODER")
    assert isinstance(default_vocoder(), HiFiGan)
    monkeypatch.setenv("TTS_META_VOCODER", "fast")
    assert isinstance(default_vocoder(), FastVocoder)
    monkeypatch.setenv("TTS_META_VOCODER", "griffin")
    with pytest.raises(InputError, match="--vocoder, TTS_META_VOCODER. is 'griffin'; one of hifigan, fast is expected"):
        default_vocoder()


def test_a_sentence_is_said_by_the_vocoder_that_is_asked_for(run, cloned, tmp_path):  # noqa: F811
    sounds = {}
    for name in ("fast", "hifigan"):
        out = tmp_path / f"{name}.wav"
        code, stdout, _ = run("say", "Good morning.", "--voice", cloned.path, "--out", out, "--vocoder", name, "--json")
        assert code == 0 and json.loads(stdout)["out"] == str(out)
        sounds[name] = read_audio(out)[0]
    assert sounds["fast"].shape == sounds["hifigan"].shape and not np.allclose(sounds["fast"], sounds["hifigan"], atol=1e-2)
    assert np.abs(log_mel(sounds["fast"]) - log_mel(sounds["hifigan"])).mean() < 0.6
    code, _, err = run("say", "Hi.", "--voice", cloned.path, "--out", tmp_path / "x.wav", "--vocoder", "wavenet")
    assert code == 2 and "one of hifigan, fast is expected" in err and not (tmp_path / "x.wav").exists()


def test_a_batch_spoken_by_another_vocoder_is_made_again(run, cloned, tmp_path):  # noqa: F811
    lines = tmp_path / "lines.txt"
    lines.write_text("Good morning.\n")
    made = []
    for name in ("hifigan", "fast", "fast"):
        assert run("batch", lines, "--voice", cloned.path, "--out", tmp_path / "out", "--vocoder", name)[0] == 0
        made.append((tmp_path / "out" / "1.wav").stat().st_mtime_ns)
    assert made[0] != made[1] == made[2]

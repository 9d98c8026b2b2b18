"""The measures against cases whose answer is known."""

from __future__ import annotations

import sys

import numpy as np
import pytest
import torch

from tests.conftest import EXAMPLES, ROOT, Unloadable
from tts_meta.audio.files import read_audio, resample
from tts_meta.errors import InputError
from tts_meta.evaluation.evaluate import by_second, second_opinion
from tts_meta.evaluation.grid import Interval, bootstrap
from tts_meta.evaluation.judge import spoken_frames
from tts_meta.evaluation.protocol import heldout_speakers
from tts_meta.measures import quality, second_encoder
from tts_meta.measures.distortion import f0_rmse_cents, mel_cepstral_distortion, voicing_error
from tts_meta.measures.intelligibility import word_error_rate, word_errors
from tts_meta.measures.second_encoder import embed_second, second_other_speakers
from tts_meta.measures.similarity import other_speakers, similarity
from tts_meta.measures.verification import equal_error_rate, pair_accuracy, trials


def mel(seed: int = 0, frames: int = 50) -> np.ndarray:
    return np.random.default_rng(seed).normal(-5, 1, (frames, 80)).astype(np.float32)


def test_distortion_is_zero_for_the_same_and_ignores_level_and_tempo():
    a = mel()
    assert mel_cepstral_distortion(a, a)[0] == pytest.approx(0, abs=1e-6)
    assert mel_cepstral_distortion(a + 1.0, a)[0] == pytest.approx(0, abs=1e-3)
    assert mel_cepstral_distortion(np.repeat(a, 2, axis=0), a)[0] == pytest.approx(0, abs=1e-6)
    assert mel_cepstral_distortion(mel(1), a)[0] > 3


def test_f0_error_of_a_semitone_is_a_hundred_cents():
    a = mel()
    path = mel_cepstral_distortion(a, a)[1]
    f0 = np.full(50, 200.0)
    assert f0_rmse_cents(f0 * 2 ** (1 / 12), f0, path) == pytest.approx(100, abs=0.1)
    assert f0_rmse_cents(f0 * 0, f0, path) is None


def test_word_error_rate_counts_words_not_spelling():
    assert word_error_rate(["It costs $5, doesn't it?"], ["it costs five dollars doesn't it"]) == 0
    assert word_error_rate(["red green blue grey"], ["red green gray"]) == pytest.approx(0.25)
    assert word_error_rate(["hello"], [""]) == 1
    assert word_error_rate(["The old grey colour."], ["the old gray color"]) == 0
    assert word_errors(["Uh.", "red green"], ["ho what", "red green"]) == (2, 2)


def test_the_judge_does_not_share_the_products_normaliser():
    """What the normaliser of speech reads wrongly is an error, not the same mistake on both sides."""
    from tests.test_architecture import imports

    assert word_errors(["No. I did not."], ["number I did not"]) == (1, 4)
    assert not any(m.startswith("tts_meta.text") for m in imports(ROOT / "tts_meta" / "measures" / "intelligibility.py"))


def test_the_second_encoder_tells_people_apart():
    """Two recordings of p225 and one of p226, all three of other sentences."""
    hers = [read_audio(p) for p in sorted((EXAMPLES / "clips").glob("*.flac"))[2:4]]
    another = read_audio(ROOT / "docs" / "samples" / "p226-recording.wav")
    a, b, other = (embed_second(*s) for s in (*hers, another))
    assert a.shape == (192,) and np.linalg.norm(a) == pytest.approx(1, abs=1e-3)
    assert a @ b > 0.6 > a @ other
    others = second_other_speakers().astype(np.float32)
    assert others.shape == (80, 192) and np.allclose(np.linalg.norm(others, axis=1), 1, atol=1e-2)
    assert (others @ a).max() < a @ b
    # Half a second and less is heard too; how loud it is does not matter.
    assert np.isfinite(embed_second(hers[0][0][:3000], hers[0][1])).all()
    assert a @ embed_second(0.1 * hers[0][0], hers[0][1]) > 0.99


def test_the_filter_bank_is_kaldis():
    """Against torchaudio's own writing of it, nats."""
    kaldi = pytest.importorskip("torchaudio.compliance.kaldi")
    samples, rate = read_audio(sorted((EXAMPLES / "clips").glob("*.flac"))[0])
    wave = np.ascontiguousarray(resample(samples, rate, 16000), dtype=np.float32)
    theirs = kaldi.fbank(torch.from_numpy(wave)[None], num_mel_bins=80, sample_frequency=16000, dither=0.0).numpy()
    ours = second_encoder.filter_bank(wave)
    assert ours.shape == theirs.shape and np.abs(ours - theirs).max() < 2e-3


def test_a_judge_that_cannot_be_loaded_is_left_out_and_said(monkeypatch):
    """A torchaudio of another build than torch raises OSError in the package's own import."""
    pytest.importorskip("distillmos")

    quality._second.cache_clear()
    monkeypatch.delitem(sys.modules, "distillmos.sqa", raising=False)
    monkeypatch.setitem(sys.modules, "distillmos", Unloadable("distillmos"))
    with pytest.warns(UserWarning, match="distillmos, is left out.*libtorchaudio.*same version and build"):
        assert quality.distillmos(np.zeros(16000, np.float32), 16000) is None
    assert not quality.second_is_there(), "what is kept of a recording must not say that it was asked"
    quality._second.cache_clear()


def test_without_its_extra_there_is_a_reason(monkeypatch):
    monkeypatch.setattr(second_encoder, "find_spec", lambda name: None)
    assert embed_second(np.zeros(16000, np.float32), 16000) is None
    found = second_opinion([], {"clone": [], "vocoded": [], "real": []})
    assert "tts-meta[judges]" in found["reason"] and by_second({"second_encoder": found}) == ""


def test_position_is_zero_at_the_floor_and_one_at_the_ceiling():
    others = other_speakers()
    assert others.shape == (80, 256) and np.allclose(np.linalg.norm(others, axis=1), 1, atol=1e-3)
    me = np.zeros(256, np.float32)
    me[0] = 1
    found = similarity([me], list(others), [me], [me])
    assert found.position == pytest.approx(0, abs=1e-5)
    assert similarity([me], [me], [me], [me]).position == pytest.approx(1)


def test_held_out_speakers_keep_support_and_reference_apart(tmp_path):
    rows = [("few", i) for i in range(6)] + [("many", i) for i in range(14)]
    lines = ["corpus\tspeaker\tpath\ttext", *(f"c\t{s}\t{s}/{i}.flac\tWords {i}." for s, i in rows)]
    (tmp_path / "manifest.tsv").write_text("\n".join(lines) + "\n")
    few, many = heldout_speakers(tmp_path)
    assert (len(few.support), len(few.reference)) == (3, 3) and (len(many.support), len(many.reference)) == (10, 4)
    assert not set(many.support) & set(many.reference) and many.texts[many.reference[0]] == "Words 10."
    assert [s.name for s in heldout_speakers(tmp_path, ["many"])] == ["many"]
    with pytest.raises(InputError, match="nobody"):
        heldout_speakers(tmp_path, ["nobody"])


def test_voicing_error_counts_frames_voiced_on_one_side():
    path = np.stack([np.arange(10), np.arange(10)], 1)
    voiced, half = np.full(10, 200.0), np.r_[np.full(5, 200.0), np.zeros(5)]
    assert voicing_error(voiced, voiced, path) == 0 and voicing_error(voiced, half, path) == 0.5


def test_equal_error_rate_and_pairs_of_known_scores():
    apart = np.array([[0.9, 0.8]]), np.array([[0.1, 0.2]])
    assert equal_error_rate(*apart) == 0 and pair_accuracy(*apart) == 1
    # One of four true trials scores under one of four false ones, at any threshold between them.
    mixed = np.array([[0.9, 0.8, 0.7, 0.3]]), np.array([[0.1, 0.2, 0.25, 0.5]])
    assert equal_error_rate(*mixed) == pytest.approx(0.25) and pair_accuracy(*mixed) == pytest.approx(15 / 16)


def test_trials_are_against_the_own_speaker_and_others():
    real = {f"s{i}": np.eye(6)[[i, i, i]] for i in range(6)}
    same, different = trials(np.eye(6)[[2, 4]], ["s2", "s4"], real)
    assert same.shape == different.shape == (2, 4) and (same == 1).all() and (different == 0).all()
    with pytest.raises(ValueError, match="5 speakers"):
        trials(np.eye(6)[:1], ["s0"], {k: real[k] for k in ("s0", "s1")})


def test_the_bootstrap_holds_the_mean_and_knows_a_constant():
    found = bootstrap([1.0, 2.0, 3.0, 4.0])
    assert found.low < found.mean == 2.5 < found.high
    assert bootstrap([2.0, 2.0, 2.0]) == Interval(2.0, 2.0, 2.0)
    with pytest.raises(ValueError, match="no speaker"):
        bootstrap([None])  # type: ignore[list-item]


def test_spoken_frames_leave_out_the_silence_at_the_ends():
    sound = np.full((50, 80), -11.0)
    sound[10:40] = -4.0
    assert spoken_frames(sound) == 30

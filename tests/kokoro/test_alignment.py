"""Where symbols begin and end."""

from __future__ import annotations

import numpy as np
import pytest

from tts_meta.kokoro.alignment import COMMA, SILENT, SPACE, TokenAligner, token_frames, units, with_pauses
from tts_meta.kokoro.clips import curve_at_features
from tts_meta.kokoro.symbols import SYMBOLS, encode


def test_marks_of_stress_and_length_join_their_vowel():
    ids = encode("kˈɑːt")
    assert [(s, b - a) for s, a, b in units(ids)] == [(0, 1), (SYMBOLS["k"], 1), (SYMBOLS["ɑ"], 3), (SYMBOLS["t"], 1), (0, 1)]


@pytest.mark.parametrize("seed", range(20))
def test_frames_of_tokens_fill_the_clip_and_leave_none_out(seed):
    rng = np.random.default_rng(seed)
    ids = encode("hˈɛlO, wˈɜɹld ænd mˈɔɹ.")
    durations = rng.integers(1, 30, len(units(ids))) + 5
    frames = token_frames(ids, durations)
    assert frames.sum() == round(durations.sum() * 256 / 22050 * 40)
    assert len(frames) == len(ids) and frames.min() >= 1


def test_a_silence_is_the_marks_and_not_the_spaces():
    ids = encode("a, b.")
    durations = np.array([10, 10, 4, 40, 10, 4, 30])
    frames = token_frames(ids, durations)
    at = ids.index(COMMA)
    assert frames[at] > 15 and frames[at + 1] == 2 and frames[-1] == 1


def test_a_pause_without_a_mark_gets_a_comma():
    ids = encode("a b")
    durations = np.array([5, 10, 20, 10, 5])
    quiet = np.zeros(50, dtype=bool)
    quiet[15:35] = True
    longer = with_pauses(ids, durations, quiet)
    assert longer == encode("a, b")
    assert with_pauses(ids, durations, np.zeros(50, dtype=bool)) == ids


def speech(rng, ids, counts, bank):
    """A log-mel in which every symbol is its own pattern."""
    rows = []
    for symbol, count in zip(ids, counts, strict=True):
        rows += [bank[symbol] + rng.normal(0, 0.2, 80) for _ in range(count)]
    return np.array(rows, dtype=np.float32)


def test_the_path_finds_known_boundaries():
    rng = np.random.default_rng(0)
    bank = {s: rng.normal(-5, 1.5, 80) for s in range(178)}
    for s in SILENT:
        bank[s] = np.full(80, -11.0)
    bank[SPACE] = rng.normal(-5, 1.5, 80)
    ids = encode("kæt ænd dɑɡ.")
    aligner = TokenAligner.empty(np.full(80, -5.0), np.full(80, 1.5))
    data, clips = [], []
    for _ in range(12):
        counts = rng.integers(6, 14, len(ids))
        mel = speech(rng, ids, counts, bank)
        features, _ = aligner.features(mel)
        frames = np.diff(np.round(np.cumsum(counts) * 256 / 22050 * 40), prepend=0)
        data.append((features, aligner.known_states(ids, frames, len(mel))))
        clips.append((mel, frames))
    aligner.estimate(data)
    for mel, frames in clips:
        found = aligner.align(ids, mel, pauses=False)
        error = np.abs(np.cumsum(found.frames) - np.cumsum(frames))[:-2]  # the last silence is one symbol's or the other's
        assert error.max() <= 1.5
    with pytest.raises(ValueError, match="do not fit"):
        aligner.align(ids, clips[0][0][:5])


def test_f0_is_read_between_voiced_frames_only():
    f0 = np.array([0, 0, 100, 110, 120, 0, 0, 200, 200], dtype=np.float32)
    count = round(len(f0) * 256 / 22050 * 80)
    found = curve_at_features(f0, count)
    assert found[0] == 0 and ((found == 0) | ((found >= 99) & (found <= 201))).all()
    assert (curve_at_features(np.zeros(9, dtype=np.float32), count) == 0).all()

"""Recordings packed for the campaign come back as the product's items, and no task is judged by what it learned from."""

import json
import sys

import numpy as np
import pytest

from tests.conftest import ROOT
from tts_meta.audio.mel import HOP, SAMPLE_RATE
from tts_meta.kokoro.clips import ENERGY_OFFSET, curve_at_features

sys.path.insert(0, str(ROOT / "recipes" / "kokoro"))
import pack  # noqa: E402
from people import people  # noqa: E402


@pytest.fixture
def folder(tmp_path):
    """Three recordings of 14 s with a pause in the middle, of one speaker; one of another."""
    rng = np.random.default_rng(0)
    (tmp_path / "clips").mkdir()
    names, ids, frames = [], [], []
    for n, speaker in enumerate(["librispeech-x/1", "librispeech-x/1", "librispeech-x/1", "speechocean762/2"]):
        row = np.array([0, *rng.integers(20, 120, 60), 3, *rng.integers(20, 120, 60), 0], dtype=np.uint8)
        count = np.where(row == 3, 8, 4 + (np.arange(len(row)) % 2)).astype(np.int16)
        length = int(count.sum() / 40 * SAMPLE_RATE / HOP) + 1
        f0 = np.where(np.arange(length) % 50 < 30, 120.0 + n, 0.0).astype(np.float32)
        name = f"{speaker.replace('/', '_')}__{n}.npz"
        np.savez(tmp_path / "clips" / name, mel=rng.normal(-5, 1, (length, 80)).astype(np.float16), f0=f0,
                 N=rng.normal(0, 1, 2 * int(count.sum())).astype(np.float32), text="", speaker=speaker)
        names.append(name), ids.append(row), frames.append(count)
    np.savez(tmp_path / "aligned.npz", names=np.array(names), lengths=[len(i) for i in ids], ids=np.concatenate(ids),
             frames=np.concatenate(frames))
    pack.pack(tmp_path)
    return tmp_path


def test_pieces_come_back_to_the_step_of_the_packing(folder):
    fold = json.loads((folder / "folds.json").read_text())
    found = {p.name: p for p in people(folder, ("phase1", "sigma", "dev"))}
    assert set(found) == {"librispeech-x/1", "speechocean762/2"} == set(fold)
    assert all(p.fold == fold[n] for n, p in found.items())
    assert len(found["speechocean762/2"].pieces) == 2  # cut at its pause
    name, item = min(found["speechocean762/2"].pieces, key=lambda p: p[1].ids[1:3].tolist() != [0, 0] and len(p[1].ids))
    whole = np.load(folder / "clips" / name)
    total = int(item.counts.sum())
    assert len(item.f0) == len(item.energy) == 2 * total
    curve = curve_at_features(whole["f0"], 2 * (len(whole["N"]) // 2))
    starts = [s for s in range(0, len(curve) - 2 * total + 1) if np.abs(curve[s : s + 2 * total] - item.f0).max() < 0.06]
    assert starts  # it is a stretch of the recording
    start = starts[0]
    assert np.abs(whole["N"][start : start + 2 * total] + ENERGY_OFFSET - item.energy).max() < 0.06
    first = round(start / 80 * SAMPLE_RATE / HOP)
    assert np.abs(whole["mel"][first : first + len(item.mel)].astype(np.float32)[: len(item.mel)] - item.mel).max() < 0.06


def test_no_task_is_judged_by_what_it_learned_from(folder):
    person = next(p for p in people(folder, ("phase1", "sigma", "dev")) if p.name == "librispeech-x/1")
    where = {id(item): name for name, item in person.pieces}
    for seed in range(20):
        support, query = person.split(1, 2, np.random.default_rng(seed))
        assert not {where[id(i)] for i in support} & {where[id(i)] for i in query}
    with pytest.raises(ValueError, match="too few recordings"):
        person.split(5, 2, np.random.default_rng(0))

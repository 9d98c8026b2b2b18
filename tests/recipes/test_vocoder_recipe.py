"""The fast vocoder's own training, in small: a stage goes on where it was, and its file is one that the product loads."""

from __future__ import annotations

import json
import runpy

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from tests.conftest import ROOT
from tests.recipes.running import recipe
from tts_meta.audio.fast_vocoder import WEIGHTS, FastVocoder
from tts_meta.audio.mel import HOP, SAMPLE_RATE, log_mel


@pytest.fixture(scope="module")
def speech(tmp_path_factory):
    """Two files of buzzes whose F0 is known."""
    folder, rng = tmp_path_factory.mktemp("vocoder"), np.random.default_rng(0)
    for name in ("spoken.npz", "recorded.npz"):
        mels, f0s, waves = [], [], []
        for hertz in rng.uniform(90, 250, 27):
            t = np.arange(140 * HOP) / SAMPLE_RATE
            y = sum(np.cos(2 * np.pi * k * hertz * t) / k for k in range(1, 12)) * 0.1 + 0.01 * rng.standard_normal(len(t))
            mels.append(log_mel(y).astype(np.float16))
            f0s.append(np.full(140, hertz, dtype=np.float32))
            waves.append((y * 32767).astype(np.int16))
        np.savez(folder / name, lengths=[140] * 27, mel=np.concatenate(mels), f0=np.concatenate(f0s), wave=np.concatenate(waves))
    return folder


def run(script: str, *words) -> str:
    done = recipe(f"recipes/vocoder/{script}", *map(str, words))
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_stages_go_on_and_end_in_a_file_that_speaks(speech, tmp_path):
    assert "2: validation" in run("pitch.py", speech, "--steps", 2)
    assert "2: validation" in run("train.py", speech, "--steps", 2, "--batch", 2)
    first = load_file(speech / "state.safetensors")
    assert "validation" not in run("train.py", speech, "--steps", 2, "--batch", 2)  # they are done
    out = run("train.py", speech, "--steps", 3, "--batch", 2)
    assert "3: validation" in out and "2: validation" not in out  # goes on
    second = load_file(speech / "state.safetensors")
    assert any(not torch.equal(v, second[k]) for k, v in first.items())
    run("train.py", speech, "--steps", 1, "--batch", 2, "--critics")
    assert json.loads((speech / "state.json").read_text()) == {"stage": "critics", "step": 1}
    run("train.py", speech, "--export", tmp_path)
    vocoder = FastVocoder((tmp_path / WEIGHTS).read_bytes())
    assert vocoder(np.full((10, 80), -5.0)).shape == (10 * HOP,)
    mean = load_file(speech / "state.safetensors")["mean/inp.weight"]
    assert (vocoder.filter.inp.weight - mean).abs().max() <= mean.abs().max() / 127  # 8 bits of it
    (speech / "state.safetensors").unlink()
    (speech / "state.json").unlink()
    run("train.py", speech, "--steps", 1, "--batch", 2, "--init", tmp_path, "--rate", 0)
    again = load_file(speech / "state.safetensors")["net/inp.weight"]
    assert torch.equal(again, vocoder.filter.inp.weight)


def test_f0_is_moved_to_where_the_harmonics_are():
    sharpened = runpy.run_path(str(ROOT / "recipes" / "vocoder" / "speech.py"))["sharpened"]
    t = np.arange(60 * HOP) / SAMPLE_RATE
    y = sum(np.cos(2 * np.pi * k * 182.0 * t) for k in range(1, 25)) * 0.05
    asked = np.full(60, 180.0, dtype=np.float32)
    asked[:20] = 0
    found = sharpened(y, asked)
    assert not found[:20].any() and np.abs(found[24:56] - 182).max() < 0.5

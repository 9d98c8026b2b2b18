"""Shared fixtures: one thread, float64 linear-Gaussian tasks, a tiny starter, short synthetic speech by espeak-ng."""

from __future__ import annotations

import os

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")

import sys
from pathlib import Path

import pytest
import torch

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))
torch.set_num_threads(1)
EXAMPLES = ROOT / "app" / "examples" / "p225"


@pytest.fixture(autouse=True)
def one_thread():
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def starter():
    from tts_meta.voices.starter import load_starter

    return load_starter()


@pytest.fixture
def library(tmp_path, monkeypatch):
    """An empty voice library."""
    folder = tmp_path / "library"
    monkeypatch.setenv("TTS_META_HOME", str(folder))
    return folder


@pytest.fixture(scope="session")
def cloned(tmp_path_factory, starter):
    """A voice cloned with few steps from the example clips, once a session."""
    from tts_meta.voices.clone import clone_voice

    folder = tmp_path_factory.mktemp("cloned")
    return clone_voice(starter, [EXAMPLES / "clips"], "p225", folder, steps=12, consent="VCTK, CC BY 4.0")

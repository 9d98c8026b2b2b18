"""Shared fixtures: one thread, float64 linear-Gaussian tasks, a tiny starter, short synthetic speech by espeak-ng."""

from __future__ import annotations

import os

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")
# The small network is as good for everything about files, jobs, page and API, and quick; tests/kokoro ask for the other.
os.environ.setdefault("TTS_META_NETWORK", "small")
# So is the fast vocoder. What is said of HiFi-GAN asks for it, and the tests with the fixture `hifigan` speak by it.
os.environ.setdefault("TTS_META_VOCODER", "fast")

import importlib.util
import sys
from pathlib import Path

import pytest
import torch

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))
torch.set_num_threads(1)
EXAMPLES = ROOT / "app" / "examples" / "p225"


LONG = [
    "recipes/test_doc_commands.py", "app/test_page.py", "jobs/test_jobs.py", "recipes/test_compare.py",
    "training/test_fewshot_runs.py", "recipes/test_train.py", "evaluation/test_people.py", "app/test_page_details.py",
    "recipes/test_fewshot_cli.py", "recipes/test_own_starter.py", "hostile/test_bad_input.py", "app/test_openai_client.py",
    "evaluation/test_kept.py", "app/test_page_looks.py",
]
"""Files that take longest: two workers end together where these begin first."""


def pytest_collection_modifyitems(items):
    def place(item) -> int:
        name = item.path.relative_to(ROOT / "tests").as_posix()
        return LONG.index(name) if name in LONG else len(LONG)

    items.sort(key=place)


@pytest.fixture(autouse=True)
def one_thread():
    torch.set_num_threads(1)


class Unloadable:
    """Stands in sys.modules for a package that is installed and whose library does not load: of another build than torch."""

    def __init__(self, package: str) -> None:
        self.__spec__ = importlib.util.find_spec(package)

    def __getattr__(self, name: str):
        raise OSError("Could not load this library: libtorchaudio.so")


@pytest.fixture
def hifigan(monkeypatch):
    """Speech as users hear it."""
    monkeypatch.setenv("TTS_META_VOCODER", "hifigan")


@pytest.fixture(scope="session")
def starter():
    from tts_meta.starters.small_starter import load_starter

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
    from tts_meta.adaptation.clone_at_once import clone_voice

    folder = tmp_path_factory.mktemp("cloned")
    return clone_voice(starter, [EXAMPLES / "clips"], "p225", folder, steps=12, consent="VCTK, CC BY 4.0")


TINY = {"task": 4, "teach": 2}
"""Made-up speakers of the tiny corpus: all of them are p225, cut into groups of three recordings."""


@pytest.fixture(scope="session")
def tiny_corpus(tmp_path_factory):
    """A prepared corpus of 18 short recordings: 4 speakers of the corpus `task`, 2 of `teach`."""
    from tts_meta.clips.transcripts import find_transcripts
    from tts_meta.data.layouts import Clip
    from tts_meta.data.speech import prepare

    paths = sorted([*(EXAMPLES / "clips").glob("*.flac"), *(EXAMPLES / "reference").glob("*.flac")])
    texts = find_transcripts(paths, None)
    names = [(corpus, f"s{i}") for corpus, count in TINY.items() for i in range(count)]
    clips = [Clip(p, names[i % len(names)][1], names[i % len(names)][0], texts[p]) for i, p in enumerate(paths)]
    folder = tmp_path_factory.mktemp("corpus") / "cache"
    assert prepare(clips, folder, workers=1) == len(paths)
    return folder

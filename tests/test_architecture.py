"""The dependency rule of the house: one direction, and each outside library in its place."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT

# A package may import itself, what is listed, and the standard library.
MAY = {
    "meta": {"meta"},
    "nets": {"nets"},
    "text": {"text", "errors"},
    "audio": {"audio", "nets", "errors", "processor"},
    "data": {"data", "text", "audio", "nets", "errors"},
    "training": {"training", "data", "nets", "meta", "text", "audio", "errors"},
    "voices": {"voices", "training", "data", "nets", "meta", "text", "audio", "evaluation", "errors", "processor"},
    "evaluation": {"evaluation", "voices", "data", "nets", "meta", "text", "audio", "errors"},
}


def imports(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {a.name for a in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module)
    return found


def files(folder: str) -> list[Path]:
    return sorted((ROOT / folder).rglob("*.py"))


@pytest.mark.parametrize("package", sorted(MAY))
def test_one_direction(package):
    assert files(f"tts_meta/{package}")
    for path in files(f"tts_meta/{package}"):
        ours = {m.split(".")[1] for m in imports(path) if m.startswith("tts_meta.")}
        assert ours <= MAY[package], f"{path} imports {ours - MAY[package]}"


@pytest.mark.parametrize("package", ["meta", "nets"])
def test_the_core_imports_torch_alone(package):
    import sys

    for path in files(f"tts_meta/{package}"):
        outside = {m.split(".")[0] for m in imports(path)} - set(sys.stdlib_module_names) - {"tts_meta", "torch"}
        assert not outside, f"{path} imports {outside}"


def test_hydra_typer_and_gradio_stay_at_the_edge():
    for path in files("tts_meta"):
        roots = {m.split(".")[0] for m in imports(path)}
        assert not roots & {"hydra", "omegaconf", "gradio"}, path
        assert "typer" not in roots or "cli" in path.parts, path


def test_nothing_is_pickled():
    for path in [*files("tts_meta"), *files("app"), *files("recipes")]:
        text = path.read_text()
        assert "import pickle" not in text and "allow_pickle=True" not in text, path
        assert "torch.load(" not in text or "weights_only=True" in text, path


def test_one_thread_unless_asked_for():
    """Two OpenMP threads stall as soon as anything else runs (recipes/bench_threads.py)."""
    code = "from tts_meta.cli.common import starter; starter(); import torch; print(torch.get_num_threads())"
    for asked, threads in ((None, "1"), ("2", "2")):
        environment = {k: v for k, v in os.environ.items() if k != "TTS_META_THREADS"} | {"PYTHONPATH": str(ROOT)}
        environment |= {"TTS_META_THREADS": asked} if asked else {}
        done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
        assert done.stdout.split() == [threads]

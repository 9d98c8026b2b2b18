"""Every command of the README and of docs/ is run, in order, as a reader would run it: `tts-meta` for what it does, with few
steps; the recipes by composing their configs or reading their options (they take hours)."""

from __future__ import annotations

import contextlib
import io
import json
import re
import shlex
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from types import SimpleNamespace

import pytest
from hydra import compose, initialize_config_dir

from tests.conftest import EXAMPLES, ROOT

PAGES = ["README.md", *(f"docs/{p.name}" for p in sorted((ROOT / "docs").glob("*.md")))]
GUIDES = ["docs/clone-your-voice.md", "docs/share-a-voice.md", "docs/evaluate.md"]
CONFIGS = {"train": "configs/train", "prepare": "configs/prepare", "validate": "configs/validation",
           "compare": "configs/compare/compare"}
"""Of the recipes that are composed by Hydra."""
SERVERS = {"serve", "app"}
TUTORIAL = "algorithm=mixed"  # made by the reader of docs/algorithms.md


def blocks(page: str) -> list[str]:
    """The command lines of a page's code blocks, without their comments."""
    found = []
    for block in re.findall(r"^```(?:bash)?\n(.*?)^```", (ROOT / page).read_text(), re.S | re.M):
        for line in block.splitlines():
            line = re.sub(r"\s+#.*$", "", line).strip()
            if line.startswith(("tts-meta ", "python ", "torchrun ", "make ", "curl ")):
                found.append(line)
    return found


@pytest.fixture(scope="module")
def desk(tmp_path_factory):
    """A folder with what the guides speak of, and a library of its own."""
    folder = tmp_path_factory.mktemp("desk")
    shutil.copytree(EXAMPLES / "clips", folder / "my_clips")
    shutil.copytree(EXAMPLES / "reference", folder / "more_clips")
    extra = sorted((folder / "more_clips").glob("*.flac"))[2:]
    shutil.copytree(EXAMPLES / "reference", folder / "new_clips", ignore=lambda _, names: {n for n in names if "flac" in n})
    for clip in extra[:2]:
        shutil.copy(clip, folder / "new_clips" / clip.name)
    for clip in extra:
        clip.unlink()
    (folder / "lines.txt").write_text("One line.\nAnother line.\n")
    return folder


def run(desk, words, check=True):
    """In this process, which imports torch once for all the commands of the guides; jobs have processes of their own."""
    from tts_meta.cli import main

    out, err = io.StringIO(), io.StringIO()
    settings = {"TTS_META_HOME": str(desk / "home"), "TTS_META_THREADS": "1", "PYTHONPATH": str(ROOT)}
    with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        for name, value in settings.items():
            patch.setenv(name, value)
        patch.chdir(desk)
        patch.setattr("sys.argv", words)
        with pytest.raises(SystemExit) as stop:
            main()
    code = stop.value.code or 0
    assert not check or code == 0, (words, err.getvalue()[-2000:])
    return SimpleNamespace(returncode=code, stdout=out.getvalue(), stderr=err.getvalue())


def answers(desk):
    """What a listener would have saved."""
    key = json.loads((desk / "listen-KEY.json").read_text())
    (desk / "answers").mkdir(exist_ok=True)
    rows = [{"id": i, "answer": t["right"]} for i, t in key["trials"].items()]
    saved = {"test": key["test"], "kind": key["kind"], "listener": "ann", "answers": rows}
    (desk / "answers" / "answers-ann.json").write_text(json.dumps(saved))


def test_the_guides_for_people(desk):
    """In the order of the guides; each builds on the one before."""
    made = 0
    for page in GUIDES:
        for line in blocks(page):
            words = shlex.split(line)
            if words[0] != "tts-meta":
                continue
            if words[1] == "clone":
                words += ["--steps", "10", "--preview", "Hello."]
            if words[1:3] == ["jobs", "continue"]:
                words[words.index("--steps") + 1] = "5"
            if words[1:3] == ["listening", "analyse"]:
                answers(desk)
                words = [w for w in words if "*" not in w] + [str(p) for p in (desk / "answers").glob("*.json")]
            if words[1:3] == ["jobs", "use"]:
                # The last job went on from another; the one before kept step 0 too.
                assert json.loads(run(desk, ["tts-meta", "jobs", "show", "last", "--json"]).stdout)["kept"][0] == 0
            run(desk, words)
            made += 1
    assert made >= 25
    for name in ("hello.wav", "no.wav", "name.wav", "spoken/manifest.csv", "report/report.html", "compared/compare.html",
                 "listen.html", "mum.voice", "sample.wav"):
        assert (desk / name).stat().st_size > 100, name


def test_the_servers_of_the_guides_answer(desk):
    import os

    environment = {**os.environ, "TTS_META_HOME": str(desk / "home"), "TTS_META_THREADS": "1", "PYTHONPATH": str(ROOT)}
    for verb, path in (("serve", "/health"), ("app", "/")):
        with socket.socket() as s:
            s.bind(("127.0.0.1", 0))
            port = s.getsockname()[1]
        process = subprocess.Popen([sys.executable, "-m", "tts_meta.cli", verb, "--port", str(port)], env=environment,
                                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            end = time.monotonic() + 120
            while True:
                try:
                    with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=5) as answer:
                        assert answer.status == 200
                    break
                except OSError:
                    assert time.monotonic() < end and process.poll() is None
                    time.sleep(0.3)
        finally:
            process.terminate()
            process.wait()


def test_every_verb_and_option_that_is_written_exists(desk):
    """Of all pages, also of what is not run above: the verb is there and knows the options."""
    known: dict[str, str] = {}
    for page in PAGES:
        text = (ROOT / page).read_text()
        lines = [*blocks(page), *re.findall(r"`(tts-meta [^`\n]+)`", text)]
        for line in lines:
            if not line.startswith("tts-meta "):
                continue
            for verb in re.split(r"\|(?=\w)", line.split()[2]) if len(line.split()) > 2 and "|" in line.split()[2] else [None]:
                words = [w for w in line.split()[1:] if w != "..."]
                path = [words[0]]
                if words[0] in ("jobs", "voices", "listening"):
                    path.append(verb or words[1])
                key = " ".join(path)
                if key not in known:
                    done = run(desk, ["tts-meta", *path, "--help"], check=False)
                    assert done.returncode == 0, (page, line, done.stderr[-500:])
                    known[key] = done.stdout
                for option in re.findall(r"(?<!\S)--[a-z][a-z0-9-]*", line):
                    assert option in {*re.findall(r"--[a-z][a-z0-9-]*", known[key]), "--json"}, (page, line, option)
    assert len(known) >= 20


HELPER = """
import contextlib, io, json, os, runpy, sys
import matplotlib.pyplot, torch
import tts_meta.measures.similarity, tts_meta.speaking.synthesize, tts_meta.starters.kokoro_starter
for script in sys.argv[1:]:
    sys.stdout.flush()
    if os.fork():
        assert os.wait()[1] == 0, script
        continue
    said = io.StringIO()
    sys.argv, sys.path[0] = [script, "--help"], os.path.dirname(script)
    with contextlib.suppress(SystemExit), contextlib.redirect_stdout(said):
        runpy.run_path(script, run_name="__main__")
    print(json.dumps([script, said.getvalue()]), flush=True)
    os._exit(0)
"""
"""Says what each script's --help says: what all of them import is imported once, and each goes on from there by itself."""


def test_the_recipes_know_their_options():
    asked: list[tuple[str, str, str, list[str]]] = []
    seen = 0
    for page in PAGES:
        for line in [*blocks(page), *re.findall(r"`(python recipes/[^`]+)`", (ROOT / page).read_text())]:
            words = shlex.split(line)
            if words[0] == "torchrun":
                words = ["python", *words[words.index(next(w for w in words if w.endswith(".py"))) :]]
            if words[0] != "python" or not words[1].startswith("recipes/"):
                continue
            script, rest = words[1], [w for w in words[2:] if w not in ("|", "\\")]
            assert (ROOT / script).is_file(), (page, line)
            name = (ROOT / script).stem
            set_to = [w for w in rest if "=" in w and not w.split("=")[1].isupper() and w != TUTORIAL]
            if name in CONFIGS:
                with initialize_config_dir(str((ROOT / CONFIGS[name]).parent), version_base="1.3"):
                    compose(Path(CONFIGS[name]).name, set_to)
            else:
                asked.append((page, line, script, [w for w in rest if w.startswith("--")]))
            seen += 1
    assert seen >= 20
    scripts = list(dict.fromkeys(script for _, _, script, _ in asked))
    done = subprocess.run([sys.executable, "-c", HELPER, *scripts], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-500:]
    helps = dict(map(json.loads, done.stdout.splitlines()))
    assert helps.keys() == set(scripts) and all("usage" in h.lower() for h in helps.values())
    for page, line, script, options in asked:
        known = set(re.findall(r"--[a-z][a-z0-9-]*", helps[script]))
        assert known.issuperset(o.split("=")[0] for o in options), (page, line, options)

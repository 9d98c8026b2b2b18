"""Every bad input is one clear sentence and exit code 2, and nothing that was there before is lost."""

from __future__ import annotations

import json
import re
import shutil

import numpy as np
import pytest
import soundfile
from safetensors.torch import save_file

from tests.conftest import EXAMPLES, ROOT
from tts_meta.cli import main

CLIPS = EXAMPLES / "clips"


@pytest.fixture
def run(capsys, monkeypatch, library):
    def call(*args):
        monkeypatch.setattr("sys.argv", ["tts-meta", *map(str, args)])
        with pytest.raises(SystemExit) as stop:
            main()
        out = capsys.readouterr()
        return stop.value.code or 0, out.out, out.err

    return call


def clip(path, samples, rate=16000, text="Please call Stella."):
    soundfile.write(path, samples, rate)
    path.with_suffix(".txt").write_text(text)
    return path


def noise(seconds, level=0.1):
    return level * np.random.default_rng(0).normal(size=int(16000 * seconds))


def refused(result, *words):
    code, out, err = result
    last = err.strip().splitlines()[-1]
    assert code == 2, (code, err)
    assert out == "" and last.startswith("Error: ") and "Traceback" not in err
    for word in words:
        assert word in last, last


def test_not_audio(run, tmp_path):
    (tmp_path / "a.wav").write_text("hello")
    (tmp_path / "a.txt").write_text("hello")
    refused(run("clone", tmp_path, "--name", "x"), "could not be read as audio")


def test_empty(run, tmp_path):
    (tmp_path / "a.wav").write_bytes(b"")
    (tmp_path / "a.txt").write_text("hello")
    refused(run("clone", tmp_path, "--name", "x"), "empty")


def test_silent(run, tmp_path):
    refused(run("clone", clip(tmp_path / "a.wav", np.zeros(32000)), "--name", "x"), "silent")


def test_too_short(run, tmp_path):
    refused(run("clone", clip(tmp_path / "a.wav", noise(0.4)), "--name", "x"), "0.40 s", "0.6 s")


def test_not_enough_speech(run):
    refused(run("clone", CLIPS / "p225_001.flac", "--name", "x"), "usable speech", "at least 5 s")


def test_clipped(run, tmp_path):
    samples, rate = soundfile.read(CLIPS / "p225_002.flac")
    refused(run("clone", clip(tmp_path / "a.wav", np.clip(samples * 30, -0.99, 0.99), rate), "--name", "x"), "clipped")


def test_transcript_missing(run, tmp_path, monkeypatch):
    monkeypatch.setattr("tts_meta.measures.intelligibility.load_recogniser", lambda: None)
    shutil.copy(CLIPS / "p225_002.flac", tmp_path)
    refused(run("clone", tmp_path, "--name", "x"), "p225_002.flac has no transcript", "--transcripts")


def test_transcript_empty(run, tmp_path):
    refused(run("clone", clip(tmp_path / "a.wav", noise(2), text="  "), "--name", "x"), "a.wav is empty")


@pytest.mark.parametrize("text", ["", "?!", "🙂"])
def test_nothing_to_speak(run, cloned, tmp_path, text):
    refused(run("say", text, "--voice", cloned.path, "--out", tmp_path / "o.wav"), "nothing to speak")
    assert not (tmp_path / "o.wav").exists()


def test_unknown_voice(run, tmp_path):
    refused(run("say", "hi", "--voice", "nobody", "--out", tmp_path / "o.wav"), "no voice 'nobody'")


@pytest.mark.parametrize("name", ["../x", "a/b", "..", "a\\b", "", ".hidden"])
def test_names_with_path_characters(run, name):
    refused(run("clone", CLIPS, "--name", name), "cannot be used")


def test_existing_name_without_force(run, library, cloned):
    library.mkdir()
    shutil.copy(cloned.path, library / "me.voice")
    before = (library / "me.voice").read_bytes()
    refused(run("clone", CLIPS, "--name", "me"), "exists already", "--force")
    assert (library / "me.voice").read_bytes() == before


def test_voice_of_another_starter(run, cloned, tmp_path):
    header = json.loads(_header(cloned.path))
    header["starter"] = "0" * 64
    save_file({"speaker": __import__("torch").zeros(64).half()}, tmp_path / "o.voice", {"voice": json.dumps(header)})
    refused(run("say", "hi", "--voice", tmp_path / "o.voice", "--out", tmp_path / "o.wav"), "000000000000", "starter")


def _header(path) -> str:
    from safetensors import safe_open

    with safe_open(str(path), "pt") as f:
        return f.metadata()["voice"]


@pytest.mark.parametrize(
    "damage", ["truncated", "huge header", "not a voice", "nan", "nan scale", "no scale", "wrong shape", "unknown module",
               "few gains", "huge gain", "gains of words", "no pitch gain", "pitch gain of nan"]
)
def test_damaged_voices(run, cloned, tmp_path, damage):
    import torch
    from safetensors.torch import load_file

    path = tmp_path / "d.voice"
    blob, header = cloned.path.read_bytes(), {"voice": _header(cloned.path)}
    tensors = load_file(str(cloned.path))
    weight = next(k for k in tensors if tensors[k].dtype == torch.int8)
    vector = next(k for k in tensors if tensors[k].dtype == torch.float16)
    if damage == "truncated":
        path.write_bytes(blob[: len(blob) // 2])
    elif damage == "huge header":
        path.write_bytes(b"\xff" * 8 + blob[8:])
    elif damage == "not a voice":
        path.write_bytes(b"\x80\x04\x95 pickled")
    elif "gain" in damage:
        told = json.loads(header["voice"])
        wrong = {
            "few gains": {"variance_gains": [1.0]}, "huge gain": {"variance_gains": [1e9] * 40},
            "gains of words": {"variance_gains": ["a"] * 40}, "no pitch gain": {"pitch_gain": None},
            "pitch gain of nan": {"pitch_gain": float("nan")},
        }[damage]
        save_file(tensors, path, {"voice": json.dumps({**told, **wrong})})
    else:
        scale = tensors[weight + "#scale"]
        save_file({
            "nan": {vector: tensors[vector] * float("nan")},
            "nan scale": {weight: tensors[weight], weight + "#scale": scale * float("nan")},
            "no scale": {weight: tensors[weight]},
            "wrong shape": {vector: torch.zeros(3).half()},
            "unknown module": {"evil": tensors[vector]},
        }[damage], path, header)
    refused(run("voices", "import", path), "d.voice")


def test_disk_full_while_saving(run, library, cloned, monkeypatch, tmp_path):
    def full(fd):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    refused(run("say", "Hello.", "--voice", cloned.path, "--out", tmp_path / "o.wav"), "No space left")
    assert not list(tmp_path.iterdir())


def test_no_network_is_needed(cloned, tmp_path, starter, monkeypatch):
    """clone -> say -> evaluate with sockets blocked."""
    import os
    import subprocess
    import sys

    # Every Python process reads it, the one of the job too.
    (tmp_path / "sitecustomize.py").write_text(
        "import socket\n"
        "def blocked(*a, **k): raise OSError('the network is blocked')\n"
        "socket.socket.connect = socket.create_connection = socket.getaddrinfo = blocked\n"
    )
    environment = {
        **os.environ, "PYTHONPATH": f"{tmp_path}:{ROOT}", "TTS_META_HOME": str(tmp_path / "home"), "TTS_META_THREADS": "1",
    }
    check = "import socket; socket.create_connection(('127.0.0.1', 1))"
    tried = subprocess.run([sys.executable, "-c", check], env=environment, capture_output=True, text=True)
    assert "the network is blocked" in tried.stderr
    reference = tmp_path / "reference"
    shutil.copytree(EXAMPLES / "reference", reference)
    for extra in sorted(reference.glob("*.flac"))[2:]:
        extra.unlink()

    def offline(*args):
        done = subprocess.run([sys.executable, "-m", "tts_meta.cli", *map(str, args)], env=environment, cwd=tmp_path,
                              capture_output=True, text=True, timeout=400)
        assert done.returncode == 0, done.stderr[-2000:]
        return json.loads(done.stdout)

    made = offline("clone", CLIPS, "--name", "me", "--steps", "3", "--preview", "Hello.", "--json")
    assert {"voice", "modules", "steps", "best_step", "heldout_loss", "clips", "seconds_total", "bytes"} <= set(made)
    assert set(made["modules"][0]) == {"name", "parameters", "sigma_relative", "moved"}
    assert {"file", "seconds", "used", "reason", "level", "findings"} <= set(made["clips"][0])
    offline("say", "Good morning.", "--voice", "me", "--out", tmp_path / "o.wav", "--json")
    metrics = offline("evaluate", "--voice", "me", "--reference", reference, "--out", tmp_path / "r", "--json")
    assert set(metrics["similarity"]) == {"floor", "clone", "ceiling_vocoded", "ceiling_real", "position"}
    assert {"wer", "mcd_db", "f0_rmse_cents", "realtime_factor", "utterances", "encoder"} <= set(metrics)
    assert all(1 < metrics["dnsmos"][k] < 5 for k in ("clone", "vocoded", "real"))
    assert metrics["similarity"]["floor"] < metrics["similarity"]["ceiling_vocoded"] < 1
    assert json.loads((tmp_path / "r" / "metrics.json").read_text()) == metrics
    page = (tmp_path / "r" / "report.html").read_text()
    assert "data:audio/flac" in page and "speaker" in page
    assert not re.search(r"""(?:src|href)=["']?http|url\(["']?http|@import""", page), "the report loads from the network"


def test_files_that_are_asked_for_as_what_they_are_not(run, cloned, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "book.txt").write_text("Hello there.")
    refused(run("voices", "sample", cloned.path, "hello.txt"), "ends in .txt")
    refused(run("batch", "book.txt", "--voice", cloned.path, "--out", "book.txt"), "book.txt is a file", "folder")
    code, _, err = run("say", "book.txt", "--voice", cloned.path, "--out", "a.wav")
    assert code == 0 and "book.txt is a file, and its name is what is read" in err

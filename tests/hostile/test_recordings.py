"""Recordings of every kind, each among good ones, through `check` and a clone's plan: used rightly, or named with its reason
and its fix."""

from __future__ import annotations

import json
import os
import shutil
import struct
from pathlib import Path

import numpy as np
import pytest
import soundfile
import soxr

from tests.conftest import EXAMPLES
from tests.hostile.test_bad_input import CLIPS, refused, run  # noqa: F401
from tts_meta.audio.decoding import read_recording
from tts_meta.audio.measures import clipped_share
from tts_meta.clips.transcripts import find_clips, find_transcripts
from tts_meta.errors import InputError

ODD = CLIPS / "p225_003.flac"


@pytest.fixture(scope="module")
def good():
    return soundfile.read(ODD, dtype="float32")


@pytest.fixture
def folder(tmp_path):
    """Two good clips with their texts."""
    texts = find_transcripts(find_clips([CLIPS]), None)
    for name in ("p225_002", "p225_005"):
        shutil.copy(CLIPS / f"{name}.flac", tmp_path)
        (tmp_path / f"{name}.txt").write_text(texts[CLIPS / f"{name}.flac"])
    return tmp_path


def columns(*weights):
    """The speech in several channels."""
    return lambda x, rate: (np.stack([w * x for w in weights], 1), rate)


def at_rate(target):
    return lambda x, rate: (soxr.resample(x, rate, target), target)


def with_a_pause(x, rate):
    """Five seconds of zeros at the quietest place in the middle."""
    size = rate // 20
    inside = range(len(x) // 3, 2 * len(x) // 3, size)
    at = min(inside, key=lambda i: float((x[i : i + size] ** 2).mean())) + size // 2
    return np.concatenate([x[:at], np.zeros(5 * rate), x[at:]]), rate


KINDS = {
    "24bit.wav": ("WAV", "PCM_24", None, ""),
    "extensible.wav": ("WAVEX", "PCM_24", None, ""),
    "over.wav": ("WAV", "FLOAT", lambda x, rate: (3 * x / np.abs(x).max(), rate), ""),
    "mulaw.wav": ("WAV", "ULAW", None, ""),
    "adpcm.wav": ("WAV", "IMA_ADPCM", None, ""),
    "8k.wav": ("WAV", "PCM_16", at_rate(8000), "like a telephone"),
    "96k.wav": ("WAV", "PCM_16", at_rate(96000), ""),
    "silent channel.wav": ("WAV", "PCM_16", columns(1, 0), ""),
    "inverted.wav": ("WAV", "PCM_16", columns(1, -1), ""),
    "surround.wav": ("WAV", "PCM_16", columns(0, 0, 1, 0, 0, 0), ""),
    "dc.wav": ("WAV", "FLOAT", lambda x, rate: (x / 2 + 0.3, rate), ""),
    "faint.wav": ("WAV", "PCM_24", lambda x, rate: (0.002 * x / np.abs(x).max(), rate), "very quiet"),
    "silence around.wav": ("WAV", "PCM_16", lambda x, rate: (np.pad(x, 5 * rate), rate), ""),
    "it's “an mp3” 🙂.wav": ("MP3", None, None, ""),
    f"{'x' * 200}.caf": ("CAF", "PCM_16", None, ""),
    "pause.wav": ("WAV", "PCM_16", with_a_pause, "s, of which 0.5 s are used"),
    "cut.au": ("AU", "PCM_16", None, "cut off"),
}
"""File: how it is written, what is done to its speech, and what is said of it (nothing: it is green)."""


def test_every_kind_is_used(run, tmp_path):  # noqa: F811
    """Each kind of its own clip, so that none is another's copy."""
    clips = find_clips([CLIPS, EXAMPLES / "reference"])[1:]
    texts = find_transcripts(clips, None)
    for clip, (name, (form, subtype, change, _)) in zip(clips, KINDS.items(), strict=True):
        samples, rate = soundfile.read(clip, dtype="float32")
        samples, rate = change(samples, rate) if change else (samples, rate)
        path = tmp_path / name
        soundfile.write(path, samples, rate, format=form, subtype=subtype)
        if name.startswith("cut"):
            path.write_bytes(path.read_bytes()[: int(0.98 * path.stat().st_size)])
        path.with_suffix(".txt").write_text(texts[clip])
    code, out, err = run("check", tmp_path, "--json")
    found = {Path(c["file"]).name: c for c in json.loads(out)["clips"]}
    assert code == 0 and set(found) == set(KINDS)
    for name, (*_, words) in KINDS.items():
        said = " ".join(f["sentence"] for f in found[name]["findings"] if f["about"] != "speaker")
        assert found[name]["used"] and (words in said if words else not said), (name, said)
    code, out, err = run("clone", tmp_path, "--name", "x", "--plan")
    assert code == 0 and out.startswith(f"{len(KINDS)} clips ") and "left out" not in err


def test_what_cannot_be_read_is_left_out_and_named(run, folder):  # noqa: F811
    (folder / "empty.wav").write_bytes(b"")
    (folder / "words.wav").write_bytes(b"hello " * 50)
    (folder / "words.txt").write_text("Hello.")
    (folder / "talk.m4a").write_bytes(m4a_without_its_end())
    code, out, _ = run("check", folder, "--json")
    reasons = {Path(c["file"]).name: c["reason"] for c in json.loads(out)["clips"] if not c["used"]}
    assert code == 0 and reasons["empty.wav"].startswith("It is empty (0 bytes)") and len(reasons) == 3
    assert reasons["words.wav"].startswith("It could not be read as audio")
    assert reasons["talk.m4a"].startswith("It is cut off: the index") or "extra 'formats'" in reasons["talk.m4a"]
    code, out, err = run("clone", folder, "--name", "x", "--plan")
    assert code == 0 and out.startswith("2 clips ") and "Traceback" not in err
    for name in reasons:
        assert f"left out: {name}: It " in err, err


def m4a_without_its_end() -> bytes:
    """The first boxes of an m4a as a telephone writes it: what it is, then sound; the index would come last."""
    return struct.pack(">I4s4sI4s", 20, b"ftyp", b"M4A ", 0, b"isom") + struct.pack(">I4s", 5000, b"mdat") + bytes(4000)


def test_a_dead_link_and_what_is_no_sound_are_passed_over(run, folder):  # noqa: F811
    os.symlink(folder / "nowhere.wav", folder / "dead.wav")
    (folder / "cover.jpg").write_bytes(b"\xff\xd8\xff")
    (folder / "._p225_002.flac").write_bytes(b"x")
    (folder / ".hidden").mkdir()
    shutil.copy(ODD, folder / ".hidden" / "a.flac")
    code, out, err = run("clone", folder, "--name", "x", "--plan")
    assert code == 0 and out.startswith("2 clips ")
    for words in ("leads nowhere and is passed over: dead.wav", "no audio by name and passed over: cover.jpg", "2 hidden"):
        assert err.count(words) == 1, err


def test_nothing_usable_ends_a_clone(run, tmp_path):  # noqa: F811
    for name in ("a.wav", "b.wav"):
        (tmp_path / name).write_bytes(b"hello " * 50)
    refused(run("clone", tmp_path, "--name", "x", "--plan"), "None of the 2 files can be used")


def test_wide_steps_are_no_clipping(good):
    samples, _ = good
    peak = np.abs(samples).max()
    coarse = np.round(samples / peak * 31) / 31
    assert clipped_share(coarse.astype(np.float32)) == 0
    assert clipped_share(np.clip(samples / peak * 4, -1, 1)) > 0.005


def test_a_recorder_that_crashed_before_it_wrote_the_length(tmp_path):
    pytest.importorskip("av")
    soundfile.write(tmp_path / "a.wav", 0.1 * np.random.default_rng(0).normal(size=16000), 16000, subtype="PCM_16")
    data = (tmp_path / "a.wav").read_bytes()
    (tmp_path / "b.wav").write_bytes(data[:4] + bytes(4) + data[8:40] + bytes(4) + data[44:])
    whole, rest = read_recording(tmp_path / "a.wav"), read_recording(tmp_path / "b.wav")
    assert rest.rate == 16000 and np.allclose(whole.samples, rest.samples, atol=1e-4)


@pytest.mark.parametrize(("content", "what"), [
    (b"version https://git-lfs.github.com/spec/v1\noid sha256:ab\n", "Git LFS"), (b"<!DOCTYPE html><p>404", "web page"),
])
def test_what_was_downloaded_in_place_of_a_sound_is_named(tmp_path, content, what):
    (tmp_path / "a.wav").write_bytes(content)
    with pytest.raises(InputError, match=f"could not be read as audio: it is .*{what}"):
        read_recording(tmp_path / "a.wav")

"""Hum, music, whisper and speech under noise: used rightly, or named with a reason and a fix, by `check` and by a clone's
plan."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

from tests.hostile import sounds
from tests.hostile.test_bad_input import CLIPS, refused, run  # noqa: F401
from tts_meta.clips.transcripts import find_clips, find_transcripts


def made(folder: Path, change) -> Path:
    """Four example clips with their texts, each changed by `change(samples, rate)`."""
    folder.mkdir()
    clips = find_clips([CLIPS])[:5][1:]
    for clip, text in find_transcripts(clips, None).items():
        samples, rate = soundfile.read(clip)
        found = change(samples, rate)
        soundfile.write(folder / f"{clip.stem}.wav", 0.8 * found / np.abs(found).max(), rate)
        (folder / f"{clip.stem}.txt").write_text(text)
    return folder


def noise(samples, rate):
    return np.random.default_rng(0).normal(size=len(samples))


@pytest.mark.parametrize(("change", "reason", "fix"), [
    (lambda x, rate: sounds.hum(len(x), rate), "No speech was found", "Record it again"),
    (lambda x, rate: sounds.music(len(x), rate), "No speech was found", "Record it again"),
    (noise, "No speech was found", "Record it again"),
    (sounds.whispered, "whispered", "Say it aloud"),
    (lambda x, rate: sounds.beside(x, sounds.hum(len(x), rate), 5), "above the noise", "quiet, soft room"),
    (lambda x, rate: sounds.beside(x, noise(x, rate), 5), "above the noise", "quiet, soft room"),
], ids=["hum", "music", "noise", "whisper", "hum over speech", "noise over speech"])
def test_what_no_voice_can_be_made_of(run, tmp_path, change, reason, fix):  # noqa: F811
    folder = made(tmp_path / "clips", change)
    code, out, _ = run("check", folder, "--json")
    assert code == 2
    for clip in json.loads(out)["clips"]:
        assert clip["level"] == "red" and any(reason in f["sentence"] and fix in f["fix"] for f in clip["findings"]), clip
    refused(run("clone", folder, "--name", "x", "--plan"), "usable speech", reason)


def test_noise_is_lowered_and_hides_the_words_where_it_cannot_be(run, tmp_path, monkeypatch):  # noqa: F811
    folder = made(tmp_path / "clips", lambda x, rate: sounds.beside(x, noise(x, rate), 15))
    code, out, _ = run("check", folder, "--json")
    assert code == 0 and all(c["used"] and "was lowered" in c["findings"][0]["sentence"] for c in json.loads(out)["clips"])
    monkeypatch.setitem(sys.modules, "pyrnnoise", None)  # as on a system that it has no build for
    code, out, _ = run("check", folder, "--json")
    assert code == 2
    for clip in json.loads(out)["clips"]:
        assert clip["level"] == "red" and any(
            "The noise hides what is said" in f["sentence"] and "quiet, soft room" in f["fix"] for f in clip["findings"])


@pytest.mark.parametrize("other", [sounds.hum, sounds.music], ids=["hum", "music"])
def test_what_is_faint_is_used_and_what_is_loud_is_told(run, tmp_path, other):  # noqa: F811
    faint = made(tmp_path / "faint", lambda x, rate: sounds.beside(x, other(len(x), rate), 30))
    code, out, _ = run("check", faint, "--json")
    assert code == 0 and all(c["used"] and not c["findings"] for c in json.loads(out)["clips"])
    assert run("clone", faint, "--name", "x", "--plan")[0] == 0
    loud = made(tmp_path / "loud", lambda x, rate: sounds.beside(x, other(len(x), rate), 15))
    code, out, _ = run("check", loud, "--json")
    found = json.loads(out)["clips"]
    assert code == 0 and all(c["level"] == "amber" and "above the noise" in c["findings"][0]["sentence"] for c in found)

"""A disk that is full and a home that cannot be written: one sentence, no traceback, and nothing half-written."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys

import pytest

from tests.conftest import EXAMPLES
from tests.hostile.test_bad_input import refused, run  # noqa: F401
from tts_meta.clips.draft_clips import Draft
from tts_meta.errors import InputError
from tts_meta.jobs import job_control, job_process
from tts_meta.jobs.job_folder import list_jobs
from tts_meta.voices.library import copy_voice, import_voice, note_voice, voice_names

CLIPS = EXAMPLES / "clips"
FEW = sorted(CLIPS.glob("*.flac"))[2:5]
"""Enough for a clone."""


def mounted(folder, size):
    """A file system of `size` at `folder`; skips where this machine does not allow it."""
    folder.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)], capture_output=True).returncode:
        pytest.skip("a small file system cannot be mounted here (root is needed)")
    return folder


@pytest.fixture
def small(tmp_path):
    """A file system of 64 kB."""
    folder = mounted(tmp_path / "small", "64k")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


@pytest.fixture
def roomy(tmp_path, monkeypatch):
    """A home on a file system of 48 MB."""
    folder = mounted(tmp_path / "roomy", "48m")
    monkeypatch.setenv("TTS_META_HOME", str(folder))
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def fill(folder, left=0):
    """Take all the room of a file system but `left` bytes."""
    with open(folder / "filler", "wb", buffering=0) as f, pytest.raises(OSError):
        while f.write(bytes(4096)):
            pass
    if left:
        with open(folder / "filler", "r+b") as f:
            f.truncate((folder / "filler").stat().st_size - left)


def files_of(folder):
    return sorted(p for p in folder.rglob("*") if p.is_file() and p.name not in ("filler", ".running"))


def test_say_and_batch_to_a_full_disk(run, cloned, small, tmp_path):  # noqa: F811
    text = "It is late, and everybody has gone home by now."
    refused(run("say", text, "--voice", cloned.path, "--out", small / "a.wav"), "a.wav could not be written", "No space left")
    (tmp_path / "t.txt").write_text(text)
    fill(small)
    refused(run("batch", tmp_path / "t.txt", "--voice", cloned.path, "--out", small / "b"), "could not be written")
    assert files_of(small) == []


def test_a_clone_on_a_full_disk_leaves_no_recording(run, small, monkeypatch):  # noqa: F811
    monkeypatch.setenv("TTS_META_HOME", str(small))
    refused(run("clone", *FEW, "--name", "x", "--steps", "5"), "could not be written", "No space left")
    assert files_of(small) == [] and list_jobs() == []


def test_a_library_on_a_full_disk(small, cloned, starter, monkeypatch):
    monkeypatch.setenv("TTS_META_HOME", str(small))
    for act in (lambda: import_voice(cloned.path, starter), lambda: Draft().add(CLIPS / "p225_003.flac")):
        with pytest.raises(InputError, match="could not be written"):
            act()
    assert files_of(small) == [] and voice_names() == ["example"] and not Draft().rows


def test_a_full_library_keeps_what_it_has(roomy, cloned, starter):
    import_voice(cloned.path, starter)
    before = files_of(roomy)[0].read_bytes()
    fill(roomy)
    for act in (lambda: note_voice("p225", "mine"), lambda: copy_voice("p225", "other")):
        with pytest.raises(InputError, match="could not be written"):
            act()
    assert [p.read_bytes() for p in files_of(roomy)] == [before]


def test_a_disk_that_fills_while_a_job_runs(roomy, starter, monkeypatch):
    from tts_meta.adaptation.clone_settings import Settings
    from tts_meta.clips.checkup import check_clips
    from tts_meta.clips.transcripts import find_clips, find_transcripts

    clips = find_clips(FEW)
    checked = check_clips(clips, find_transcripts(clips, None), starter)
    job, _ = job_control.create(starter, checked, Settings("x", 12, consent="y"), preview="Hello.")
    job.set_state(status="queued", queued_at=1.0)
    fill(roomy, left=64 * 1024)
    monkeypatch.setattr(sys, "argv", ["worker", str(job.path)])
    job_process.main()
    state = job.state
    assert state.status == "failed" and "could not be written" in state.reason and "No space left" in state.reason, state
    assert job.events()[0][-1]["kind"] == "failed"
    for line in job.file("events.jsonl").read_text().splitlines():
        json.loads(line)  # none is cut short
    assert not (roomy / "x.voice").exists() and not list(job.path.rglob("*.part"))
    # With room again it goes on.
    (roomy / "filler").unlink()
    job.set_state(status="queued", queued_at=1.0)
    job_process.main()
    assert job.state.status == "done" and (roomy / "x.voice").exists() and not job.file("reserve").exists()


def test_evaluate_to_a_full_disk(run, cloned, small, tmp_path):  # noqa: F811
    fill(small)
    references = tmp_path / "reference"
    shutil.copytree(EXAMPLES / "reference", references)
    for extra in sorted(references.glob("*.flac"))[2:]:
        extra.unlink()
    refused(run("evaluate", "--voice", cloned.path, "--reference", references, "--out", small / "report"), "could not be written")
    assert files_of(small) == []


@pytest.mark.parametrize("home", ["/dev/null/home", "/proc/nowhere"])
def test_a_home_that_cannot_be_written(run, cloned, starter, tmp_path, monkeypatch, home):  # noqa: F811
    monkeypatch.setenv("TTS_META_HOME", home)
    refused(run("clone", *FEW, "--name", "x", "--steps", "5"), "could not be written")
    refused(run("voices", "import", cloned.path), "could not be written")
    refused(run("jobs", "show", "last"), "no job")
    assert run("jobs", "list")[0] == 0 and run("voices", "list")[0] == 0
    # What needs no home does not ask for one.
    assert run("say", "Hello.", "--voice", cloned.path, "--out", tmp_path / "a.wav")[0] == 0
    with pytest.raises(InputError, match="could not be written"):
        Draft().add(CLIPS / "p225_003.flac")

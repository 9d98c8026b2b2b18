"""Clones as jobs: their own process, states, kept steps, stop and continue, kill -9, a queue."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from pathlib import Path

import pytest
import torch

from tests.conftest import EXAMPLES, ROOT
from tts_meta.adaptation.clone_settings import Settings
from tts_meta.adaptation.stopping import plateau
from tts_meta.clips.checkup import check_clips
from tts_meta.clips.prepared_clips import load_prepared, prepare, save_prepared
from tts_meta.clips.transcripts import find_clips, find_transcripts
from tts_meta.errors import InputError
from tts_meta.jobs import job_control
from tts_meta.jobs.job_folder import Job, delete_job, find_job, list_jobs
from tts_meta.voices.voice_file import load_voice
from tts_meta.voices.voice_header import read_header

STEPS = 20


@pytest.fixture(scope="module")
def checkup(starter):
    paths = find_clips([EXAMPLES / "clips"])[:5]
    return check_clips(paths, find_transcripts(paths, None), starter)


def make(starter, checkup, name="job", steps=STEPS, **kwargs) -> Job:
    """A short sentence is enough of a preview here."""
    return job_control.create(starter, checkup, Settings(name, steps, consent="a test", **kwargs), preview="Hello.")[0]


def wait(job: Job, *statuses: str, seconds: float = 240) -> None:
    end = time.monotonic() + seconds
    while job.state.status not in statuses:
        assert time.monotonic() < end, (job.state, job.file("log.txt").read_text()[-2000:])
        assert job.state.status not in {"failed"} - set(statuses), (job.state, job.file("log.txt").read_text()[-2000:])
        time.sleep(0.1)


def pids(job: Job) -> list[int]:
    found = subprocess.run(["pgrep", "-f", str(job.path)], capture_output=True, text=True).stdout.split()
    return [int(p) for p in found if int(p) != os.getpid()]


def reach(job: Job, step: int) -> None:
    end = time.monotonic() + 240
    while job.state.step < step:
        assert time.monotonic() < end and job.state.status != "failed", job.state
        time.sleep(0.02)


@pytest.fixture(scope="module")
def finished(starter, checkup, tmp_path_factory):
    """An uninterrupted job."""
    home = tmp_path_factory.mktemp("home")
    old = os.environ.get("TTS_META_HOME")
    os.environ["TTS_META_HOME"] = str(home)
    os.environ["TTS_META_THREADS"] = "1"
    try:
        job = make(starter, checkup)
        job_control.start(job)
        events = list(job_control.watch(job, timeout=240))
        yield job, events
    finally:
        os.environ.pop("TTS_META_HOME") if old is None else os.environ.__setitem__("TTS_META_HOME", old)


def test_a_job_makes_a_voice_and_keeps_its_steps(finished, starter):
    job, events = finished
    assert job.state.status == "done" and job.state.step == job.state.steps == STEPS + round(0.2 * STEPS)
    voice = load_voice(Path(job.state.voice), starter)
    assert voice.name == "job" and voice.header["consent"] == "a test"
    steps = [k["step"] for k in job.kept()]
    assert {0, 6, 10, STEPS + 4} <= set(steps), steps
    assert all(Path(k["sound"]).stat().st_size > 10_000 for k in job.kept())
    seen = [e["step"] for e in events if e["kind"] == "progress"]
    assert seen == sorted(seen) and seen[0] == 0 and seen[-1] == STEPS + 4
    assert sum(e["kind"] == "kept" for e in events) == len(steps)
    # At step 0 nothing has moved, later something has.
    still, moved = (load_voice(Path(job.kept()[i]["voice"]), starter).deltas for i in (0, -1))
    assert not any(v.any() for v in still.values()) and any(v.any() for v in moved.values())


def test_use_step_makes_a_kept_step_the_voice(finished, starter):
    job, _ = finished
    last = job.state.voice
    path = job_control.use_step(job, 10)
    assert path == Path(last) and read_header(path)["best_step"] == 10
    job_control.use_step(job, STEPS + 4)
    assert read_header(path)["best_step"] == STEPS + 4
    with pytest.raises(InputError, match="11 was not kept"):
        job_control.use_step(job, 11)


def test_killed_it_goes_on_bit_for_bit(finished, starter, checkup, monkeypatch):
    whole, _ = finished
    job = make(starter, checkup, "killed")
    job_control.start(job)
    reach(job, 7)
    for pid in pids(job):
        os.kill(pid, signal.SIGKILL)
    time.sleep(0.2)
    monkeypatch.setattr("tts_meta.jobs.job_folder.START_SECONDS", 0.0)
    assert job.state.status == "interrupted" and job.state.fix
    job_control.start(job)
    monkeypatch.undo()
    os.environ["TTS_META_HOME"] = str(whole.path.parents[1])
    wait(job, "done")
    a, b = (load_voice(Path(j.state.voice), starter) for j in (whole, job))
    assert a.deltas.keys() == b.deltas.keys() and all(torch.equal(a.deltas[k], b.deltas[k]) for k in a.deltas)
    assert a.header["heldout_loss"] == b.header["heldout_loss"]
    assert [k["step"] for k in whole.kept()] == [k["step"] for k in job.kept()]


def test_stop_keeps_a_voice_and_can_be_continued_with_new_clips(finished, starter, checkup):
    os.environ["TTS_META_HOME"] = str(finished[0].path.parents[1])
    job = make(starter, checkup, "stopped", steps=2000)
    job_control.start(job)
    with pytest.raises(InputError, match="running or waiting"):
        job_control.start(job)
    reach(job, 5)
    with pytest.raises(InputError, match="running; stop it first"):
        delete_job(job)
    job_control.stop(job)
    wait(job, "stopped")
    assert load_voice(Path(job.state.voice), starter).name == "stopped"
    at = job.state.step
    again = job_control.go_on(starter, job, steps=at + 5)
    assert again.id == job.id
    wait(job, "done")
    assert job.state.step >= at + 5 and any(e["kind"] == "resumed" and e["step"] == at for e in job.events()[0])
    paths = find_clips([EXAMPLES / "reference"])[:2]
    more = check_clips(paths, find_transcripts(paths, None), starter)
    following = job_control.go_on(starter, job, steps=5, more=more)
    assert following.id != job.id and len(load_prepared(following.file("clips.safetensors"), starter)) == 7
    wait(following, "done")
    assert read_header(Path(following.state.voice))["clips"] == 7
    with pytest.raises(InputError, match="new and usable"):
        job_control.go_on(starter, following, more=more)
    delete_job(following)
    assert following.id not in [j.id for j in list_jobs()]
    with pytest.raises(InputError, match="There is no job"):
        find_job(following.id)


def test_jobs_wait_for_each_other_and_a_voice_made_meanwhile_is_not_overwritten(finished, starter, checkup):
    """Three at once, two of them of one name, planned before either ran: one runs at a time, in the order they were started,
    and the second of the name keeps its steps and leaves the voice alone."""
    os.environ["TTS_META_HOME"] = str(finished[0].path.parents[1])
    jobs = [make(starter, checkup, name, steps=5) for name in ("other", "twice", "twice")]
    for j in jobs:
        job_control.start(j)
    order: list[str] = []
    before = b""
    end = time.monotonic() + 300
    while not all(j.state.status in ("done", "failed") for j in jobs):
        assert time.monotonic() < end, [j.state for j in jobs]
        running = [j.id for j in jobs if j.state.status == "running"]
        assert len(running) <= 1
        order += [r for r in running if r not in order]
        if not before and jobs[1].state.status == "done":
            before = Path(jobs[1].state.voice).read_bytes()
        time.sleep(0.05)
    assert order == [j.id for j in jobs]
    _, first, second = jobs
    assert [j.state.status for j in jobs] == ["done", "done", "failed"]
    assert "--name OTHER" in second.state.reason and before and Path(first.state.voice).read_bytes() == before
    assert read_header(job_control.use_step(second, 6, "new"))["best_step"] == 6


def test_a_failure_says_why(finished, starter, checkup):
    os.environ["TTS_META_HOME"] = str(finished[0].path.parents[1])
    job = make(starter, checkup, "broken")
    job.file("clips.safetensors").write_bytes(b"not clips")
    job_control.start(job)
    wait(job, "failed")
    assert job.state.reason and "report" in job.state.fix and str(job.file("log.txt")) in job.state.fix


def test_a_preview_that_a_crash_left_out_is_made(finished, starter, checkup):
    from tts_meta.adaptation.clone_in_progress import Cloning
    from tts_meta.jobs.job_work import keep

    job, _ = finished
    cloning = Cloning(starter, load_prepared(job.file("clips.safetensors"), starter), job.settings)
    next(cloning)
    (sound,) = job.path.glob("previews/000000.wav")
    sound.unlink()
    keep(job, cloning, best=False)
    assert sound.stat().st_size > 10_000


def test_the_plan_says_what_will_happen(starter, checkup, library):
    job, plan = job_control.create(starter, checkup, Settings("planned", 300))
    assert job.state.status == "planned" and plan.steps == 360 and plan.held_out == 1 and plan.clips == 5
    assert 0.1 < plan.minutes < 30 and 300 < plan.memory_mb < 8000 and "modules" in plan.sentence
    assert json.loads(job.file("spec.json").read_text())["plan"]["parameters"] == plan.parameters < 0.2 * 5_168_227
    with pytest.raises(InputError, match="cannot be used"):
        job_control.create(starter, checkup, Settings("../up", 300))


def test_prepared_clips_survive_the_file(tmp_path, checkup, starter):
    clips = prepare(checkup.used, starter)
    save_prepared(tmp_path / "c.safetensors", clips, starter)
    for a, b in zip(clips, load_prepared(tmp_path / "c.safetensors", starter), strict=True):
        assert (a.name, a.digest, a.text, a.item.phones) == (b.name, b.digest, b.text, b.item.phones)
        assert (a.item.mel == b.item.mel).all() and (a.item.durations == b.item.durations).all()
        assert (a.embedding == b.embedding).all()


def test_plateau_needs_both_signals():
    falling = [(50.0 - i, 0.5) for i in range(20)]
    rising = [(50.0 + i, 0.5 + 0.01 * i) for i in range(20)]
    flat = [(50.0 + 0.01 * i, 0.8 - 0.001 * i) for i in range(20)]
    assert not plateau(falling) and not plateau(rising) and plateau(flat)
    assert not plateau(flat[:6]) and plateau(flat[:7])
    # Another unit of the mel adds a constant to a negative log-density; it decides nothing.
    slow = [(45.0 - 0.05 * i, 0.8) for i in range(20)]
    for series in (falling, flat, slow):
        assert len({plateau([(loss + unit, like) for loss, like in series]) for unit in (-45.0, 0.0, 1000.0)}) == 1, series


def running(job: Job, starter):
    """A job's work in this process, ready to end."""
    from tts_meta.adaptation.clone_in_progress import Cloning

    cloning = Cloning(starter, load_prepared(job.file("clips.safetensors"), starter), job.settings)
    for _ in range(3):
        next(cloning)
    job.set_state(status="running")
    return cloning


def test_a_step_that_is_picked_while_the_job_ends_stays(starter, checkup, library):
    """The last word is the person's: the job's end does not put its best step over the one that was chosen."""
    from tts_meta.jobs.job_work import _finish, keep

    job = make(starter, checkup, "picked", steps=10)
    cloning = running(job, starter)
    first = int(keep(job, cloning, best=False).stem)
    path = job_control.use_step(job, first)
    next(cloning)
    _finish(job, cloning, "done")
    assert read_header(path)["best_step"] == first and job.state.status == "done" and job.state.voice == str(path)
    assert [e["step"] for e in job.events()[0] if e["kind"] == "voice"] == [first]
    # A voice that was deleted meanwhile is made, and whoever starts a job again wants what it will make.
    path.unlink()
    _finish(job, cloning, "stopped")
    assert read_header(path)["best_step"] == cloning.run.best_step != first
    job_control.use_step(job, first)
    job.set_state(status="stopped")
    job_control.start(job)
    wait(job, "done")
    assert read_header(path)["best_step"] > first


def test_the_end_of_a_job_waits_for_a_choice_that_is_being_written(starter, checkup, library):
    import threading

    from tts_meta.jobs.job_work import _finish, keep

    job = make(starter, checkup, "waits", steps=10)
    cloning = running(job, starter)
    first = int(keep(job, cloning, best=False).stem)
    next(cloning)
    with job.voice_lock():
        ending = threading.Thread(target=_finish, args=(job, cloning, "done"))
        ending.start()
        ending.join(timeout=5)
        assert ending.is_alive() and job.state.status != "done"
        job.file("picked").write_text(str(first))
        (library / "waits.voice").write_bytes((job.path / "steps" / f"{first:06d}.voice").read_bytes())
    ending.join(timeout=60)
    assert job.state.status == "done" and read_header(library / "waits.voice")["best_step"] == first


def test_a_named_step_does_not_become_the_jobs_own_voice(starter, checkup, library):
    from tts_meta.jobs.job_work import _finish, keep

    job = make(starter, checkup, "own", steps=10)
    cloning = running(job, starter)
    step = int(keep(job, cloning, best=False).stem)
    _finish(job, cloning, "stopped")
    job_control.use_step(job, step, "other")
    assert Path(job.state.voice).stem == "own" and job.picked is None
    _finish(job, cloning, "done")  # not "made by something else"
    assert Path(job.state.voice).stem == "own"


def test_changes_of_the_state_are_not_lost_between_processes(library, tmp_path):
    """Two processes change different keys two hundred times each; both last changes are there."""
    job = Job(tmp_path / "20260101-000000-000")
    job.path.mkdir()
    job.set_state(status="running")
    code = (
        "import sys; from pathlib import Path; from tts_meta.jobs.job_folder import Job\n"
        "job = Job(Path(sys.argv[1]))\n"
        "for i in range(200):\n    job.set_state(**{sys.argv[2]: i + 1})\n"
        "    assert getattr(job.state, sys.argv[2]) == i + 1, (i, job.state)\n"
    )
    import sys

    from tests.conftest import ROOT

    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    both = [subprocess.Popen([sys.executable, "-c", code, str(job.path), key], env=environment) for key in ("step", "steps")]
    assert [p.wait() for p in both] == [0, 0]
    assert (job.state.step, job.state.steps) == (200, 200)


def test_the_process_of_a_job_finds_this_package_and_nothing_beside_it(starter, checkup, library, monkeypatch):
    """A folder above the package may hold a `re.py` of its own."""
    started = []
    monkeypatch.setattr(job_control.subprocess, "Popen", lambda *_, env, **__: started.append(env["PYTHONPATH"]))
    monkeypatch.delenv("PYTHONPATH", raising=False)
    job_control.start(make(starter, checkup, "path"))
    assert started == [str(ROOT)]


def test_looking_whether_a_job_is_held_is_not_holding_it(library, tmp_path):
    """Another who looks at the same moment must not take the first for the job's process, nor make it impossible to delete."""
    import threading

    from tts_meta.jobs.job_folder import _lock

    job = Job(tmp_path / "20260101-000000-001")
    assert not job.held() and not job.path.exists(), "looking made a folder"
    job.path.mkdir()
    job.set_state(status="queued")
    with job.hold() as got:
        assert got and job.held()
    looking = threading.Event()

    def look() -> None:
        with _lock(job.file("lock"), shared=True) as seen:
            assert seen
            looking.set()
            time.sleep(0.3)

    other = threading.Thread(target=look)
    other.start()
    looking.wait()
    assert not job.held()
    delete_job(job)
    other.join()
    assert not job.path.exists()


@pytest.mark.parametrize("status", ["done", "stopped", "failed"])
def test_a_process_that_has_said_its_last_word_is_waited_for(library, tmp_path, status):
    """A slow machine may take seconds from a job's last word to the end of its process; nobody is told then that it runs."""
    import threading

    job = Job(tmp_path / "job")
    job.path.mkdir()
    begun, over = threading.Event(), threading.Event()

    def process() -> None:
        with job.hold():
            begun.set()
            over.wait(60)

    leaving = threading.Thread(target=process)
    leaving.start()
    assert begun.wait(10)
    job.set_state(status="running")
    assert job.at_work()
    with pytest.raises(InputError, match="running; stop it first"):
        delete_job(job)
    job.set_state(status=status)
    threading.Timer(1.5, over.set).start()
    assert not job.at_work() and over.is_set()
    leaving.join()
    assert not job.at_work()
    delete_job(job)
    assert not job.path.exists()


def test_plans_that_are_not_started_leave_no_recordings(starter, checkup, library):
    from tts_meta.jobs import job_folder

    first = make(starter, checkup, "plan")
    assert first.file("real.wav").exists() and first.file("clips.safetensors").exists()
    kept = make(starter, checkup, "plan")
    assert first.path.exists(), "somebody may still start it"
    for job in (first, kept):
        job.file("state.json").write_text(json.dumps({**json.loads(job.file("state.json").read_text()), "updated": 1.0}))
    kept_started = json.loads(kept.file("state.json").read_text()) | {"queued_at": 2.0}
    kept.file("state.json").write_text(json.dumps(kept_started))
    third = make(starter, checkup, "plan")
    assert not first.path.exists() and kept.path.exists() and third.path.exists()
    assert job_folder.forget_plans(0, "no such job") == [] and job_folder.forget_plans(0, third.id) == [third.id]


def test_a_job_of_an_earlier_version_is_still_told(finished, monkeypatch, capsys):
    """Its events do not say how many seconds are left."""
    from tts_meta.cli import cloning

    job, events = finished
    older = [{k: v for k, v in e.items() if k != "left"} for e in events]
    monkeypatch.setattr(job_control, "watch", lambda job: iter(older))
    cloning._follow(job, as_json=False)
    said = capsys.readouterr().err
    assert f"/{job.state.steps}" in said and "s left" not in said

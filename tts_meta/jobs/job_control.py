"""Make, start, stop, continue and watch jobs; each is one call for the command line and the page."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, replace
from pathlib import Path

import tts_meta
from tts_meta.adaptation.clone_at_once import free_path
from tts_meta.adaptation.clone_in_progress import Cloning, hold_out
from tts_meta.adaptation.clone_plan import Plan, plan
from tts_meta.adaptation.clone_settings import Settings
from tts_meta.audio.files import replace_file, told, write_wav
from tts_meta.audio.mel import SAMPLE_RATE
from tts_meta.clips.clip_check import Checkup
from tts_meta.clips.heard_accent import prepare_in_accent
from tts_meta.clips.prepared_clips import load_prepared, prepare, save_prepared
from tts_meta.errors import InputError
from tts_meta.jobs.job_folder import ENDED, PREVIEW, Job, forget_plans, list_jobs, whole_job
from tts_meta.places import library_folder
from tts_meta.starters.interface import Network
from tts_meta.voices.voice_file import load_voice


def create(
    starter: Network, checkup: Checkup, settings: Settings, out: Path | None = None, force: bool = False,
    preview: str = PREVIEW,
) -> tuple[Job, Plan]:
    """A job of checked clips and what it will take; nothing runs yet. Raises InputError for what the caller can mend.

    The job's folder holds what is learned from the clips and one of them as a sound, until the job is deleted; a plan that
    is not started is deleted when another is made an hour later or more.
    """
    forget_plans()
    folder, settings = out or library_folder(), settings.check()
    free_path(folder, settings.name, force)
    heard = prepare_in_accent(checkup.require(), starter, settings.accent)
    clips = heard.clips
    made = replace(plan(Cloning(heard.network, clips, settings)), accent=heard.sentence)
    # One held-out recording, to hear beside the clone.
    held = {c.digest for c in (hold_out(clips, settings.seed)[1] or clips)}
    real = next(c for c in checkup.used if c.digest in held)
    spec = {
        "settings": asdict(settings), "out": str(folder.absolute()), "force": force, "preview": preview,
        "real_text": real.text, "plan": made.to_dict(), "checkup": checkup.to_dict(), "starter": starter.identity,
        "accent": heard.network.accent,
    }
    with whole_job() as job:
        save_prepared(job.file("clips.safetensors"), clips, starter)
        write_wav(job.file("real.wav"), real.features.samples, SAMPLE_RATE)
        _write_spec(job, spec)
        job.set_state(status="planned", steps=made.steps)
    return job, made


def _write_spec(job: Job, spec: dict) -> None:
    replace_file(job.file("spec.json"), json.dumps(spec).encode())


def start(job: Job) -> None:
    """Start its process, or continue where it was stopped or killed. Raises InputError while it runs or when it is done."""
    if job.state.status in ("queued", "running"):
        raise InputError(f"The job {job.id} is running or waiting already.")
    if job.state.status == "done":
        raise InputError(f"The job {job.id} is done; add steps or clips to go on with it.")
    job.file("stop").unlink(missing_ok=True)
    job.file("picked").unlink(missing_ok=True)  # whoever starts it again wants what it will make
    job.set_state(status="queued", queued_at=time.time(), reason="", fix="")
    root = str(Path(tts_meta.__file__).parents[1])  # this very package, and nothing that lies beside it
    path = os.pathsep.join(p for p in (root, os.environ.get("PYTHONPATH", "")) if p)
    # One heap for all threads: with glibc's several a clone takes a quarter more memory, and no less time.
    environment = {"MALLOC_ARENA_MAX": "1", **os.environ, "PYTHONPATH": path}
    with told(job.file("log.txt")):
        log = open(job.file("log.txt"), "ab")  # noqa: SIM115 (what comes after has errors of its own)
    with log:
        subprocess.Popen(
            [sys.executable, "-m", "tts_meta.jobs.job_process", str(job.path)], stdin=subprocess.DEVNULL, stdout=log,
            stderr=log, start_new_session=True, env=environment,
        )


def stop(job: Job) -> None:
    """Ask it to stop; it keeps its best step as a voice, and can be continued."""
    if not job.held() and job.state.status != "planned":
        raise InputError(f"The job {job.id} is not running; it is {job.state.status}.")
    with told(job.file("stop")):
        job.file("stop").touch()


def watch(job: Job, poll: float = 0.3, timeout: float | None = None) -> Iterator[dict]:
    """Its events as they come, until it ends. Raises InputError when nothing is heard of it for `timeout` s."""
    offset, heard = 0, time.monotonic()
    while True:
        state = job.state  # before the events, so that the last of them are not missed
        events, offset = job.events(offset)
        if events:
            heard = time.monotonic()
        yield from events
        if state.status in ENDED or state.status == "planned":
            return
        if timeout is not None and time.monotonic() - heard > timeout:
            raise InputError(f"Nothing was heard of the job {job.id} for {timeout:.0f} s; look at {job.file('log.txt')}.")
        time.sleep(poll)


def use_step(job: Job, step: int, name: str | None = None, force: bool = False) -> Path:
    """Make a kept step the voice instead, or with `name` save it beside it. Raises InputError for a step that was not kept.

    While the job runs the choice stands: its end does not replace the voice.
    """
    kept = {k["step"]: Path(k["voice"]) for k in job.kept()}
    if step not in kept:
        raise InputError(f"Step {step} was not kept; one of {', '.join(map(str, kept)) or 'none yet'} is expected.")
    spec = job.spec
    own = Path(spec["out"]) / f"{spec['settings']['name']}.voice"
    target = own if name is None else free_path(Path(spec["out"]), name, force)
    with job.voice_lock():
        replace_file(target, kept[step].read_bytes())
        if target == own:
            replace_file(job.file("picked"), str(step).encode())
        if target == own or not job.state.voice:
            job.set_state(voice=str(target))
    job.event("used", step=step, voice=str(target))
    return target


def go_on(
    starter: Network, job: Job, steps: int | None = None, more: Checkup | None = None,
    say: Callable[[str], None] = lambda message: None,
) -> Job:
    """Continue: a stopped job where it was; one that is done, or that gets `more` clips, as a new job from its last step."""
    settings = job.settings
    fresh = job.state.status == "done" or more is not None
    if not fresh:
        if steps is not None:
            job_spec = job.spec
            job_spec["settings"]["steps"] = Settings(**{**job_spec["settings"], "steps": steps}).check().steps
            _write_spec(job, job_spec)
        start(job)
        return job
    kept = job.kept()
    if not kept:
        raise InputError(f"The job {job.id} has kept no step to go on from; start a new one.")
    if job.at_work():
        raise InputError(f"The job {job.id} is running; stop it first.")
    last = Path(kept[-1]["voice"])
    starter = load_voice(last, starter).network(starter)
    clips = load_prepared(job.file("clips.safetensors"), starter)
    if more is not None:
        known = {c.digest for c in clips}
        new = [c for c in prepare(more.used, starter) if c.digest not in known]
        if not new:
            raise InputError("None of the clips to add is new and usable; record others.")
        say(f"{len(new)} new clips beside {len(clips)}")
        clips = [*clips, *new]
    settings = replace(settings, steps=steps or settings.steps)
    made = plan(Cloning(starter, clips, settings))
    checked = more.to_dict() if more else job.spec["checkup"]
    with whole_job() as following:
        save_prepared(following.file("clips.safetensors"), clips, starter)
        replace_file(following.file("start.voice"), last.read_bytes())
        replace_file(following.file("real.wav"), job.file("real.wav").read_bytes())
        _write_spec(following, {**job.spec, "settings": asdict(settings), "force": True, "plan": made.to_dict(),
                                "checkup": checked, "continues": job.id})
        following.set_state(status="planned", steps=made.steps)
    start(following)
    return following


def waiting_before(job: Job) -> int:
    """How many jobs run or wait before this one."""
    at = job.state.queued_at
    return sum(j.state.status in ("queued", "running") and j.state.queued_at < at for j in list_jobs() if j.id != job.id)

"""Clones and verdicts for tests of the page, made without a network: what is looked at is the page."""

from __future__ import annotations

import contextlib
import json
import time
from dataclasses import asdict
from pathlib import Path

import numpy as np
import soundfile

from tts_meta.adaptation.clone_settings import Settings
from tts_meta.clips.clip_check import Checkup, ClipCheck
from tts_meta.clips.findings import Finding
from tts_meta.clips.speech_meter import Meter
from tts_meta.jobs.job_folder import Job, whole_job

PLAN = {"clips": 2, "held_out": 1, "seconds": 9.0, "modules": ["speaker", "pitch.head"], "parameters": 1000, "share": 0.18,
        "steps": 72, "minutes": 1.5, "memory_mb": 1300, "sentence": "A plan."}


def tone(path: Path, seconds: float = 1.0, pitch: float = 220.0) -> Path:
    """A sound that differs from others by its pitch."""
    at = np.arange(int(seconds * 16000)) / 16000
    soundfile.write(path, 0.3 * np.sin(2 * np.pi * pitch * at), 16000, subtype="PCM_16")
    return path


def checkup(paths, texts, bad=()) -> Checkup:
    """The doctor's verdicts: those named in `bad` are left out."""
    clips = []
    for p in paths:
        why = [Finding("red", "file", f"{p.name} cannot be read.", "Leave it out.")] if p.name in bad else []
        c = ClipCheck(p, 0.0, 1.0, texts.get(p, ""), {"speech_seconds": 1.0}, why)
        c.used = None if why else object()
        clips.append(c)
    return Checkup(clips, [], Meter(len(clips), 1.0 * len(clips), None, None))


def without_network(monkeypatch, bad=()):
    """Plans without listening or timing; returns the list of (checkup, settings, force) that plans were made of."""
    from app import warm
    from tts_meta.clips import checkup as doctor
    from tts_meta.jobs import job_control

    made = []

    def create(starter, found, settings, out=None, force=False, preview=""):
        made.append((found, settings, force))
        with whole_job() as job:
            write_spec(job, settings.check(), found.to_dict())
            job.set_state(status="planned", steps=72)
        return job, None

    monkeypatch.setattr(warm, "network", lambda: None)
    monkeypatch.setattr(doctor, "check_clips", lambda paths, texts, network: checkup(paths, texts, bad))
    monkeypatch.setattr(job_control, "create", create)
    return made


def write_spec(job: Job, settings: Settings, checked: dict) -> None:
    spec = {"settings": asdict(settings), "out": str(job.path.parent.parent), "force": False, "preview": "",
            "real_text": "Hello.", "plan": {**PLAN, "steps": round(1.2 * settings.steps)}, "checkup": checked, "starter": {}}
    job.file("spec.json").write_text(json.dumps(spec))


def clone(home: Path, number: int, status: str, name: str = "", steps: int = 60, kept=(), method="sigma") -> Job:
    """A clone's folder as its process leaves it, with a curve and a sound for every step that was kept."""
    made = Job(home / "jobs" / f"2026010{number}-120000-000")
    made.path.mkdir(parents=True)
    settings = Settings(name or f"voice {number}", steps, method, consent="The speaker agreed, says Ann.", stop=True)
    write_spec(made, settings, {"clips": []})
    done = 72 if status == "done" else 40 if kept else 0
    made.file("state.json").write_text(json.dumps({
        "status": status, "updated": time.time(), "step": done, "steps": 72, "seconds": 20.0, "left": 16.0,
        "voice": str(home / f"{settings.name}.voice") if status == "done" else ""}))
    for step in range(10, done + 1, 10):
        made.event("progress", step=step, train=60 - step / 10, heldout=61 - step / 10, likeness=0.5 + step / 200)
    for step in kept:
        for folder in ("steps", "previews"):
            (made.path / folder).mkdir(exist_ok=True)
        (made.path / "steps" / f"{step:06d}.voice").write_bytes(b"x")
        tone(made.path / "previews" / f"{step:06d}.wav", 1.0, 200 + step)
    return made


@contextlib.contextmanager
def running(home: Path, number: int = 9, **options):
    """A clone that runs for as long as the block does."""
    job = clone(home, number, "running", **options)
    with job.hold() as got:
        assert got
        yield job
    job.set_state(status="stopped")

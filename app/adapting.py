"""Steps 4 to 6 of the walk: plan and adapt, listen, save. A clone is a job: the page only watches it."""

from __future__ import annotations

import random
import time
from pathlib import Path

import gradio as gr
import pandas as pd

from tts_meta.audio.files import SUFFIXES, write_wav
from tts_meta.audio.mel import SAMPLE_RATE
from tts_meta.errors import InputError
from tts_meta.voices.checkup.checkup import check_clips
from tts_meta.voices.jobs import control
from tts_meta.voices.jobs.folder import Job, delete_job, find_job, forget_plans, list_jobs
from tts_meta.voices.library import facts
from tts_meta.voices.networks import default_starter
from tts_meta.voices.settings import Settings
from tts_meta.voices.synthesize import Synthesizer
from tts_meta.voices.transcripts import TEXT_FILES, complete_transcripts, texts_in
from tts_meta.voices.voice_file import load_voice
from tts_meta.voices.voice_header import read_header

from . import show
from .gathering import typed

NEWEST = 20


def make_plan(name: str, consent: bool, permission: str, purpose: str, rows: pd.DataFrame, steps: int, before: str = ""):
    """A planned job, what it will take, and the same on the command line. The plan `before` it goes, if it was not
    started: it holds a copy of the clips."""
    def refused(why: str):
        return "", gr.skip(), "", show.problem(why)

    if not consent:
        return refused("Tick in step 1 that the speaker agrees: a voice is made only with consent.")
    draft = typed(rows)
    blank = [r.clip for r in draft.rows if not r.text]
    if blank:
        return refused(f"{blank[0]} has no text; in step 3 type what is said in it.")
    try:
        starter = default_starter()
        checkup = check_clips(draft.clips, draft.texts, starter)
        agreed = f"The speaker agreed, says {permission.strip() or 'the person at the page'}."
        settings = Settings(name.strip(), int(steps), consent=agreed, purpose=purpose.strip(), stop=True)
        job, plan = control.create(starter, checkup, settings)
        forget_plans(0, before)
    except InputError as e:
        return refused(str(e))
    modules = pd.DataFrame(
        [[m["name"], f"{m['parameters']:,}", f"{m['sigma_relative']:.3f}"] for m in starter.module_table() if m["moved"]],
        columns=["module that moves", "parameters", "sigma (share of its weights' size)"],
    )
    same = show.command("clone", "YOUR_CLIPS/", "--name", name.strip(), "--consent", agreed, "--steps", int(steps))
    where = f"What is learned from the clips is kept in `{job.path}` until the job is deleted."
    return f"**{plan.sentence}**\n\n{where}\n\nThe same on the command line: `{same}`", modules, job.id, ""


def start(job_id: str):
    """Start the planned job, or continue one that was stopped."""
    if not job_id:
        return show.problem("There is no plan yet: press Plan first."), gr.Timer(active=False)
    try:
        control.start(find_job(job_id))
    except InputError as e:
        return show.problem(str(e)), gr.Timer(active=True)
    return show.fine("Started; it goes on when this page is closed."), gr.Timer(active=True)


def stop(job_id: str) -> str:
    try:
        control.stop(find_job(job_id))
    except InputError as e:
        return show.problem(str(e))
    return show.fine("Stopping; the best step is kept as a voice.")


def progress(job_id: str):
    """What the timer shows: (state, held-out curve, training curve, likeness curve, kept steps, problem, timer)."""
    empty = [show.curve([], n) for n in ("nats per frame", "nats per frame", "cosine")]
    if not job_id:
        return "No clone is running.", *empty, gr.Radio(choices=[]), "", gr.Timer(active=False)
    try:
        job = find_job(job_id)
    except InputError as e:
        return "", *empty, gr.Radio(choices=[]), show.problem(str(e)), gr.Timer(active=False)
    s, seen = job.state, {e["step"]: e for e in job.events()[0] if e["kind"] == "progress"}
    rows = [seen[k] for k in sorted(seen)]
    curves = [
        show.curve([(r["step"], r[key]) for r in rows if r[key] is not None], name)
        for key, name in (("heldout", "nats per frame"), ("train", "nats per frame"), ("likeness", "cosine"))
    ]
    ended = s.status in control.ENDED
    trouble = show.problem(f"{s.reason} {s.fix}") if s.status in ("failed", "interrupted") else ""
    return describe(job), *curves, kept_steps(job), trouble, gr.Timer(active=not ended and s.status != "planned")


def describe(job: Job) -> str:
    """The job's state in a sentence."""
    s, name = job.state, job.settings.name
    if s.status == "queued":
        return f"**Waiting:** {control.waiting_before(job)} before {name}."
    if s.status == "running":
        left = s.seconds / s.step * (s.steps - s.step) if s.step else 0.0
        return f"**Running:** step {s.step} of {s.steps} of {name}" + (f", about {left:.0f} s left." if s.step else ".")
    if s.status == "done":
        return f"**Done:** {Path(s.voice).name} after {s.step} steps."
    if s.status == "stopped":
        made = "the best step is a voice" if s.voice else "nothing was made"
        return f"**Stopped** at step {s.step} of {s.steps}; {made}. Start goes on."
    return f"**{s.status.capitalize()}** at step {s.step} of {s.steps}."


def kept_steps(job: Job):
    """Choices of the kept steps whose previews are ready."""
    return gr.Radio(choices=[(f"step {k['step']}", k["step"]) for k in job.kept() if k["sound"]])


def hear(job_id: str, step: int | None):
    """The preview of a kept step."""
    if not job_id or step is None:
        return None
    sounds = {k["step"]: k["sound"] for k in find_job(job_id).kept()}
    return show.private_copy(sounds[step]) if sounds.get(step) else None


def use(job_id: str, step: int | None) -> str:
    if not job_id or step is None:
        return show.problem("Choose a step first.")
    try:
        path = control.use_step(find_job(job_id), int(step))
    except InputError as e:
        return show.problem(str(e))
    return show.fine(f"{path.name} is now the voice of step {step}.")


def add_more(job_id: str, files: list[str] | None):
    """Go on with a finished clone and more clips (texts beside them, or recognised)."""
    try:
        paths = [Path(f) for f in files or [] if Path(f).suffix.lower() in SUFFIXES]
        if not paths:
            raise InputError("No clips were given; choose some to add.")
        starter = default_starter()
        notes: list[str] = []
        known = texts_in([Path(f) for f in files or [] if Path(f).suffix.lower() in TEXT_FILES], paths, notes.append)
        texts = {**complete_transcripts([p for p in paths if p not in known], None, notes.append), **known}
        job = control.go_on(starter, find_job(job_id), more=check_clips(paths, texts, starter))
    except InputError as e:
        return job_id, show.problem(str(e)), gr.Timer(active=False)
    return job.id, "".join(map(show.fine, ["Going on with the new clips.", *notes])), gr.Timer(active=True)


def compare(job_id: str, blind: bool):
    """The real recording and the clone saying the same; blind: in a random order that is told afterwards."""
    try:
        job = find_job(job_id)
        state = job.state
        if not state.voice:
            raise InputError("There is no voice to compare yet; run the clone first.")
        starter = default_starter()
        spoken = Synthesizer.of(starter, load_voice(Path(state.voice), starter)).speak(job.spec["real_text"])
        real = show.private_copy(job.file("real.wav"))
        clone = str(Path(real).parent / "b.wav")
        write_wav(clone, spoken.samples, SAMPLE_RATE)
    except InputError as e:
        return None, None, "", "", show.problem(str(e))
    swapped = blind and random.random() < 0.5
    first, second = (clone, real) if swapped else (real, clone)
    answer = f"{'B' if swapped else 'A'} is the recording, {'A' if swapped else 'B'} the clone."
    text = f"“{job.spec['real_text']}”" + ("" if blind else f"\n\n{answer}")
    return first, second, text, answer, ""


def guess(choice: str | None, answer: str) -> str:
    if not answer or not choice:
        return "Listen first, then choose."
    return ("Right: " if answer.startswith(choice) else "No: ") + answer


def finished(job_id: str):
    """The voice file, and what it says of itself."""
    try:
        state = find_job(job_id).state
        if not state.voice:
            raise InputError("There is no voice yet; run the clone first.")
        header = read_header(Path(state.voice))
    except InputError as e:
        return None, show.problem(str(e))
    lines = [f"**{Path(state.voice).name}**, {Path(state.voice).stat().st_size / 1e6:.2f} MB, is in your library.",
             "\n".join(f"- {fact}" for fact in facts(header)),
             f"`{show.command('say', 'Good morning.', '--voice', header['name'], '--out', 'hello.wav')}`"]
    return show.private_copy(state.voice), "\n\n".join(lines)


def choices(chosen: str = "") -> gr.Dropdown:
    """The newest clones, each with when it was made and how it stands."""
    found = [(_label(j), j.id) for j in list_jobs()[:NEWEST]]
    return gr.Dropdown(choices=found, value=chosen or None)


def _label(job: Job) -> str:
    made = time.strftime("%d %B %H:%M", time.strptime(job.id[:15], "%Y%m%d-%H%M%S"))
    return f"{job.settings.name}, {made}: {job.state.status}"


def remove(job_id: str | None):
    """Delete a clone's folder with its clips; the voice that was made of it stays."""
    if not job_id:
        return gr.skip(), gr.skip(), show.problem("Nothing was deleted: choose a clone, and confirm.")
    try:
        delete_job(find_job(job_id))
    except InputError as e:
        return job_id, gr.skip(), show.problem(str(e))
    return "", choices(), show.fine("Its clips and steps are deleted; the voice it made stays in the library.")


def found_again():
    """After a reload: the newest clone that runs or waits, or the newest of all where it was interrupted; else none."""
    jobs = list_jobs()
    status = {j.id: j.state.status for j in jobs}
    going = [i for i, s in status.items() if s in ("queued", "running")]
    going += [jobs[0].id] if jobs and status[jobs[0].id] == "interrupted" else []
    if going:
        return going[0], choices(going[0]), gr.Walkthrough(selected=4), gr.Timer(active=True)
    return "", choices(), gr.skip(), gr.Timer(active=False)

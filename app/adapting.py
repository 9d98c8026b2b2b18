"""Step 3 of the walk: plan, start, stop and go on with a clone, by one button. A clone is a job: the page only asks for it."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import gradio as gr
import pandas as pd

from tts_meta.adaptation.clone_settings import Settings
from tts_meta.audio.files import SUFFIXES
from tts_meta.clips.draft_clips import Draft, Row
from tts_meta.clips.transcripts import TEXT_FILES, complete_transcripts, texts_in
from tts_meta.errors import InputError
from tts_meta.jobs.job_folder import Job, delete_job, find_job, forget_plans, list_jobs
from tts_meta.places import check_name
from tts_meta.voices.library import voice_names

from . import gathering, rows, show, warm, watching, windows

AGREED = "The speaker agreed, says "
SOMEBODY = "the person at the page"


def name_of(name: str, replace: bool, job_id: str):
    """Whether a voice may be called so: (problem, the box to replace one, a button with another name). The name of the clone
    that is shown is its own."""
    own = next((j for j in list_jobs() if j.id == job_id and j.settings.name == (name or "").strip()), None)
    if own and own.state.status not in ("planned", "done"):
        return "", gr.Checkbox(visible=False), gr.Button(visible=False)
    if not (name or "").strip():
        return "", gr.skip(), gr.skip()
    try:
        called = check_name(name.strip())
    except InputError as e:
        return show.problem(str(e)), gr.Checkbox(visible=False), gr.Button(visible=False)
    if called not in voice_names():
        return "", gr.Checkbox(False, visible=False), gr.Button(visible=False)
    number = next(n for n in range(2, 10_000) if f"{called[:58]}-{n}" not in voice_names())
    said = "" if replace or own else show.problem(taken(called))
    return said, gr.Checkbox(visible=True), gr.Button(f"{called[:58]}-{number}", visible=True)


def taken(name: str) -> str:
    """What is said of a name that a voice has already."""
    return f"A voice {name!r} exists: tick that it may be replaced, or choose another name."


def wanted(window: str, shown: str) -> tuple[Draft, list[Row]]:
    """The draft, and the clips and texts that the page shows: those are what a clone is made of."""
    draft = rows.typed(window, shown)
    names = {c for c, _ in rows.read(shown)}
    return draft, [r for r in draft.rows if not names or r.clip in names]


def mark_of(draft: Draft, clips: list[Row], *asked: object) -> str:
    """Changes when a clip, a text or a setting changes."""
    sounds = [(r.clip, r.text, hashlib.sha256(draft.path(r.clip).read_bytes()).hexdigest()) for r in clips]
    return hashlib.sha256(json.dumps([sounds, *asked]).encode()).hexdigest()


def make_plan(
    window: str, shown: str, name: str, consent: bool, who: str, purpose: str, method: str, accent: str, steps: int,
    replace: bool,
):
    """(the plan's id, problem). The plan before it goes, if it was not started: it holds a copy of the clips."""
    try:
        called = check_name((name or "").strip())
        if not consent:
            raise InputError("Tick that the speaker agrees: a voice is made only with consent.")
        draft, clips = wanted(window, shown)
        if not clips:
            raise InputError("There are no clips yet: record or upload some in step 1, or use the examples.")
        if called in voice_names() and not replace:
            raise InputError(taken(called))
        if draft.job and is_going(draft.job):
            raise InputError("A clone of these clips runs; stop it before another is planned.")
        from tts_meta.clips.checkup import check_clips
        from tts_meta.jobs import job_control

        starter = warm.network()
        paths = [draft.path(r.clip) for r in clips]
        checkup = check_clips(paths, {draft.path(r.clip): r.text for r in clips if r.text}, starter)
        gathering.keep_verdicts(draft, checkup)
        texts = {r.clip: r.text for r in clips}
        blank = [c.path.name for c in checkup.clips if c.level != "red" and not texts[c.path.name]]
        if blank:
            raise InputError(f"{blank[0]} has no text; in step 2 type what is said in it, or remove it.")
        settings = Settings(
            called, int(steps), method, consent=f"{AGREED}{(who or '').strip() or SOMEBODY}.", purpose=(purpose or "").strip(),
            stop=True, accent=accent,
        )
        mark = mark_of(draft, clips, *form_of(settings))
        job, _ = job_control.create(starter, checkup, settings, force=replace)
        if draft.job:
            forget_plans(0, draft.job)
        draft.plan(job.id, mark)
    except InputError as e:
        return "", show.problem(str(e))
    return job.id, ""


def form_of(s: Settings) -> tuple[str, str, str, str, str, int]:
    """(name, who gives permission, purpose, what comes first, accent, steps) of a job, as they stand in the form, which does
    not offer the methods without a prior."""
    who = s.consent.removeprefix(AGREED).removesuffix(".") if s.consent.startswith(AGREED) else s.consent
    return s.name, "" if who == SOMEBODY else who, s.purpose, s.method if s.shrinks else "sigma", s.accent, s.steps


def is_going(job_id: str) -> bool:
    """Whether a job waits or runs."""
    try:
        return find_job(job_id).state.status in ("queued", "running")
    except InputError:
        return False


def press(window: str, shown: str, label: str, job_id: str, name: str, consent: bool, who: str, purpose: str, method: str,
          accent: str, steps: int, replace: bool):
    """What the one button says that it does: (job, message)."""
    asked = (window, shown, name, consent, who, purpose, method, accent, steps, replace)
    if label == watching.PLAN:
        made, trouble = make_plan(*asked)
        return made or job_id, trouble
    try:
        from tts_meta.jobs import job_control

        job = find_job(job_id)
        if label == watching.STOP:
            if not is_going(job_id):
                return job_id, show.fine("It has ended already.")
            job_control.stop(job)
            return job_id, show.fine("Stopping; the best step is kept as a voice.")
        draft, clips = wanted(window, shown)
        now = (check_name((name or "").strip()), (who or "").strip(), (purpose or "").strip(), method, accent, int(steps))
        if draft.job == job_id and draft.planned not in ("", mark_of(draft, clips, *now)):
            made, trouble = make_plan(*asked)
            return made or job_id, trouble or show.fine(
                "The clips, texts or settings have changed since the plan: this is the new one. Press Start.")
        if not consent:
            raise InputError("Tick that the speaker agrees: a voice is made only with consent.")
        job_control.start(job)
    except InputError as e:
        return job_id, show.problem(str(e))
    return job_id, ""  # the line says that it runs


def edited(label: str, job_id: str, name: str, who: str, purpose: str, method: str, accent: str, steps: int):
    """A plan that was not started is of other settings now: the button plans again. `label` is what the button said as it was
    typed: on a busy machine what was typed before the plan, half a form perhaps, arrives here after it."""
    if label != watching.START:
        return gr.skip()
    now = ((name or "").strip(), (who or "").strip(), (purpose or "").strip(), method, accent, int(steps))
    planned = (j for j in list_jobs() if j.id == job_id and j.state.status == "planned")
    return gr.Button(watching.PLAN, variant="primary") if any(form_of(j.settings) != now for j in planned) else gr.skip()


def modules(job_id: str) -> pd.DataFrame | None:
    """The modules that move."""
    if not job_id:
        return None
    table = warm.network().module_table(method=find_job(job_id).settings.method)
    return pd.DataFrame(
        [[m["name"], f"{m['parameters']:,}", f"{m['sigma_relative']:.3f}"] for m in table if m["moved"]],
        columns=["module that moves", "parameters", "sigma (share of its weights' size)"],
    )


def use(job_id: str, step: int | None) -> str:
    """Make a kept step the voice; what to say of it."""
    if not job_id or step is None:
        return show.problem("Choose a step first.")
    try:
        from tts_meta.jobs import job_control

        path = job_control.use_step(find_job(job_id), int(step))
    except InputError as e:
        return show.problem(str(e))
    return show.fine(f"{path.name} is now the voice of step {step}.")


def add_more(window: str, job_id: str, files: list[str] | None):
    """Go on with a finished clone and more clips (texts beside them, or recognised)."""
    try:
        paths = [Path(f) for f in files or [] if Path(f).suffix.lower() in SUFFIXES]
        if not job_id:
            raise InputError("There is no clone to add clips to yet; plan and start one, or choose an earlier one.")
        if not paths:
            raise InputError("No clips were given; choose some to add.")
        from tts_meta.clips.checkup import check_clips
        from tts_meta.jobs import job_control

        starter = warm.network()
        notes: list[str] = []
        known = texts_in([Path(f) for f in files or [] if Path(f).suffix.lower() in TEXT_FILES], paths, notes.append)
        texts = {**complete_transcripts([p for p in paths if p not in known], None, notes.append), **known}
        job = job_control.go_on(starter, find_job(job_id), more=check_clips(paths, texts, starter))
    except InputError as e:
        return job_id, show.problem(without_folders(str(e), files))
    Draft.of(window).plan(job.id)
    told = "".join(show.fine(without_folders(n, files)) for n in notes)
    return job.id, show.fine("Started with the new clips.") + told


def without_folders(message: str, files: list[str] | None) -> str:
    """A sentence about files, which a person knows by their names and not by where the page keeps them."""
    for f in files or []:
        message = message.replace(f, Path(f).name)
    return message


def remove(job_id: str | None):
    """Delete a clone's folder with its clips; the voice that was made of it stays."""
    if not job_id:
        return gr.skip(), gr.skip(), ""
    try:
        delete_job(find_job(job_id))
    except InputError as e:
        return job_id, gr.skip(), show.problem(str(e))
    return "", watching.choices(), show.fine("Its clips and steps are deleted; the voice it made stays in the library.")


def going(window: str) -> str:
    """The clone that a window shows when it opens: its own draft's, else the newest that runs or waits, or was interrupted last,
    unless another window shows it."""
    own = Draft.of(window).job
    if own and any(j.id == own for j in list_jobs()):
        return own
    others = {Draft.of(w).job for w in windows.OPEN.values() if w != window}
    jobs = [j for j in list_jobs() if j.id not in others]
    status = {j.id: j.state.status for j in jobs}
    found = [i for i, s in status.items() if s in ("queued", "running")]
    found += [jobs[0].id] if jobs and status[jobs[0].id] == "interrupted" else []
    return found[0] if found else ""


def found_again(window: str):
    """After a reload: (job, earlier clones, step of the walk, the form)."""
    job_id = going(window)
    if not job_id:
        return "", watching.choices(), gr.skip(), *[gr.skip()] * 7
    job: Job = find_job(job_id)
    step = gr.skip() if job.state.status == "done" else gr.Walkthrough(selected=3)
    return job_id, watching.choices(job_id), step, *form(job_id)


def form(job_id: str | None):
    """(name, consent, who, purpose, what comes first, accent, steps) of a clone."""
    if not job_id:
        return [gr.skip()] * 7
    try:
        name, *others = form_of(find_job(job_id).settings)
    except InputError:
        return [gr.skip()] * 7
    return [name, True, *others]

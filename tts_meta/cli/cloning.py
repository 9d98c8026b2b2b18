"""check, prompts, clone, jobs: from recordings to a voice."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from tts_meta.cli.common import Force, Json, emit, say, starter
from tts_meta.errors import InputError

Clips = Annotated[list[Path], typer.Argument(help="Audio files, or folders of them.")]
Transcripts = Annotated[Path | None, typer.Option(help="csv/tsv with the columns file,text.")]
JobId = Annotated[str, typer.Argument(help="A job's id, or `last`.")]
MARKS = {"green": "ok   ", "amber": "check", "red": "BAD  "}


def _checked(clips: list[Path], transcripts: Path | None, need_texts: bool):
    from tts_meta.clips.checkup import check_clips
    from tts_meta.clips.long_recordings import cut_long_recordings
    from tts_meta.clips.transcripts import complete_transcripts, find_clips, find_transcripts

    notes: list[str] = []

    def note(message: str) -> None:
        notes.append(message)
        say(message)

    found = find_clips(clips, note)
    found = cut_long_recordings(found, find_transcripts(found, transcripts), note)
    texts = complete_transcripts(found, transcripts, note) if need_texts else find_transcripts(found, transcripts, note)
    checkup = check_clips(found, texts, starter())
    checkup.notes = notes
    return checkup


def check(clips: Clips, transcripts: Transcripts = None, as_json: Json = False) -> None:
    """Say what is good and bad about recordings, before a voice is made of them. Example: tts-meta check my_clips/"""
    checkup = _checked(clips, transcripts, need_texts=False)
    lines = []
    for c in checkup.clips:
        part = f" [{c.start:.1f}-{c.end:.1f} s]" if c.start else ""
        lines.append(f"{MARKS[c.level]} {c.path.name}{part}: {c.end - c.start:.1f} s")
        lines += [f"        {f.sentence} {f.fix}".rstrip() for f in c.findings]
        if not c.text and c.level != "red":
            lines.append("        No text: only its sound was checked.")
    lines += [f"{MARKS[f.level]} {f.sentence} {f.fix}" for f in checkup.findings]
    if checkup.meter.missing:
        lines.append(f"Sounds in no clip: {', '.join(checkup.meter.missing)}")
    emit(checkup.to_dict(), as_json, "\n".join([*lines, checkup.meter.sentence]))
    if checkup.level == "red":
        raise typer.Exit(2)


def prompts(as_json: Json = False) -> None:
    """Twenty sentences to read aloud, which hold every sound of English. Example: tts-meta prompts > read_me.txt"""
    from tts_meta.clips.sound_coverage import prompts as sentences

    emit({"prompts": sentences()}, as_json, "\n".join(sentences()))


def clone(
    clips: Clips,
    name: Annotated[str, typer.Option(help="Name of the new voice.")],
    transcripts: Transcripts = None,
    steps: Annotated[int | None, typer.Option(help="Inner steps; long runs are safe.")] = None,
    method: Annotated[str, typer.Option(help="sigma, learned (a cleaner sound), embedding or all.")] = "sigma",
    consent: Annotated[str, typer.Option(help="Who allowed this voice to be made, kept in the file.")] = "",
    purpose: Annotated[str, typer.Option(help="What it may be used for, kept in the file.")] = "",
    out: Annotated[Path | None, typer.Option(help="Folder for NAME.voice; default: your library.")] = None,
    accent: Annotated[str, typer.Option(help="american, british, or auto: as the clips sound.")] = "auto",
    preview: Annotated[str | None, typer.Option(help="The sentence of the previews.")] = None,
    stop: Annotated[bool, typer.Option(help="End early when neither loss nor likeness gains any more.")] = True,
    plan: Annotated[bool, typer.Option("--plan", help="Only say what would be done.")] = False,
    background: Annotated[bool, typer.Option("--background", help="Start the job and return.")] = False,
    force: Force = False,
    seed: int = 0,
    as_json: Json = False,
) -> None:
    """Clone a voice. Example: tts-meta clone my_clips/ --name me --consent "my own voice" """
    from tts_meta.adaptation.clone_at_once import free_path, tell
    from tts_meta.adaptation.clone_settings import Settings
    from tts_meta.jobs import job_control
    from tts_meta.jobs.job_folder import PREVIEW, delete_job
    from tts_meta.places import library_folder

    base = starter()
    settings = Settings(
        name, base.adaptation.need("steps") if steps is None else steps, method, consent, purpose, seed, stop, accent
    ).check()
    free_path(out or library_folder(), name, force)
    checkup = _checked(clips, transcripts, need_texts=True)
    tell(checkup, say)
    job, planned = job_control.create(base, checkup, settings, out, force, preview or PREVIEW)
    if plan:
        delete_job(job)
        emit(planned.to_dict(), as_json, planned.sentence)
        return
    say(planned.sentence)
    say(f"what is learned from the clips is kept in {job.path} until `tts-meta jobs delete {job.id}`")
    job_control.start(job)
    if background:
        emit({"job": job.id}, as_json, f"{job.id}\nsee it with: tts-meta jobs watch {job.id}")
        return
    _follow(job, as_json)


def _follow(job, as_json: bool) -> None:
    """Show a job's events until it ends, then its result."""
    from tts_meta.adaptation.clone_at_once import summary
    from tts_meta.jobs import job_control

    shown = -20
    try:
        for e in job_control.watch(job):
            if e["kind"] == "progress" and (
                e["heldout"] is not None or e["likeness"] is not None or e["step"] >= shown + 20 or e["step"] == e["steps"]
            ):
                shown = e["step"]
                held = "" if e["heldout"] is None else f"  held-out {e['heldout']:8.3f}"
                like = "" if e["likeness"] is None else f"  likeness {e['likeness']:.3f}"
                left = f"{e['left']:5.0f} s left" if e["step"] and "left" in e else ""  # an earlier version did not say
                say(f"step {e['step']:5d}/{e['steps']}{held}{like}  best step {e['best_step']:5d}  {e['seconds']:6.1f} s  {left}")
            elif e["kind"] == "message":
                say(e["text"])
            elif e["kind"] == "resumed":
                say(f"going on from step {e['step']}")
    except KeyboardInterrupt:
        job_control.stop(job)
        say(f"stopping; the best step is kept as a voice. Continue with: tts-meta jobs continue {job.id}")
        for _ in job_control.watch(job):
            pass
    state = job.state
    if state.status in ("failed", "interrupted"):
        raise InputError(f"{state.reason} {state.fix}")
    made = summary(Path(state.voice), starter(), job.spec["checkup"]["clips"], state.seconds)
    result = {**made, "job": job.id, "status": state.status}
    moved = sum(m["moved"] for m in made["modules"])
    say(f"{moved} modules moved; {made['bytes'] / 1e6:.2f} MB; {state.seconds:.0f} s of steps; kept steps: "
        f"{', '.join(str(k['step']) for k in job.kept())} (tts-meta jobs use {job.id} STEP)")
    emit(result, as_json, state.voice)


jobs = typer.Typer(no_args_is_help=True, help="Clones that run, wait or ended.")


def _row(job) -> dict:
    s = job.state
    return {
        "job": job.id, "name": job.settings.name, "status": s.status, "step": s.step, "steps": s.steps, "voice": s.voice,
        "reason": s.reason, "fix": s.fix, "folder": str(job.path), "kept": [k["step"] for k in job.kept()],
    }


@jobs.command("list")
def jobs_list(as_json: Json = False) -> None:
    """All jobs, newest first."""
    from tts_meta.jobs.job_folder import list_jobs

    rows = [_row(j) for j in list_jobs()]
    text = "\n".join(f"{r['job']}  {r['status']:11s} {r['step']:5d}/{r['steps']:<5d} {r['name']} {r['reason']}" for r in rows)
    emit({"jobs": rows}, as_json, text or "no jobs yet; start one with `tts-meta clone`")


@jobs.command("show")
def jobs_show(job: JobId = "last", as_json: Json = False) -> None:
    """One job: its state, plan and kept steps."""
    from tts_meta.jobs.job_folder import find_job

    found = find_job(job)
    row = {**_row(found), "plan": found.spec["plan"]}
    emit(row, as_json, json.dumps(row, indent=1))


@jobs.command("watch")
def jobs_watch(job: JobId = "last", as_json: Json = False) -> None:
    """Follow a job until it ends."""
    from tts_meta.jobs.job_folder import find_job

    _follow(find_job(job), as_json)


@jobs.command("stop")
def jobs_stop(job: JobId = "last", as_json: Json = False) -> None:
    """Stop a job; its best step becomes the voice, and it can be continued."""
    from tts_meta.jobs import job_control
    from tts_meta.jobs.job_folder import find_job

    found = find_job(job)
    job_control.stop(found)
    emit({"job": found.id}, as_json, f"stopping {found.id}")


@jobs.command("continue")
def jobs_continue(
    job: JobId = "last",
    steps: Annotated[int | None, typer.Option(help="Inner steps in all (a job that is done: more steps).")] = None,
    add: Annotated[list[Path] | None, typer.Option(help="More clips, or folders of them.")] = None,
    transcripts: Transcripts = None,
    as_json: Json = False,
) -> None:
    """Go on with a job that was stopped or killed, or add steps or clips to one that is done."""
    from tts_meta.adaptation.clone_at_once import tell
    from tts_meta.jobs import job_control
    from tts_meta.jobs.job_folder import find_job

    more = _checked(add, transcripts, need_texts=True) if add else None
    if more:
        tell(more, say)
    _follow(job_control.go_on(starter(), find_job(job), steps, more, say), as_json)


@jobs.command("use")
def jobs_use(
    job: JobId, step: Annotated[int, typer.Argument(help="One of the kept steps.")],
    name: Annotated[str | None, typer.Option(help="Save it as a voice of this name instead.")] = None,
    force: Force = False, as_json: Json = False,
) -> None:
    """Make another kept step the voice."""
    from tts_meta.jobs import job_control
    from tts_meta.jobs.job_folder import find_job

    path = job_control.use_step(find_job(job), step, name, force)
    emit({"voice": str(path), "step": step}, as_json, str(path))


@jobs.command("delete")
def jobs_delete(job: JobId, as_json: Json = False) -> None:
    """Delete a job with its clips and kept steps; the voice it made stays."""
    from tts_meta.jobs.job_folder import delete_job, find_job

    found = find_job(job)
    delete_job(found)
    emit({"deleted": found.id}, as_json, f"deleted {found.id}")


VERBS = {"check": check, "prompts": prompts, "clone": clone}

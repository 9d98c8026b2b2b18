"""What a clone looks like while it runs: a line with the step and the time left, one curve, the kept steps, the plan."""

from __future__ import annotations

import html
import json
import time
from pathlib import Path

import gradio as gr

from tts_meta.errors import InputError
from tts_meta.jobs.job_folder import ENDED, Job, find_job, list_jobs

from . import show
from .chart import chart

PLAN, START, STOP, ON = "Plan", "Start", "Stop", "Go on"
NEWEST = 20


def bar(said: str, step: int = 0, steps: int = 0) -> str:
    """The line that is always in sight."""
    done = f'<progress max="{steps}" value="{step}" aria-label="{step} of {steps} steps"></progress>' if step else ""
    return f'<div role="status">{said}{done}</div>'


AT_ONCE = {PLAN: "<strong>Planning:</strong> the clips are looked at, and a step is timed.",
           START: "<strong>Starting.</strong>", ON: "<strong>Going on.</strong>"}
ANSWERS = f"(label, said) => ({json.dumps({label: bar(said) for label, said in AT_ONCE.items()})})[label] || said"
"""JavaScript: what the line says as soon as the one button is pressed, by the button's label. A plan takes its time."""


def button(status: str) -> gr.Button:
    """The one button, as the clone stands."""
    label = {"planned": START, "queued": STOP, "running": STOP, "stopped": ON, "interrupted": ON, "failed": ON}.get(status, PLAN)
    # A finished clone is listened to next, and not planned again: of two buttons in sight one is loud.
    return gr.Button(label, variant="stop" if label == STOP else "secondary" if status == "done" else "primary")


def onwards(status: str) -> gr.Button:
    """The button that goes on to listening: loud when there is a clone to hear."""
    return gr.Button(variant="primary" if status == "done" else "secondary")


def progress(job_id: str, heard: str):
    """What the timer shows: (bar, button, problem, likeness, losses, kept steps, preview, whose preview was played, its frame,
    timer, the button that goes on)."""
    nothing = gr.Radio(choices=[], visible=False)
    still = (gr.skip(), heard, gr.Group(visible=False), gr.Timer(active=False), onwards(""))
    if not job_id:
        return bar("No clone yet: fill this in, then plan."), button(""), "", "", "", nothing, *still
    try:
        job = find_job(job_id)
    except InputError as e:
        return bar(""), button(""), show.problem(str(e)), "", "", nothing, *still
    s, seen = job.state, {e["step"]: e for e in job.events()[0] if e["kind"] == "progress"}
    found = [seen[k] for k in sorted(seen)]

    def curve(key: str) -> list[tuple[int, float]]:
        return [(r["step"], r[key]) for r in found if r[key] is not None]

    stops = "" if s.status in ENDED else f"ends at step {s.steps}, or where it gains no more"
    like = chart("Likeness to the speaker's own clips (higher is better)", curve("likeness"), s.steps, "likeness", stops)
    if not like and s.status in ("queued", "running"):
        like = "<p>The curve of likeness begins when the first step is kept.</p>"
    losses = chart("Loss of held-out clips, nats per frame (lower is better)", curve("heldout"), s.steps, "curve")
    losses += chart("Loss of the clips it learns from, nats per frame", curve("train"), s.steps, "train")
    trouble = show.problem(f"{s.reason} {s.fix}") if s.reason and s.status in ("failed", "interrupted") else ""
    ended = s.status in ENDED
    kept = kept_steps(job)
    sounds = [k for k in job.kept() if k["sound"]]
    preview, last = gr.skip(), heard
    if ended and sounds and heard != f"{job_id} {s.status}":
        # The first thing that somebody wants who has waited: to hear it. Where the page was opened later it waits for a press.
        last = f"{job_id} {s.status}"
        end = sounds[-1]
        preview = gr.Audio(show.private_copy(end["sound"]), label=f"Step {end['step']}", autoplay=heard == job_id)
    elif not ended:
        preview = gr.skip() if heard.startswith(job_id) else gr.Audio(None, label="Preview")
        last = job_id
    return (bar(describe(job), s.step, s.steps), button(s.status), trouble, like, losses, kept, preview, last,
            gr.Group(visible=bool(sounds)), gr.Timer(active=not ended and s.status != "planned"), onwards(s.status))


def describe(job: Job) -> str:
    """The job's state in a sentence, as HTML."""
    s, name = job.state, html.escape(job.settings.name)
    if s.status == "planned":
        return f"<strong>Planned:</strong> {name}, {s.steps} steps. Nothing runs yet."
    if s.status == "queued":
        from tts_meta.jobs.job_control import waiting_before

        before = waiting_before(job)
        others = f"{before} clone{'s' * (before != 1)} before it" if before else "it starts in a moment"
        return f"<strong>Waiting:</strong> {name}, {others}."
    if s.status == "running":
        time_left = f", about {s.left:.0f} s left." if s.step else "."
        return f"<strong>Running:</strong> step {s.step} of {s.steps} of {name}{time_left} It goes on when this page is closed."
    if s.status == "done":
        return f"<strong>Done:</strong> {html.escape(Path(s.voice).name)} after {s.step} steps."
    if s.status == "stopped":
        made = "nothing was made"
        if s.voice:
            made = "the best step is a voice" if s.step else "the voice is an average one, as it had not learned yet"
        return f"<strong>Stopped</strong> at step {s.step} of {s.steps}; {made}."
    return f"<strong>{s.status.capitalize()}</strong> at step {s.step} of {s.steps}."


def kept_steps(job: Job) -> gr.Radio:
    """Choices of the kept steps whose previews are ready."""
    found = [(called(k["step"]), k["step"]) for k in job.kept() if k["sound"]]
    return gr.Radio(choices=found, visible=bool(found))


def called(step: int) -> str:
    """What a step is called."""
    return f"step {step}" if step else "step 0 (before it learned: an average voice)"


def hear(job_id: str, step: int | None):
    """The preview of a kept step."""
    if not job_id or step is None:
        return gr.skip()
    try:
        sounds = {k["step"]: k["sound"] for k in find_job(job_id).kept()}
    except InputError:
        return gr.skip()
    if not sounds.get(step):
        return gr.skip()
    return gr.Audio(show.private_copy(sounds[step]), label=called(step).capitalize(), autoplay=True)


def planned(job_id: str) -> str:
    """The plan of a job: a sentence, a small table, and exactly which clips and texts it uses."""
    if not job_id:
        return ""
    try:
        spec = find_job(job_id).spec
    except InputError:
        return ""
    p, s, checked = spec["plan"], spec["settings"], spec["checkup"]["clips"]
    end = p["steps"] - s["steps"]
    more = f" ({s['steps']}, and {end} more in which the held-out clips are learned from too)" if end > 0 else ""
    table = show.facts([
        ("clips", f"{p['clips']}, {p['held_out']} of them held out to watch"), ("steps", f"{p['steps']}{more}"),
        ("time", f"about {p['minutes']:.1f} minutes"), ("memory", f"{p['memory_mb'] / 1000:.1f} GB"),
        ("what moves", f"{100 * p['share']:.0f} % of the network, {len(p['modules'])} modules"),
        *([("accent", spec["accent"].title() + (p.get("accent", "") and ", as the clips sound"))] if spec.get("accent") else []),
    ])
    clips = ""
    for c in sorted(checked, key=lambda c: not c["used"]):
        what = c["text"] if c["used"] else f"left out: {c['reason']}"
        clips += f"<li><strong>{html.escape(Path(c['file']).name)}</strong> {html.escape(what)}</li>"
    asked = [w for k, usual in (("method", "sigma"), ("accent", "auto")) if s.get(k, usual) != usual for w in (f"--{k}", s[k])]
    same = show.command("clone", "YOUR_CLIPS/", "--name", s["name"], "--consent", s["consent"], "--steps", s["steps"], *asked)
    name, where = html.escape(s["name"]), html.escape(str(find_job(job_id).path))
    return (
        f"<p>{name} is made from {p['clips']} clips ({p['seconds']:.0f} s) in about {p['minutes']:.1f} minutes.</p>{table}"
        f"<details><summary>Its clips and texts, and where they are kept</summary><ul>{clips}</ul><p>What is learned "
        f"from them is kept in <code>{where}</code> until the clone is deleted. The same on the command line: "
        f"<code>{html.escape(same)}</code></p></details>")


def choices(chosen: str = "") -> gr.Dropdown:
    """The newest clones, each with when it was made and how it stands."""
    found = [(_label(j), j.id) for j in list_jobs()[:NEWEST]]
    return gr.Dropdown(choices=found, value=chosen or None)


def _label(job: Job) -> str:
    made = time.strftime("%d %B %H:%M", time.strptime(job.id[:15], "%Y%m%d-%H%M%S"))
    return f"{job.settings.name}, {made}: {job.state.status}"

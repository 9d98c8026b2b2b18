"""The walk from recordings to a voice, in six steps. It shows what tts_meta.voices says; a reload finds its job again."""

from __future__ import annotations

import random
from pathlib import Path

import gradio as gr
import pandas as pd

from app import show
from tts_meta.audio.files import SUFFIXES, write_wav
from tts_meta.audio.mel import SAMPLE_RATE
from tts_meta.errors import InputError
from tts_meta.evaluation.intelligibility import WHY_MISSING, load_recogniser
from tts_meta.voices.checkup.checkup import check_clips
from tts_meta.voices.checkup.sounds import prompts
from tts_meta.voices.jobs import control
from tts_meta.voices.jobs.folder import Job, find_job, list_jobs
from tts_meta.voices.places import check_name
from tts_meta.voices.settings import Settings
from tts_meta.voices.starter import default_starter
from tts_meta.voices.synthesize import Synthesizer
from tts_meta.voices.transcripts import complete_transcripts, find_transcripts, read_tables
from tts_meta.voices.voice_file import load_voice, read_header

TABLE = ["clip", "text", "note"]
EXAMPLES = Path(__file__).parent / "examples" / "p225" / "clips"
UNSURE = "recognised, unsure: listen"


def empty_table() -> pd.DataFrame:
    return pd.DataFrame(columns=TABLE)


def merge(clips: dict[str, str], rows: pd.DataFrame, known: dict[str, str], note: str) -> pd.DataFrame:
    """A row for each clip; what was typed is never overwritten."""
    typed = {r["clip"]: (str(r["text"] or "").strip(), r["note"]) for r in rows.to_dict("records")}
    table = []
    for name in clips:
        text, why = typed.get(name, ("", ""))
        if not text and known.get(name):
            text, why = known[name], note
        table.append([name, text, why if text else "needs its text"])
    return pd.DataFrame(table, columns=TABLE)


def add_files(files: list[str] | None, clips: dict[str, str], rows: pd.DataFrame):
    """Uploaded sounds and texts beside what is there."""
    paths = [Path(f) for f in files or []]
    clips = {**clips, **{p.name: str(p) for p in paths if p.suffix.lower() in SUFFIXES}}
    if not clips:
        return clips, rows, show.problem(f"None of the files is a sound; {', '.join(SUFFIXES)} files are expected.")
    try:
        by_stem = read_tables([p for p in paths if p.suffix.lower() in (".csv", ".tsv", ".txt")])
        beside = {p.name: t for p, t in find_transcripts([Path(p) for p in clips.values()], None).items()}
    except InputError as e:
        return clips, rows, show.problem(str(e))
    known = {**beside, **{n: by_stem[Path(n).stem] for n in clips if Path(n).stem in by_stem}}
    return clips, merge(clips, rows, known, "from your file"), show.fine(f"{len(clips)} clips so far.")


def use_examples(rows: pd.DataFrame):
    """The example clips (VCTK p225), so that the page can be tried at once."""
    paths = sorted(EXAMPLES.glob("*.flac"))
    texts = {p.name: t for p, t in find_transcripts(paths, None).items()}
    clips = {p.name: show.private_copy(p) for p in paths}
    return clips, merge(clips, rows, texts, "example"), show.fine("Ten clips of the VCTK speaker p225 (CC BY 4.0).")


def add_recording(path: str | None, number: int, clips: dict[str, str], rows: pd.DataFrame):
    """Keep a recording of the prompt that is shown, and show the next."""
    texts = prompts()
    if not path:
        return clips, rows, number, gr.skip(), gr.skip(), show.problem(
            "Nothing was recorded. Press the record button, read the sentence aloud, press stop; then keep it.")
    name = f"prompt-{number + 1:02d}.wav"
    named = Path(show.private_copy(path)).with_name(name)
    Path(named.parent / Path(path).name).rename(named)
    clips = {**clips, name: str(named)}
    rows = merge(clips, rows, {name: texts[number]}, "read aloud")
    following = min(number + 1, len(texts) - 1)
    return clips, rows, following, None, prompt_text(following), show.fine(f"{len(clips)} clips so far.")


def prompt_text(number: int) -> str:
    return f'<div class="prompt" aria-live="polite"><small>{number + 1} of {len(prompts())}</small><br>{prompts()[number]}</div>'


def step_prompt(number: int, by: int):
    number = min(max(0, number + by), len(prompts()) - 1)
    return number, prompt_text(number), None


def recognise(clips: dict[str, str], rows: pd.DataFrame):
    """Fill in the texts that are missing; what is there stays, and what was heard with doubt says so."""
    recogniser = load_recogniser()
    if recogniser is None:
        return rows, show.problem(f"Speech recognition is not there: {WHY_MISSING}. Type the texts, or read the prompts instead.")
    found, notes = {}, {}
    for r in rows.to_dict("records"):
        if r["clip"] in clips and not str(r["text"] or "").strip():
            text, sure = recogniser.transcribe_surely(Path(clips[r["clip"]]))
            found[r["clip"]], notes[r["clip"]] = text, "recognised" if sure else UNSURE
    rows = merge(clips, rows, found, "recognised")
    rows["note"] = [notes.get(c, n) if t else n for c, t, n in rows[TABLE].itertuples(index=False)]
    unsure = sum(n == UNSURE for n in rows["note"])
    return rows, show.fine(f"{len(found)} texts recognised by {recogniser.name}; {unsure} of them are marked, listen to those.")


def _texts(clips: dict[str, str], rows: pd.DataFrame) -> dict[Path, str]:
    return {Path(clips[r["clip"]]): t for r in rows.to_dict("records")
            if r["clip"] in clips and (t := str(r["text"] or "").strip())}


def check(clips: dict[str, str], rows: pd.DataFrame):
    """The clip doctor's table and meter."""
    if not clips:
        none = show.problem("There are no clips yet: record or upload some, or use the examples.")
        return pd.DataFrame(columns=show.CHECKED), "", none
    checkup = check_clips([Path(p) for p in clips.values()], _texts(clips, rows), default_starter())
    return show.checked_rows(checkup), show.meter(checkup), ""


def who(name: str, consent: bool):
    """From step 1 to step 2, when there is a name and consent."""
    try:
        check_name((name or "").strip())
    except InputError as e:
        return gr.skip(), show.problem(str(e))
    if not consent:
        return gr.skip(), show.problem("Tick that the speaker agrees: a voice is made only with consent.")
    return gr.Walkthrough(selected=2), ""


def make_plan(name: str, consent: bool, permission: str, purpose: str, clips: dict[str, str], rows: pd.DataFrame, steps: int):
    """A planned job, what it will take, and the same on the command line."""
    nothing = ("", gr.skip(), "", gr.skip())
    if not consent:
        return ("", *nothing[1:3], show.problem("Tick in step 1 that the speaker agrees: a voice is made only with consent."))
    texts = _texts(clips, rows)
    blank = [n for n, p in clips.items() if Path(p) not in texts]
    if blank:
        return "", gr.skip(), "", show.problem(f"{blank[0]} has no text; in step 3 type what is said in it.")
    try:
        starter = default_starter()
        checkup = check_clips([Path(p) for p in clips.values()], texts, starter)
        agreed = f"The speaker agreed, says {permission.strip() or 'the person at the page'}."
        settings = Settings(name.strip(), int(steps), consent=agreed, purpose=purpose.strip(), stop=True)
        job, plan = control.create(starter, checkup, settings)
    except InputError as e:
        return "", gr.skip(), "", show.problem(str(e))
    modules = pd.DataFrame(
        [[m["name"], f"{m['parameters']:,}", f"{m['sigma_relative']:.3f}"] for m in starter.module_table() if m["moved"]],
        columns=["module that moves", "parameters", "sigma (share of its weights' size)"],
    )
    same = show.command("clone", "YOUR_CLIPS/", "--name", name.strip(), "--consent", agreed, "--steps", int(steps))
    return f"**{plan.sentence}**\n\nThe same on the command line: `{same}`", modules, job.id, ""


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
        given = read_tables([Path(f) for f in files or [] if Path(f).suffix.lower() in (".csv", ".tsv", ".txt")])
        known = {p: given[p.stem] for p in paths if p.stem in given}
        texts = {**complete_transcripts([p for p in paths if p not in known], None), **known}
        job = control.go_on(starter, find_job(job_id), more=check_clips(paths, texts, starter))
    except InputError as e:
        return job_id, show.problem(str(e)), gr.Timer(active=False)
    return job.id, show.fine("Going on with the new clips."), gr.Timer(active=True)


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
    keys = ("name", "consent", "purpose", "clips", "seconds", "steps", "best_step", "method", "created", "made_by")
    facts = "\n".join(f"- {k}: {header[k]}" for k in keys if header.get(k) not in (None, ""))
    lines = [f"**{Path(state.voice).name}**, {Path(state.voice).stat().st_size / 1e6:.2f} MB, is in your library.", facts,
             f"`{show.command('say', 'Good morning.', '--voice', header['name'], '--out', 'hello.wav')}`"]
    return show.private_copy(state.voice), "\n\n".join(lines)


def found_again():
    """After a reload: the newest job that runs or waits, else none."""
    for job in list_jobs():
        if job.state.status in ("queued", "running", "interrupted"):
            return job.id, gr.Walkthrough(selected=4), gr.Timer(active=True)
    return "", gr.skip(), gr.Timer(active=False)


def build(page: gr.Blocks) -> gr.State:
    """Lay the steps out; returns the state that holds the job's id."""
    clips, number, job, answer = gr.State({}), gr.State(0), gr.State(""), gr.State("")
    timer = gr.Timer(1.0, active=False)
    with gr.Walkthrough(selected=1, elem_id="walk") as walk:
        with gr.Step("Whose voice", id=1):
            name = gr.Textbox(label="Name of the voice", info="1 to 64 letters, digits, spaces, - or _.", elem_id="name")
            permission = gr.Textbox(label="Who gives permission", info="Kept in the voice file.", elem_id="who")
            purpose = gr.Textbox(label="What the voice is for", info="Kept in the voice file; may stay empty.", elem_id="purpose")
            consent = gr.Checkbox(label="The speaker agrees to this voice being made", elem_id="consent",
                                  info="Cloning someone without consent is not allowed.")
            trouble1 = gr.HTML(elem_id="trouble1")
            to2 = gr.Button("Next: clips", variant="primary", elem_id="to2")
        with gr.Step("Clips", id=2):
            with gr.Tab("Read aloud", id="read"):
                gr.Markdown("Read each sentence as you would tell it a friend. Ten are enough; all twenty are better.")
                shown = gr.HTML(prompt_text(0), elem_id="prompt")
                microphone = gr.Audio(
                    sources=["microphone"], type="filepath", label="Recording", format="wav", elem_id="microphone",
                    waveform_options=gr.WaveformOptions(show_recording_waveform=False),
                )
                with gr.Row():
                    back = gr.Button("Back", elem_id="back")
                    redo = gr.Button("Redo", elem_id="redo")
                    keep = gr.Button("Keep and next", variant="primary", elem_id="keep")
                    skip = gr.Button("Skip", elem_id="skip")
            with gr.Tab("Upload", id="upload"):
                files = gr.File(
                    label="Clips, and texts (.txt or .csv) if you have them", file_count="multiple", elem_id="clips",
                    file_types=[*SUFFIXES, ".txt", ".csv", ".tsv"],
                )
                gr.Markdown(f"{', '.join(s[1:] for s in SUFFIXES)}. Long recordings are cut at their pauses.")
                example = gr.Button("Use the example clips", elem_id="examples")
            trouble2 = gr.HTML(elem_id="trouble2")
            look = gr.Button("Check my clips", elem_id="look")
            checked = gr.Dataframe(pd.DataFrame(columns=show.CHECKED), label="What the doctor says", interactive=False, wrap=True,
                                   column_widths=["25%", "10%", "15%", "50%"], elem_id="checked")
            measured = gr.Markdown(elem_id="meter")
            to3 = gr.Button("Next: text", variant="primary", elem_id="to3")
        with gr.Step("Text", id=3):
            table = gr.Dataframe(
                empty_table(), label="What is said in each clip", interactive=True, wrap=True, static_columns=[0, 2],
                column_widths=["25%", "55%", "20%"], elem_id="texts",
            )
            fill = gr.Button("Recognise the missing texts", elem_id="recognise")
            trouble3 = gr.HTML(elem_id="trouble3")
            to4 = gr.Button("Next: adapt", variant="primary", elem_id="to4")
        with gr.Step("Adapt", id=4):
            steps = gr.Slider(
                10, 3000, value=default_starter().info["adaptation"]["steps"], step=10, label="Steps", elem_id="steps",
                info="More steps are slower, and safe: the prior keeps the voice from overfitting. It ends early on a plateau.",
            )
            with gr.Row():
                planning = gr.Button("Plan", elem_id="plan")
                go = gr.Button("Start", variant="primary", elem_id="start")
                halt = gr.Button("Stop", elem_id="stop")
            trouble4 = gr.HTML(elem_id="trouble4")
            plan = gr.Markdown(elem_id="planned")
            status = gr.Markdown("No clone is running.", elem_id="status")
            with gr.Row():
                held = gr.LinePlot(show.curve([], "nats per frame"), x="step", y="nats per frame", height=240, elem_id="curve",
                                   label="Loss of held-out clips (lower is better)")
                like = gr.LinePlot(show.curve([], "cosine"), x="step", y="cosine", height=240, elem_id="likeness",
                                   label="Likeness to the speaker's own clips (higher is better)")
                train = gr.LinePlot(show.curve([], "nats per frame"), x="step", y="nats per frame", height=240, elem_id="train",
                                    label="Loss of the clips it learns from")
            kept = gr.Radio([], label="Listen to a step that was kept", elem_id="kept", info="Choose one to hear it.")
            preview = gr.Audio(label="Preview", type="filepath", interactive=False, elem_id="preview",
                               waveform_options=gr.WaveformOptions(show_recording_waveform=False))
            using = gr.Button("Use this step as the voice", elem_id="use")
            with gr.Accordion("Add clips and continue", open=False):
                more = gr.File(label="More clips, with their texts (.txt or .csv)", file_count="multiple", elem_id="more",
                               file_types=[*SUFFIXES, ".txt", ".csv", ".tsv"])
                adding = gr.Button("Add and continue", elem_id="add")
            with gr.Accordion("Modules that move", open=False):
                modules = gr.Dataframe(interactive=False, label="Modules", elem_id="modules")
            to5 = gr.Button("Next: listen", variant="primary", elem_id="to5")
        with gr.Step("Listen", id=5):
            blind = gr.Checkbox(label="Blind: do not tell me which is which", elem_id="blind", info="Then guess below.")
            playing = gr.Button("Play a held-out recording and the clone", elem_id="compare")
            said = gr.Markdown(elem_id="said")
            with gr.Row():
                plain = gr.WaveformOptions(show_recording_waveform=False)
                a = gr.Audio(label="A", type="filepath", interactive=False, elem_id="soundA", waveform_options=plain)
                b = gr.Audio(label="B", type="filepath", interactive=False, elem_id="soundB", waveform_options=plain)
            choice = gr.Radio(["A", "B"], label="Which is the recording?", info="For the blind comparison.", elem_id="guess")
            verdict = gr.Markdown(elem_id="verdict")
            trouble5 = gr.HTML(elem_id="trouble5")
            to6 = gr.Button("Next: save", variant="primary", elem_id="to6")
        with gr.Step("Save", id=6):
            voice_file = gr.File(label="Your voice file", interactive=False, elem_id="voicefile")
            facts = gr.Markdown(elem_id="facts")

    for button, target in ((to3, 3), (to4, 4), (to5, 5)):
        button.click(lambda target=target: gr.Walkthrough(selected=target), None, walk)
    to2.click(who, [name, consent], [walk, trouble1])
    to6.click(lambda: gr.Walkthrough(selected=6), None, walk).then(finished, job, [voice_file, facts])
    files.upload(add_files, [files, clips, table], [clips, table, trouble2])
    example.click(use_examples, table, [clips, table, trouble2])
    keep.click(add_recording, [microphone, number, clips, table], [clips, table, number, microphone, shown, trouble2])
    redo.click(lambda: None, None, microphone)
    back.click(lambda n: step_prompt(n, -1), number, [number, shown, microphone])
    skip.click(lambda n: step_prompt(n, 1), number, [number, shown, microphone])
    look.click(check, [clips, table], [checked, measured, trouble2])
    fill.click(recognise, [clips, table], [table, trouble3])
    asked = [name, consent, permission, purpose, clips, table, steps]
    planning.click(make_plan, asked, [plan, modules, job, trouble4])
    shown_progress = [status, held, train, like, kept, trouble4, timer]
    go.click(start, job, [trouble4, timer])
    halt.click(stop, job, trouble4)
    timer.tick(progress, job, shown_progress, show_progress="hidden")
    kept.change(hear, [job, kept], preview)
    using.click(use, [job, kept], trouble4)
    adding.click(add_more, [job, more], [job, trouble4, timer])
    playing.click(compare, [job, blind], [a, b, said, answer, trouble5])
    choice.change(guess, [choice, answer], verdict)
    page.load(found_again, None, [job, walk, timer]).then(progress, job, shown_progress)
    return job

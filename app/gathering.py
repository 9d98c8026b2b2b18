"""Steps 1 and 2 of the walk: clips and their texts. What is gathered lies in the window's draft, so that a reload finds it."""

from __future__ import annotations

from pathlib import Path

import gradio as gr
import soundfile

from tts_meta.audio.files import SUFFIXES, read_audio
from tts_meta.clips.draft_clips import EXAMPLE, Draft
from tts_meta.clips.sound_coverage import prompts
from tts_meta.clips.transcripts import TEXT_FILES, find_transcripts, texts_in
from tts_meta.errors import InputError
from tts_meta.jobs.job_folder import forget_plans, list_jobs
from tts_meta.voices.library import voice_names

from . import rows, show, warm

EXAMPLES = Path(__file__).parent / "examples" / "p225" / "clips"
EXAMPLE_NAME, EXAMPLE_CONSENT = "p225", "the VCTK corpus (CC BY 4.0)"
UNSURE = "recognised, unsure: listen"
FROM_FILE = "from your file"
LEAST, GOOD = 5, 30  # s of speech: without which nothing is made, and that make a good voice (docs/how-many-clips.md)
LONGEST_GATHERED = 300.0  # s of a long recording that become clips of the page's list: more would not be looked through
USABLE = "Usable is what people can be heard in: the pauses and the clips that are left out do not count."


def lists(draft: Draft) -> tuple[str, str, str]:
    """What is shown of a draft: its clips, its texts, and whether that is enough."""
    return rows.clips(draft), rows.texts(draft), enough(draft)


def enough(draft: Draft) -> str:
    """How much was gathered, and how much is expected."""
    seconds = 0.0
    for path in draft.clips:
        try:
            seconds += soundfile.info(path).duration
        except (OSError, RuntimeError):
            continue  # of a kind that only the doctor reads, or no sound at all: the doctor says which
    number = len(draft.clips)
    if not number:
        return f"<p>{GOOD} seconds of speech make a good voice; {LEAST} are the least.</p>"
    said = f"{number} clip{'s' * (number != 1)}, {seconds:.0f} s so far"
    what = f"{LEAST} s are the least." if seconds < LEAST else f"{GOOD} s make a good voice." if seconds < GOOD else "enough."
    return (f'<p role="status">{said}: {what} <progress max="{GOOD}" value="{min(GOOD, seconds):.0f}" '
            f'aria-label="{said}"></progress></p>')


@show.told
def edit(window: str, event: gr.EventData) -> None:
    """Keep a text that was typed."""
    Draft.of(window).edit([(str(event.of), str(event.text))])


@show.told
def add_files(window: str, shown: str, files: list[str] | None):
    """Uploaded sounds and texts beside what is there; the box that they were dropped in is empty again: the list beside it
    is what there is."""
    draft = rows.typed(window, shown)
    paths = [Path(f) for f in files or []]
    sounds = [p for p in paths if p.suffix.lower() in SUFFIXES]
    if not sounds and not draft.clips:
        said = f"None of the files is a sound ({', '.join(p.name for p in paths[:3])}); {', '.join(SUFFIXES)} are expected."
        return None, *lists(draft), show.problem(said)
    from tts_meta.clips.long_recordings import cut_from, cut_long_recordings  # torch comes with it, after the page is served

    notes: list[str] = []
    named = {p.stem for p in paths if p.suffix.lower() in TEXT_FILES}
    for p in cut_long_recordings(sounds, [p for p in sounds if p.stem in named], notes.append, LONGEST_GATHERED):
        draft.add(p)
        if cut_from(p):
            p.unlink()  # the page's program may run for weeks, and the draft has a copy
    try:
        texts = texts_in([p for p in paths if p.suffix.lower() in TEXT_FILES], draft.clips, notes.append)
    except InputError as e:
        return None, *lists(draft), show.problem(str(e))
    draft.fill({p.name: (text, FROM_FILE) for p, text in texts.items()})
    return None, *lists(draft), "".join([count(draft), *map(show.fine, notes)])


def count(draft: Draft) -> str:
    """How many clips a draft has."""
    clips = len(draft.clips)
    return show.fine(f"{clips} clip{'s' * (clips != 1)} so far.")


def add_examples(window: str, shown: str) -> Draft:
    """The example clips (VCTK p225) in a draft. Raises InputError where clips of another speaker are."""
    draft = rows.typed(window, shown)
    if any(r.note != EXAMPLE for r in draft.rows):
        raise InputError("Clips of your own are here; the examples are of another speaker. Press Start over first.")
    paths = sorted(EXAMPLES.glob("*.flac"))
    for p, text in find_transcripts(paths, None).items():
        draft.add(p, text, EXAMPLE)
    return draft


def use_examples(window: str, shown: str):
    """The page can be tried at once: clips, texts, a name and whose permission it is; the tick is left to the person."""
    try:
        draft = add_examples(window, shown)
    except InputError as e:
        return *[gr.skip()] * 7, show.problem(str(e))
    known, name, number = voice_names(), EXAMPLE_NAME, 1
    while name in known:
        number += 1
        name = f"{EXAMPLE_NAME}-{number}"
    return *lists(draft), False, gr.Walkthrough(selected=3), name, EXAMPLE_CONSENT, show.fine(
        "Ten clips of the VCTK speaker p225 (CC BY 4.0).")


@show.told
def add_recording(window: str, shown: str, path: str | None, number: int):
    """Keep a recording of the prompt that is shown, and show the next."""
    texts = prompts()
    if not path:
        return number, gr.skip(), gr.skip(), *[gr.skip()] * 3, show.problem(
            "There is no recording yet. Press the record button, read the sentence aloud, press stop, wait until it can be "
            "played; then keep it.")
    draft = rows.typed(window, shown)
    draft.add(Path(path), texts[number], "read aloud", name=f"prompt-{number + 1:02d}.wav")
    following = min(number + 1, len(texts) - 1)
    return following, None, prompt_text(following), *lists(draft), count(draft)


def prompt_text(number: int) -> str:
    """HTML of a prompt, with its number."""
    return f'<div class="prompt" aria-live="polite"><small>{number + 1} of {len(prompts())}</small><br>{prompts()[number]}</div>'


def step_prompt(number: int, by: int):
    """The prompt `by` places further: (its number, its HTML, an empty recorder)."""
    number = min(max(0, number + by), len(prompts()) - 1)
    return number, prompt_text(number), None


@show.told
def start_over(sure: str | None, window: str):
    """Remove the clips that were gathered, and the plan made of them that was not started; voices and clones stay, but the
    page shows none of them: what is pressed next is about the clips that come next. Who comes is asked for consent again."""
    if not sure:
        return *[gr.skip()] * 12, ""
    draft = Draft.of(window)
    goes_on = any(j.id == draft.job and j.state.status in ("queued", "running") for j in list_jobs())
    if draft.job:
        forget_plans(0, draft.job)
    draft.clear()
    said = "All clips and texts are removed." + " Their clone goes on: it is among the earlier clones of step 3." * goes_on
    players = gr.Audio(None, visible=False), gr.Audio(None, visible=False)
    return *lists(draft), *players, 0, prompt_text(0), "", False, "", "", "", show.fine(said)


@show.told
def recognise(window: str, shown: str):
    """Fill in the texts that are missing; what is there stays, what was heard with doubt says so, and what cannot be heard
    is named."""
    from tts_meta.measures.intelligibility import WHY_MISSING, load_recogniser

    draft = rows.typed(window, shown)
    recogniser = load_recogniser()
    if recogniser is None:
        said = f"Speech recognition is not there: {WHY_MISSING}. Type the texts, or read the prompts."
        return *lists(draft), show.problem(said)
    found, silent = {}, []
    for r in draft.rows:
        if r.text:
            continue
        try:
            text, sure = recogniser.transcribe_surely(draft.path(r.clip))
        except InputError as e:
            silent.append(str(e).replace(str(draft.path(r.clip)), r.clip))
            continue
        if text:
            found[r.clip] = text, "recognised" if sure else UNSURE
        else:
            silent.append(f"No words are heard in {r.clip}; type its text, or remove it.")
    draft.fill(found)
    unsure = sum(note == UNSURE for _, note in found.values())
    doubts = f"; listen to the {unsure} that are marked" if unsure else ""
    said = show.fine(f"{len(found)} text{'s' * (len(found) != 1)} recognised by {recogniser.name}{doubts}.")
    return *lists(draft), said + "".join(map(show.problem, silent))


@show.told
def act(window: str, shown: str, event: gr.EventData):
    """What a row's button asks for: hear the clip, or remove it. Returns the player, the lists and a message."""
    draft, clip = rows.typed(window, shown), str(event.of)
    if clip not in {r.clip for r in draft.rows}:
        return gr.skip(), *lists(draft), show.problem(f"{clip} is not there any more; the list shows what is.")
    if event.act == "play":
        try:
            read_audio(draft.path(clip))
        except InputError as e:
            said = str(e).replace(str(draft.path(clip)), clip)
            return gr.Audio(None, visible=False), *[gr.skip()] * 3, show.problem(said)
        return gr.Audio(show.private_copy(draft.path(clip)), label=clip, visible=True, autoplay=True), *[gr.skip()] * 3, ""
    draft.remove(clip)
    return gr.Audio(None, visible=False), *lists(draft), show.fine(f"{clip} is removed.")


@show.told
def check(window: str, shown: str):
    """The clip doctor's verdicts in the list, and the meter."""
    draft = rows.typed(window, shown)
    if not draft.clips:
        return *lists(draft), "", show.problem("There are no clips yet: record or upload some, or use the examples.")
    from tts_meta.clips.checkup import check_clips

    checkup = check_clips(draft.clips, draft.texts, warm.network())
    keep_verdicts(draft, checkup)
    return *lists(draft), meter(checkup), ""


def keep_verdicts(draft: Draft, checkup) -> None:
    """Remember what the doctor said, of the texts as they are now."""
    texts = {r.clip: r.text for r in draft.rows}
    found = []
    for c in checkup.clips:
        part = f"{c.start:.1f}–{c.end:.1f} s" if c.start else f"{c.end - c.start:.1f} s"
        why = " ".join(f"{f.sentence} {f.fix}".strip() for f in c.findings)
        found.append({"clip": c.path.name, "of": texts.get(c.path.name, ""), "level": c.level, "length": part, "why": why})
    draft.judge(found)


def meter(checkup) -> str:
    """The set's findings and the meter, as markdown."""
    lines = [f"**{rows.BADGES[f.level]}:** {f.sentence} {f.fix}".replace("`tts-meta prompts`", "the tab Read aloud")
             for f in checkup.findings]
    if checkup.meter.missing:
        lines.append(f"Sounds in no clip: {', '.join(checkup.meter.missing)}")
    return "\n\n".join([f"**{checkup.meter.sentence}** {USABLE}", *lines])


def found_again(window: str):
    """After a reload: the clips that were gathered, and the first prompt that was not read."""
    draft = Draft.of(window)
    read = {r.clip for r in draft.rows}
    number = next((i for i in range(len(prompts())) if f"prompt-{i + 1:02d}.wav" not in read), 0)
    message = show.fine(f"Still here from before: {len(read)} clips. Start over removes them.") if read else ""
    return *lists(draft), number, prompt_text(number), message

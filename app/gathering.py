"""Steps 1 to 3 of the walk: whose voice, clips, texts. What is gathered lies in a draft, so that a reload finds it again."""

from __future__ import annotations

from pathlib import Path

import gradio as gr
import pandas as pd

from tts_meta.audio.files import SUFFIXES
from tts_meta.errors import InputError
from tts_meta.evaluation.intelligibility import WHY_MISSING, load_recogniser
from tts_meta.voices.checkup.checkup import check_clips
from tts_meta.voices.checkup.sounds import prompts
from tts_meta.voices.draft import EXAMPLE, Draft
from tts_meta.voices.jobs.folder import forget_plans
from tts_meta.voices.networks import default_starter
from tts_meta.voices.places import check_name
from tts_meta.voices.transcripts import TEXT_FILES, find_transcripts, texts_in

from . import show

TABLE = ["clip", "text", "note"]
EXAMPLES = Path(__file__).parent / "examples" / "p225" / "clips"
UNSURE = "recognised, unsure: listen"
FROM_FILE = "from your file"
CHOSEN = "The clip of the row you click"


def who(name: str, consent: bool):
    """From step 1 to step 2, when there is a name and consent."""
    try:
        check_name((name or "").strip())
    except InputError as e:
        return gr.skip(), show.problem(str(e))
    if not consent:
        return gr.skip(), show.problem("Tick that the speaker agrees: a voice is made only with consent.")
    return gr.Walkthrough(selected=2), ""


def table() -> pd.DataFrame:
    """The draft's clips and texts."""
    return pd.DataFrame([[r.clip, r.text, r.note if r.text else "needs its text"] for r in Draft().rows], columns=TABLE)


@show.told
def save(rows: pd.DataFrame) -> None:
    """Keep the texts as they stand in the table."""
    Draft().edit((r["clip"], str(r["text"] or "")) for r in rows.to_dict("records"))


def typed(rows: pd.DataFrame) -> Draft:
    """The draft, with what was typed just before a button; blanks change nothing (another window may have filled them)."""
    save(rows[rows["text"].astype(str).str.strip() != ""])
    return Draft()


def count(draft: Draft) -> str:
    clips = len(draft.clips)
    return show.fine(f"{clips} clip{'s' * (clips != 1)} so far.")


@show.told
def add_files(files: list[str] | None, rows: pd.DataFrame):
    """Uploaded sounds and texts beside what is there."""
    draft = typed(rows)
    paths = [Path(f) for f in files or []]
    sounds = [p for p in paths if p.suffix.lower() in SUFFIXES]
    if not sounds and not draft.clips:
        return table(), show.problem(f"None of the files is a sound; {', '.join(SUFFIXES)} files are expected.")
    notes: list[str] = []
    for p in sounds:
        draft.add(p)
    try:
        texts = texts_in([p for p in paths if p.suffix.lower() in TEXT_FILES], draft.clips, notes.append)
    except InputError as e:
        return table(), show.problem(str(e))
    draft.fill({p.name: (text, FROM_FILE) for p, text in texts.items()})
    return table(), "".join([count(draft), *map(show.fine, notes)])


@show.told
def use_examples(rows: pd.DataFrame):
    """The example clips (VCTK p225), so that the page can be tried at once."""
    draft = typed(rows)
    if any(r.note != EXAMPLE for r in draft.rows):
        return table(), show.problem("Clips of your own are here; the examples are of another speaker. Press Start over first.")
    paths = sorted(EXAMPLES.glob("*.flac"))
    for p, text in find_transcripts(paths, None).items():
        draft.add(p, text, EXAMPLE)
    return table(), show.fine("Ten clips of the VCTK speaker p225 (CC BY 4.0).")


@show.told
def add_recording(path: str | None, number: int, rows: pd.DataFrame):
    """Keep a recording of the prompt that is shown, and show the next."""
    texts = prompts()
    if not path:
        return gr.skip(), number, gr.skip(), gr.skip(), show.problem(
            "There is no recording yet. Press the record button, read the sentence aloud, press stop, wait until it can be "
            "played; then keep it.")
    draft = typed(rows)
    draft.add(Path(path), texts[number], "read aloud", name=f"prompt-{number + 1:02d}.wav")
    following = min(number + 1, len(texts) - 1)
    return table(), following, None, prompt_text(following), count(draft)


def prompt_text(number: int) -> str:
    return f'<div class="prompt" aria-live="polite"><small>{number + 1} of {len(prompts())}</small><br>{prompts()[number]}</div>'


def step_prompt(number: int, by: int):
    number = min(max(0, number + by), len(prompts()) - 1)
    return number, prompt_text(number), None


@show.told
def start_over(sure: str | None):
    """Remove the clips that were gathered, and plans made of them that were not started; voices and clones stay."""
    if not sure:
        return *[gr.skip()] * 5, ""
    Draft().clear()
    forget_plans(0)
    return table(), 0, prompt_text(0), show.no_checks(), "", show.fine("All clips and texts are removed.")


@show.told
def recognise(rows: pd.DataFrame):
    """Fill in the texts that are missing; what is there stays, and what was heard with doubt says so."""
    draft = typed(rows)
    recogniser = load_recogniser()
    if recogniser is None:
        return table(), show.problem(f"Speech recognition is not there: {WHY_MISSING}. Type the texts, or read the prompts.")
    found = {}
    for r in draft.rows:
        if not r.text:
            text, sure = recogniser.transcribe_surely(draft.path(r.clip))
            found[r.clip] = text, "recognised" if sure else UNSURE
    draft.fill(found)
    unsure = sum(note == UNSURE for _, note in found.values())
    return table(), show.fine(f"{len(found)} texts recognised by {recogniser.name}; {unsure} are marked, listen to those.")


@show.told
def choose(event: gr.SelectData):
    """The clip of the row that was clicked: to listen to while its text is read, and to remove."""
    rows = Draft().rows
    clip = rows[event.index[0]].clip if event.index[0] < len(rows) else ""
    return clip, gr.Audio(show.private_copy(Draft().path(clip)), label=clip) if clip else None, ""


@show.told
def remove(clip: str):
    """Remove the chosen clip."""
    if not clip:
        return table(), "", gr.skip(), show.problem("Choose a clip first: click its row.")
    Draft().remove(clip)
    return table(), "", gr.Audio(None, label=CHOSEN), show.fine(f"{clip} is removed.")


@show.told
def check(rows: pd.DataFrame):
    """The clip doctor's table and meter."""
    draft = typed(rows)
    if not draft.clips:
        return show.no_checks(), "", show.problem("There are no clips yet: record or upload some, or use the examples.")
    checkup = check_clips(draft.clips, draft.texts, default_starter())
    return show.checked_rows(checkup), show.meter(checkup), ""


def found_again():
    """After a reload: the clips that were gathered, and the first prompt that was not read."""
    rows = Draft().rows
    read = {r.clip for r in rows}
    number = next((i for i in range(len(prompts())) if f"prompt-{i + 1:02d}.wav" not in read), 0)
    message = show.fine(f"Still here from before: {len(rows)} clips. Start over removes them.") if rows else ""
    return table(), number, prompt_text(number), message

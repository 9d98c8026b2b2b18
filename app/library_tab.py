"""Library: a row for every voice, with what can be done to it; Delete can be undone."""

from __future__ import annotations

import html
from pathlib import Path

import gradio as gr
import pandas as pd

from tts_meta.errors import InputError
from tts_meta.jobs.job_folder import PREVIEW
from tts_meta.voices import library

from . import rows, show, warm


def listed() -> str:
    """A row for every voice, the example among them."""
    items = []
    for r in library.describe_voices(example=True):
        name, own = r["name"], Path(r["path"]).parent == library.library_folder()
        made = library.read_date(r["created"] or "")
        what = f"{r['clips']} clips, {r['seconds']:.0f} s, made {made}" if r["clips"] else "cannot be read"
        end = [rows.button("copy", name, "Duplicate", ask=f"Name of the copy of {name}", value=f"{name}-2")]
        if own:
            end = [rows.button("rename", name, "Rename", ask=f"New name of {name}", value=name), *end,
                   rows.button("note", name, "Note", ask=f"Note on {name}", value=r["note"]),
                   rows.button("delete", name, "Delete", quiet=True)]
        said = r["problem"] or r["note"] or ("" if own else "Comes with the package.")
        items.append(
            f'{rows.button("play", name, "▶", says=f"Play {name}")}<span class="named">{html.escape(name)}</span>'
            f'<span>{html.escape(what)}</span><span class="end">{rows.button("details", name, "Details")}{"".join(end)}</span>'
            + (f'<span class="why">{html.escape(said)}</span>' if said else ""))
    return rows.rows(items, "No voices yet.")


def do(kind: str, name: str, value: str = "") -> tuple[str, str]:
    """rename, copy, note or delete a voice: (what was done, the file by which a deleted one can be brought back). Raises
    InputError."""
    value = value.strip()
    if kind == "rename":
        return f"{name} is now {library.rename_voice(name, value).stem}.", ""
    if kind == "copy":
        return f"{library.copy_voice(name, value).stem} is a copy of {name}.", ""
    if kind == "note":
        library.note_voice(name, value)
        return f"{name} is noted.", ""
    return f"{name} is deleted.", str(library.put_away(name))


def act(event: gr.EventData):
    """What a row's button asks for: (message, rows, undo, the file to bring back, frame, facts, modules, sound, voice file)."""
    kind, name = str(event.act), str(event.of)
    still = (gr.skip(),) * 5
    try:
        if kind in ("play", "details"):
            return "", gr.skip(), gr.skip(), gr.skip(), *details(name, kind == "play")
        said, away = do(kind, name, str(event.value))
    except InputError as e:
        return show.problem(in_words(str(e))), gr.skip(), gr.skip(), gr.skip(), *still
    back = gr.Button(f"Undo: bring {name} back", visible=bool(away))
    return show.fine(said), listed(), back, away, gr.Column(visible=False), *still[1:]


def in_words(message: str) -> str:
    """A sentence of the library without the options of the command line."""
    return message.replace(" or add --force", "").replace("; delete it first.", "; delete or rename that one first.")


def undo(away: str):
    """Bring the voice back that was deleted last: (message, rows, undo)."""
    try:
        path = library.bring_back(Path(away))
    except InputError as e:
        return show.problem(str(e)), listed(), gr.Button(visible=False)
    return show.fine(f"{path.stem} is back."), listed(), gr.Button(visible=False)


def bring_in(file: str | None):
    """Import a voice file."""
    try:
        if not file:
            raise InputError("Choose a .voice file first.")
        path = library.import_voice(Path(file), warm.network())
    except InputError as e:
        return show.problem(in_words(str(e).replace(str(file), Path(file or "").name))), gr.skip()
    return show.fine(f"{path.stem} is in your library."), listed()


def details(name: str, play: bool):
    """(frame, facts, module table, sample sound, file to keep) of a voice. Raises InputError."""
    from tts_meta.audio.files import write_wav
    from tts_meta.audio.mel import SAMPLE_RATE
    from tts_meta.speaking.synthesize import Synthesizer
    from tts_meta.voices.voice_file import load_voice

    path = library.named_voice(name)
    starter = warm.network()
    voice = load_voice(path, starter)
    h = voice.header
    facts = "\n".join(f"- {fact}" for fact in library.facts(h))
    moved = [
        [m["name"], f"{m['parameters']:,}", f"{m['sigma_relative']:.4f}", f"{h.get('distance', {}).get(m['name'], 0):.5f}"]
        for m in starter.module_table(h["modules"], h["method"]) if m["moved"]
    ]
    table = pd.DataFrame(moved, columns=["module", "parameters", "sigma (share of its weights' size)", "how far it moved"])
    sound = show.new_folder() / f"{name}.wav"
    write_wav(sound, Synthesizer.of(starter, voice).speak(PREVIEW).samples, SAMPLE_RATE)
    return gr.Column(visible=True), facts, table, gr.Audio(str(sound), label=name, autoplay=play), show.private_copy(path)


def build() -> gr.HTML:
    """The Library tab; returns its list of voices."""
    voices = rows.listing("voices", listed())
    status = gr.HTML(elem_id="library-status")
    away = gr.State("")
    back = gr.Button("Undo", visible=False, elem_id="undo")
    with gr.Column(visible=False, elem_id="details") as frame:
        sample = show.audio("Sample", "sample")
        facts = gr.Markdown(elem_id="library-facts", padding=True)
        file = gr.File(label="The voice file, to keep or to give away", interactive=False, elem_id="export")
        with gr.Accordion("Modules that moved", open=False):
            modules = gr.Dataframe(label="Modules", interactive=False, elem_id="library-modules", buttons=[])
    with gr.Accordion("Import a voice file", open=False, elem_id="importing"):
        given = gr.File(label="A .voice file", file_types=[".voice"], elem_id="import-file", height=120)
        take = gr.Button("Import", elem_id="import")
    voices.click(act, None, [status, voices, back, away, frame, facts, modules, sample, file])
    back.click(undo, away, [status, voices, back])
    show.answered(take, status, "The file is read.")
    take.click(bring_in, given, [status, voices], show_progress="hidden")
    return voices

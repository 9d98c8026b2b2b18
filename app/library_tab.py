"""Library, evaluate and doctor."""

from __future__ import annotations

import shutil
from pathlib import Path

import gradio as gr
import pandas as pd

from tts_meta.audio.files import SUFFIXES, told, write_wav
from tts_meta.audio.mel import SAMPLE_RATE
from tts_meta.doctor import THOROUGH, run_checks
from tts_meta.errors import InputError
from tts_meta.evaluation.evaluate import evaluate_voice, load_reference
from tts_meta.voices import library
from tts_meta.voices.jobs.folder import PREVIEW
from tts_meta.voices.jobs.making import making_of
from tts_meta.voices.networks import default_starter
from tts_meta.voices.synthesize import Synthesizer
from tts_meta.voices.transcripts import TEXT_FILES
from tts_meta.voices.voice_file import load_voice

from . import show

LISTED = ["name", "clips", "seconds", "made", "note"]


def listed() -> pd.DataFrame:
    """A row for every voice."""
    rows = [
        [r["name"], r["clips"], r["seconds"], library.read_date(r["created"] or ""), r["problem"] or r["note"]]
        for r in library.describe_voices()
    ]
    return pd.DataFrame(rows, columns=LISTED)


def _done(message: str, chosen: str | None = None):
    return show.fine(message), listed(), gr.Dropdown(choices=library.voice_names(), value=chosen)


def act(kind: str, name: str | None, value: str = ""):
    """rename, copy, note or delete the chosen voice."""
    try:
        if not name:
            raise InputError("Nothing was done: choose a voice first (and confirm, to delete it).")
        if kind == "rename":
            library.rename_voice(name, value.strip())
            return _done(f"{name} is now {value.strip()}.", value.strip())
        if kind == "copy":
            library.copy_voice(name, value.strip())
            return _done(f"{value.strip()} is a copy of {name}.", value.strip())
        if kind == "note":
            library.note_voice(name, value.strip())
            return _done("Noted.", name)
        library.delete_voice(name)
        return _done(f"{name} is deleted.")
    except InputError as e:
        return show.problem(str(e)), gr.skip(), gr.skip()


def bring_in(file: str | None):
    """Import a voice file."""
    try:
        if not file:
            raise InputError("Choose a .voice file first.")
        path = library.import_voice(Path(file), default_starter())
        return _done(f"{path.stem} is in your library.", path.stem)
    except InputError as e:
        return show.problem(str(e).replace(str(file), Path(file or "").name)), gr.skip(), gr.skip()


@show.told
def details(name: str | None):
    """(facts, module table, sample sound, file to keep) of a voice."""
    if not name:
        return "", None, None, None
    try:
        path = library.named_voice(name)
        starter = default_starter()
        voice = load_voice(path, starter)
    except InputError as e:
        return f"**Problem:** {e}", None, None, None
    h = voice.header
    facts = "\n".join(f"- {fact}" for fact in library.facts(h))
    moved = [
        [m["name"], f"{m['parameters']:,}", f"{m['sigma_relative']:.4f}", f"{h.get('distance', {}).get(m['name'], 0):.5f}"]
        for m in starter.module_table(h["modules"]) if m["moved"]
    ]
    table = pd.DataFrame(moved, columns=["module", "parameters", "sigma / RMS", "distance from phi"])
    sound = show.new_folder() / f"{name}.wav"
    write_wav(sound, Synthesizer.of(starter, voice).speak(PREVIEW).samples, SAMPLE_RATE)
    return facts, table, str(sound), show.private_copy(path)


def build_library() -> tuple[gr.Dropdown, gr.Dataframe]:
    """The Library tab; returns its list of voices and its table."""
    table = gr.Dataframe(listed(), label="Your voices", interactive=False, wrap=True, elem_id="voices")
    chosen = gr.Dropdown(library.voice_names(), label="Voice", elem_id="chosen", value=None,
                         info="What the buttons below act on.")
    status = gr.HTML(elem_id="library-status")
    facts = gr.Markdown(elem_id="library-facts")
    with gr.Row():
        sample = gr.Audio(label="Sample", type="filepath", interactive=False, elem_id="sample",
                          waveform_options=gr.WaveformOptions(show_recording_waveform=False))
        file = gr.File(label="Export: the voice file", interactive=False, elem_id="export")
    with gr.Row():
        value = gr.Textbox(label="New name, or note", elem_id="value", info="For the buttons beside it.")
        rename, copy = gr.Button("Rename", elem_id="rename"), gr.Button("Duplicate", elem_id="copy")
        note, delete = gr.Button("Write note", elem_id="note"), gr.Button("Delete", variant="stop", elem_id="delete")
    with gr.Accordion("Modules that moved", open=False):
        modules = gr.Dataframe(label="Modules", interactive=False, elem_id="library-modules")
    with gr.Row():
        given = gr.File(label="Import a .voice file", file_types=[".voice"], elem_id="import-file")
        take = gr.Button("Import", elem_id="import")
    outputs = [status, table, chosen]
    rename.click(lambda n, v: act("rename", n, v), [chosen, value], outputs)
    copy.click(lambda n, v: act("copy", n, v), [chosen, value], outputs)
    note.click(lambda n, v: act("note", n, v), [chosen, value], outputs)
    delete.click(lambda n: act("delete", n), chosen, outputs,
                 js=show.confirmed("Delete this voice? It cannot be brought back."))
    take.click(bring_in, given, outputs)
    chosen.change(details, chosen, [facts, modules, sample, file])
    return chosen, table


def evaluate(name: str | None, files: list[str] | None):
    """(numbers in words, report to keep): how good a voice is, by clips it was not made from."""
    try:
        if not name:
            raise InputError("Choose a voice first.")
        sounds = [Path(f) for f in files or []]
        if not sounds:
            raise InputError("Give some other recordings of the speaker, at least two, with their texts if you have them.")
        folder, out = show.new_folder(), show.new_folder()
        for f in sounds:
            with told(folder):
                shutil.copy(f, folder / f.name)
        starter, path = default_starter(), library.named_voice(name)
        voice = load_voice(path, starter)
        notes: list[str] = []
        references = load_reference(folder, None, set(voice.header.get("clip_digests", [])), notes.append)
        same = show.command("evaluate", "--voice", name, "--reference", "CLIPS/", "--out", "report/")
        metrics = evaluate_voice(starter, voice, references, out, making=making_of(path, starter), command=same)
    except InputError as e:
        return show.problem(str(e)), "", None
    return "".join(map(show.fine, notes)), metrics["verdict"], str(out / "report.html")


def build_evaluate() -> gr.Dropdown:
    """The Evaluate tab; returns its list of voices."""
    gr.Markdown("Other recordings of the same speaker, which the voice was not made from, tell how good it is.")
    chosen = gr.Dropdown(library.voice_names(), label="Voice", elem_id="judged", info="From your library.")
    files = gr.File(label="Recordings, and their texts in files or tables if you have them",
                    file_count="multiple", elem_id="references", file_types=[*SUFFIXES, *TEXT_FILES])
    go = gr.Button("Evaluate", variant="primary", elem_id="evaluate")
    trouble = gr.HTML(elem_id="trouble-evaluate")
    verdict = gr.Markdown(elem_id="evaluation")
    report = gr.File(label="The report (a page that opens offline)", interactive=False, elem_id="report")
    same = show.command("evaluate", "--voice", "NAME", "--reference", "CLIPS/", "--out", "report/")
    gr.Markdown(f"The same on the command line: `{same}`")
    go.click(evaluate, [chosen, files], [trouble, verdict, report], concurrency_id="speech", concurrency_limit=1)
    return chosen


def doctor() -> pd.DataFrame:
    """What is installed and works."""
    def state(check: dict) -> str:
        return "works" if check["ok"] else "optional, missing" if check["optional"] else "FAILS"

    return pd.DataFrame([[c["name"], state(c), c["detail"]] for c in run_checks(THOROUGH)], columns=["what", "state", "details"])


def build_doctor() -> None:
    """The Doctor tab."""
    gr.Markdown("Whether this machine has everything that a clone needs.")
    go = gr.Button("Examine", elem_id="examine")
    rows = gr.Dataframe(label="What works", interactive=False, wrap=True, elem_id="doctor")
    go.click(doctor, None, rows)

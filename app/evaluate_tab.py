"""Evaluate: how good a voice is, by recordings of its speaker that it was not made from."""

from __future__ import annotations

import queue
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import gradio as gr

from tts_meta.audio.files import SUFFIXES, told
from tts_meta.clips.transcripts import TEXT_FILES
from tts_meta.errors import InputError
from tts_meta.voices import library

from . import show, warm


def evaluate(name: str | None, files: list[str] | None) -> Iterator:
    """Yields (messages, numbers in words, report to keep)."""
    hidden = gr.File(None, visible=False)
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
    except InputError as e:
        yield show.problem(str(e)), "", hidden
        return
    yield show.fine("Reading the recordings."), "", hidden
    notes: list[str] = []

    def named(message: str) -> str:
        """Files by their names: where the page keeps them tells nobody anything."""
        return message.replace(f"{folder}/", "").replace(str(folder), "What was given")

    begin = time.monotonic()
    for kind, said in apart(lambda on: _measured(name, folder, out, notes.append, on)):
        told_so_far = "".join(show.fine(named(n)) for n in notes)
        if kind == "failed":
            yield told_so_far + show.problem(named(str(said))), "", hidden
        elif kind == "done":
            yield told_so_far, str(said), gr.File(str(out / "report.html"), visible=True)
        else:
            done, of = said
            left = (time.monotonic() - begin) / done * (of - done)
            yield told_so_far + show.fine(f"{done} of {of} sentences are measured, about {left:.0f} s left."), "", hidden


def _measured(name: str, folder: Path, out: Path, say: Callable[[str], None], on: Callable[[int, int], None]) -> str:
    """Evaluate the voice by the recordings in a folder; returns the verdict."""
    from tts_meta.evaluation.evaluate import evaluate_voice, load_reference
    from tts_meta.jobs.voice_origin import making_of
    from tts_meta.voices.voice_file import load_voice

    starter, path = warm.network(), library.named_voice(name)
    voice = load_voice(path, starter)
    references = load_reference(folder, None, set(voice.header.get("clip_digests", [])), say)
    same = show.command("evaluate", "--voice", name, "--reference", "CLIPS/", "--out", "report/")
    making = making_of(path, starter)
    return evaluate_voice(starter, voice, references, out, making=making, command=same, on_sentence=on)["verdict"]


def apart(work: Callable[[Callable[[int, int], None]], str]) -> Iterator[tuple[str, object]]:
    """Run `work` in a thread and yield what it tells as it comes: ("step", (done, of)), then ("done", result) or ("failed",
    sentence)."""
    said: queue.Queue[tuple[str, object]] = queue.Queue()

    def run() -> None:
        try:
            said.put(("done", work(lambda done, of: said.put(("step", (done, of))))))
        except InputError as e:
            said.put(("failed", str(e)))
        except Exception as e:  # noqa: BLE001 (a thread that dies in silence would leave the page waiting)
            said.put(("failed", f"{type(e).__name__}: {e}. This is a bug; please report it."))

    threading.Thread(target=run, daemon=True, name="evaluate").start()
    kind = "step"
    while kind == "step":
        kind, value = said.get()
        yield kind, value


def build() -> gr.Dropdown:
    """The Evaluate tab; returns its list of voices."""
    gr.Markdown("Other recordings of the same speaker, which the voice was not made from, tell how good it is. Texts need not be "
                "given.")
    chosen = gr.Dropdown(library.voice_names(), label="Voice", elem_id="judged", info="From your library.")
    files = gr.File(label="Recordings and their texts", height=150,
                    file_count="multiple", elem_id="references", file_types=[*SUFFIXES, *TEXT_FILES])
    go = gr.Button("Evaluate", variant="primary", elem_id="evaluate")
    trouble = gr.HTML(elem_id="trouble-evaluate")
    verdict = gr.Markdown(elem_id="evaluation")
    report = gr.File(label="The report (a page that opens offline)", interactive=False, visible=False, elem_id="report")
    same = show.command("evaluate", "--voice", "NAME", "--reference", "CLIPS/", "--out", "report/")
    gr.Markdown(f"The same on the command line: `{same}`")
    go.click(evaluate, [chosen, files], [trouble, verdict, report], concurrency_id="speech", concurrency_limit=1)
    return chosen

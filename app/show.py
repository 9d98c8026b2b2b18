"""How the page says things: problems with a copy button, what was done, players, facts, private copies of files."""

from __future__ import annotations

import functools
import html
import json
import shlex
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

import gradio as gr

from tts_meta.audio import files
from tts_meta.errors import InputError


def problem(message: str) -> str:
    """A sentence that says what went wrong and what to do, with a button that copies it."""
    return (
        f'<div class="problem" role="alert"><strong>Problem:</strong> <span>{html.escape(message)}</span>'
        '<button type="button" onclick="navigator.clipboard.writeText(this.previousElementSibling.innerText)">Copy</button></div>'
    )


def told(handler: Callable) -> Callable:
    """A handler whose bad input, or full disk, is a sentence in a corner of the page where it has no place of its own."""

    @functools.wraps(handler)
    def handled(*args, **kwargs):
        try:
            return handler(*args, **kwargs)
        except InputError as e:
            raise gr.Error(html.escape(str(e)), print_exception=False, duration=None) from e

    return handled


def new_folder() -> Path:
    """A folder for sounds that the page plays. Raises InputError where none can be made."""
    with files.told(tempfile.gettempdir()):
        return Path(tempfile.mkdtemp(prefix="tts-meta-"))


def fine(message: str) -> str:
    """A sentence that says what was done."""
    return f'<div class="fine" role="status">{html.escape(message)}</div>' if message else ""


def answered(button: gr.Button, place: gr.HTML, message: str) -> None:
    """Say at once that a button was heard, where what it asks for takes its time; the outcome comes to the same place."""
    button.click(None, None, place, js=f"() => {json.dumps(fine(message))}", show_progress="hidden")


def audio(label: str, elem_id: str, visible: bool = True, autoplay: bool = False) -> gr.Audio:
    """A player: the browser's own, which works from the keyboard and with a screen reader, without the button that would
    send the sound to another host."""
    return gr.Audio(label=label, type="filepath", interactive=False, elem_id=elem_id, visible=visible, autoplay=autoplay,
                    buttons=["download"],
                    waveform_options=gr.WaveformOptions(show_recording_waveform=False))


def facts(pairs: list[tuple[str, object]]) -> str:
    """A small table of names and values."""
    inside = "".join(f"<tr><th>{html.escape(k)}</th><td>{html.escape(str(v))}</td></tr>" for k, v in pairs)
    return f'<table class="facts">{inside}</table>'


def private_copy(path: str | Path) -> str:
    """A copy in a folder of its own, so that the page need not be allowed to serve the library."""
    folder = new_folder()
    with files.told(folder):
        return str(shutil.copy(path, folder / Path(path).name))


def confirmed(question: str) -> str:
    """JavaScript that asks before something is removed; the handler's first input is nothing where the answer is no."""
    return f"(value, ...rest) => [value && confirm('{question}') ? value : null, ...rest]"


def command(*words: object) -> str:
    """The same thing on the command line."""
    return "tts-meta " + " ".join(shlex.quote(str(w)) for w in words)

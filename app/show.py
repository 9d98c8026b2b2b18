"""How the page writes things: problems with a copy button, badges in words, curves as frames, private copies of files."""

from __future__ import annotations

import functools
import html
import shlex
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

import gradio as gr
import pandas as pd

from tts_meta.audio import files
from tts_meta.errors import InputError
from tts_meta.voices.checkup.checkup import Checkup

BADGES = {"green": "✓ good", "amber": "! check", "red": "✗ left out"}
CHECKED = ["clip", "length", "verdict", "what and why"]
CSS = """
.problem, .fine {border-left: 5px solid; padding: .6rem .9rem; margin: .3rem 0; border-radius: 4px}
.problem {border-color: #b91c1c; background: #fef2f2; color: #450a0a}
.fine {border-color: #15803d; background: #f0fdf4; color: #052e16}
.problem button {margin-left: .8rem; text-decoration: underline; cursor: pointer}
.prompt {font-size: 1.6rem; line-height: 1.4; padding: .8rem 0}
@media (max-width: 600px) {.prompt {font-size: 1.25rem} .gradio-container {padding: 4px !important}}
"""

# Gradio's own grey of hints has a contrast of 2.6 to 1 on white; readable is 4.5 (WCAG 1.4.3).
THEME = gr.themes.Default().set(
    body_text_color_subdued="*neutral_600", body_text_color_subdued_dark="*neutral_300",
)


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


def checked_rows(checkup: Checkup) -> pd.DataFrame:
    """A row for every clip or piece, its verdict in words."""
    rows = []
    for c in checkup.clips:
        part = f" ({c.start:.1f}–{c.end:.1f} s)" if c.start else ""
        why = " ".join(f"{f.sentence} {f.fix}".strip() for f in c.findings) or "Nothing to mend."
        rows.append([c.path.name + part, f"{c.end - c.start:.1f} s", BADGES[c.level], why])
    return pd.DataFrame(rows, columns=CHECKED)


def no_checks() -> pd.DataFrame:
    return pd.DataFrame(columns=CHECKED)


def meter(checkup: Checkup) -> str:
    """The set's findings and the meter."""
    lines = [f"**{BADGES[f.level]}:** {f.sentence} {f.fix}" for f in checkup.findings]
    missing = checkup.meter.missing
    if missing:
        lines.append(f"Sounds in no clip: {', '.join(missing)}")
    return "\n\n".join([f"**{checkup.meter.sentence}**", *lines])


def curve(points: list[tuple[int, float]], name: str) -> pd.DataFrame:
    """A curve with columns of numbers: without a type of their own a plot takes empty ones for categories."""
    return pd.DataFrame(points, columns=["step", name]).astype({"step": int, name: float})


def plot(title: str, unit: str, name: str) -> gr.LinePlot:
    """An empty plot of a curve against steps. Its title is drawn in it: a label above it would push the scale of steps out of
    its frame, whose height is fixed."""
    return gr.LinePlot(curve([], unit), x="step", y=unit, height=240, elem_id=name, title=title, label=title, show_label=False)


def private_copy(path: str | Path) -> str:
    """A copy in a folder of its own, so that the page need not be allowed to serve the library."""
    folder = new_folder()
    with files.told(folder):
        return str(shutil.copy(path, folder / Path(path).name))


def confirmed(question: str) -> str:
    """JavaScript that asks before something is removed; the handler gets nothing where the answer is no."""
    return f"(value) => value && confirm('{question}') ? value : null"


def command(*words: object) -> str:
    """The same thing on the command line."""
    return "tts-meta " + " ".join(shlex.quote(str(w)) for w in words)

"""Batch: a sound for each line, row or chapter of a file."""

from __future__ import annotations

import html
import zipfile
from collections.abc import Iterator
from pathlib import Path

import gradio as gr

from tts_meta.errors import InputError
from tts_meta.voices.library import voice_names

from . import rows, show, warm


def batch(file: str | None, voice: str | None) -> Iterator:
    """Yields (what happened, manifest, zip of the wavs)."""
    if not file:
        yield show.problem("Give a txt, csv, tsv or epub file."), gr.skip(), gr.File(None, visible=False)
        return
    from tts_meta.speaking.spoken_batch import MANIFEST, read_lines, run_batch

    try:
        lines, out = read_lines(Path(file), voice), show.new_folder()
        found: list[dict] = []
        for row in run_batch(warm.network(), lines, out):
            found.append(row)
            yield show.fine(f"{len(found)} of {len(lines)} done."), _table(found), gr.File(None, visible=False)
    except InputError as e:
        said = str(e).replace(str(file), Path(file).name)
        yield show.problem(said), gr.skip(), gr.File(None, visible=False)
        return
    packed = out / "speech.zip"
    with zipfile.ZipFile(packed, "w") as z:
        for path in [*sorted(out.glob("*.wav")), out / MANIFEST]:
            z.write(path, path.name)
    failed = sum(r["status"] == "failed" for r in found)
    text = f"{len(found) - failed} of {len(found)} made."
    said = show.problem(f"{text} The list says what was wrong with the others.") if failed else show.fine(text)
    yield said, _table(found), gr.File(str(packed), visible=True)


def _table(found: list[dict]) -> gr.HTML:
    """A row for every sound: what is said by whom, how long it is, or why it was not made."""

    def line(row: dict) -> str:
        level, said = {"made": ("green", "✓ made"), "check": ("amber", "! check")}.get(row["status"], ("red", "✗ failed"))
        long = f"{row['seconds']} s" if row["seconds"] else ""
        why = f'<span class="why">{html.escape(str(row["reason"])[:300])}</span>' if row["reason"] else ""
        return (f'<span class="named">{row["number"]}</span><span class="said">{html.escape(str(row["text"])[:120])}</span>'
                f'<span>{html.escape(str(row["voice"]))}</span><span>{long}</span>'
                f'<span class="badge {level}">{said}</span>{why}')

    return gr.HTML(rows.rows(map(line, found), "Nothing was asked for."), visible=True)


def build() -> gr.Dropdown:
    """The Batch tab; returns its list of voices."""
    voice = gr.Dropdown(voice_names(), label="Voice", info="For texts that name none.", elem_id="batch-voice")
    gr.Markdown("A txt file makes a sound a line, a csv or tsv with the columns id, text, voice and speed a sound a row, an epub "
                "a sound a chapter.")
    file = gr.File(label="Texts", elem_id="batch-file", file_types=[".txt", ".csv", ".tsv", ".epub"], height=150)
    go = gr.Button("Speak them all", variant="primary", elem_id="batch-go")
    status = gr.HTML(elem_id="batch-status")
    table = gr.HTML(visible=False, elem_id="batch-rows")
    packed = gr.File(label="All sounds and the manifest (zip)", interactive=False, visible=False, elem_id="batch-zip")
    gr.Markdown(f"The same on the command line: `{show.command('batch', 'FILE', '--voice', 'NAME', '--out', 'FOLDER/')}`")
    show.answered(go, status, "The file is read.")
    go.click(batch, [file, voice], [status, table, packed], show_progress="hidden", concurrency_id="speech", concurrency_limit=1)
    return voice

"""Speak and batch: text to sound, sentence by sentence."""

from __future__ import annotations

import html
import zipfile
from collections.abc import Iterator
from pathlib import Path

import gradio as gr
import numpy as np
import pandas as pd

from tts_meta.audio.files import write_wav
from tts_meta.audio.mel import SAMPLE_RATE
from tts_meta.errors import InputError
from tts_meta.text.preview import preview
from tts_meta.voices.batch import MANIFEST, read_lines, run_batch
from tts_meta.voices.library import find_voice, voice_names
from tts_meta.voices.networks import default_starter
from tts_meta.voices.synthesize import Synthesizer
from tts_meta.voices.voice_file import load_voice

from . import show

SPOKEN = ["sentence", "seconds"]
LOOKED_AT = 2000
"""Characters of a text whose reading is shown."""


def how_read(text: str) -> str:
    """How a text will be read, as HTML: its words, its phones, and what is not read as it stands."""
    if not (text or "").strip():
        return ""
    cut = text[:LOOKED_AT].rsplit(None, 1)[0] if len(text) > LOOKED_AT else text
    try:
        starter = default_starter()
        found = preview(cut, None, starter.espeak_voice, starter.checker.table.inventory)
    except InputError as e:
        return show.problem(str(e))
    more = " …" if cut != text else ""
    warnings = "".join(f"<p>! {html.escape(w)}</p>" for w in found["warnings"])
    words = f"<strong>How this will be read:</strong> {html.escape(found['spoken'])}{more}"
    return (f'<div class="reading" role="status"><p>{words}</p>'
            f'<p lang="en-fonipa">{html.escape(found["phones"])}{more}</p>{warnings}</div>')


def speak(text: str, voice: str | None, speed: float, pitch: float, energy: float) -> Iterator:
    """Yields (the speech so far as a wav, its sentences, problem): the first sentence can be heard at once."""
    rows: list[list] = []
    try:
        voice = voice or voice_names()[0]  # the list may be newer than the page
        starter = default_starter()
        synthesizer = Synthesizer.of(starter, load_voice(find_voice(voice), starter))
        folder, parts = show.new_folder(), []
        for number, part in enumerate(synthesizer.stream(text, speed, pitch, energy, at_once=True)):
            parts.append(part.samples)
            rows.append([part.sentences[0], round(part.seconds, 2)])
            path = folder / f"speech-{number + 1}.wav"
            # The whole so far: a player that gets a new file begins it anew, so only the first and the last are given.
            if number == 0:
                write_wav(path, part.samples, SAMPLE_RATE)
                yield str(path), pd.DataFrame(rows, columns=SPOKEN), ""
            else:
                yield gr.skip(), pd.DataFrame(rows, columns=SPOKEN), ""
        if len(parts) > 1:
            whole = folder / "speech.wav"
            write_wav(whole, np.concatenate(parts), SAMPLE_RATE)
            yield str(whole), pd.DataFrame(rows, columns=SPOKEN), ""
    except InputError as e:
        yield None, pd.DataFrame(rows, columns=SPOKEN), show.problem(str(e))


def batch(file: str | None, voice: str | None) -> Iterator:
    """Yields (what happened, manifest, zip of the wavs)."""
    if not file:
        yield show.problem("Give a txt, csv, tsv or epub file."), gr.skip(), None
        return
    try:
        lines, out = read_lines(Path(file), voice), show.new_folder()
        rows: list[dict] = []
        for row in run_batch(default_starter(), lines, out):
            rows.append(row)
            yield show.fine(f"{len(rows)} of {len(lines)} done."), _rows(rows), None
    except InputError as e:
        yield show.problem(str(e)), gr.skip(), None
        return
    packed = out / "speech.zip"
    with zipfile.ZipFile(packed, "w") as z:
        for path in [*sorted(out.glob("*.wav")), out / MANIFEST]:
            z.write(path, path.name)
    failed = sum(r["status"] == "failed" for r in rows)
    text = f"{len(rows) - failed} of {len(rows)} made."
    yield show.problem(f"{text} See the table for the others.") if failed else show.fine(text), _rows(rows), str(packed)


def _rows(rows: list[dict]) -> pd.DataFrame:
    keys = ("number", "text", "voice", "seconds", "status", "reason")
    return pd.DataFrame([[str(r[k])[:120] for k in keys] for r in rows], columns=list(keys))


def build_speak(tab: gr.Tab) -> gr.Dropdown:
    """What is in the Speak `tab`; returns its list of voices."""
    voice = gr.Dropdown(voice_names(), label="Voice", elem_id="voice", info="From your library.")
    text = gr.Textbox(label="Text", lines=5, value="Hello, this is my new voice.", elem_id="text",
                      info="A star before and after a word emphasises it; [[phonemes]] are spoken as they are.")
    reading = gr.HTML(elem_id="reading")
    with gr.Row():
        speed = gr.Slider(0.5, 2.0, value=1.0, step=0.05, label="Speed", info="1 is as the speaker speaks.", elem_id="speed")
        pitch = gr.Slider(-12, 12, value=0, step=0.5, label="Pitch", info="Semitones.", elem_id="pitch")
        energy = gr.Slider(-10, 10, value=0, step=1, label="Effort", info="dB.", elem_id="energy")
    go = gr.Button("Speak", variant="primary", elem_id="go")
    trouble = gr.HTML(elem_id="trouble-speak")
    # The browser's own player: it works from the keyboard and with a screen reader.
    sound = gr.Audio(label="Speech", type="filepath", elem_id="sound", interactive=False,
                     waveform_options=gr.WaveformOptions(show_recording_waveform=False))
    spoken = gr.Dataframe(pd.DataFrame(columns=SPOKEN), label="Sentences", interactive=False, wrap=True, elem_id="spoken")
    gr.Markdown(f"The same on the command line: `{show.command('say', 'TEXT', '--voice', 'NAME', '--out', 'hello.wav')}`")
    # One after the other, and the last letters typed count: what is shown never belongs to an older text.
    for shown in (tab.select, text.change):
        shown(how_read, text, reading, trigger_mode="always_last", show_progress="hidden", concurrency_id="reading",
              concurrency_limit=1)
    go.click(speak, [text, voice, speed, pitch, energy], [sound, spoken, trouble], concurrency_id="speech", concurrency_limit=1)
    return voice


def build_batch() -> gr.Dropdown:
    """The Batch tab; returns its list of voices."""
    voice = gr.Dropdown(voice_names(), label="Voice", info="For texts that name none.", elem_id="batch-voice")
    file = gr.File(label="txt (a sound a line), csv (id,text,voice,speed) or epub (a sound a chapter)", elem_id="batch-file",
                   file_types=[".txt", ".csv", ".tsv", ".epub"])
    go = gr.Button("Speak them all", variant="primary", elem_id="batch-go")
    status = gr.HTML(elem_id="batch-status")
    rows = gr.Dataframe(label="Manifest", interactive=False, wrap=True, elem_id="batch-rows")
    packed = gr.File(label="All sounds and the manifest (zip)", interactive=False, elem_id="batch-zip")
    gr.Markdown(f"The same on the command line: `{show.command('batch', 'FILE', '--voice', 'NAME', '--out', 'FOLDER/')}`")
    go.click(batch, [file, voice], [status, rows, packed], concurrency_id="speech", concurrency_limit=1)
    return voice

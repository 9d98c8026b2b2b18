"""Speak: text to sound, sentence by sentence; it can be stopped, and what was spoken so far is kept."""

from __future__ import annotations

import html
from collections.abc import Iterator

import gradio as gr
import numpy as np

from tts_meta.audio.files import write_wav
from tts_meta.errors import InputError
from tts_meta.voices.library import find_voice, voice_names
from tts_meta.voices.voice_header import read_header

from . import rows, show, warm

LOOKED_AT = 2000
"""Characters of a text whose reading is shown."""
GROWS = 1.6
"""The player gets a longer file when the speech is so many times as long: it stops for an instant each time."""
STOPPED: set[str] = set()
"""Sessions that want no more of what is being spoken to them."""


def how_read(text: str, voice: str | None = None) -> str:
    """How a text will be read in the voice's accent, as HTML: its words, its phones, and what is not read as it stands."""
    if not (text or "").strip():
        return ""
    from tts_meta.text.preview import preview

    cut = text[:LOOKED_AT].rsplit(None, 1)[0] if len(text) > LOOKED_AT else text
    try:
        starter = warm.network().in_accent(read_header(find_voice(voice)).get("accent") if voice else None)
        found = preview(cut, None, starter.espeak_voice, starter.inventory)
    except InputError as e:
        return show.problem(str(e))
    more = " …" if cut != text else ""
    warnings = "".join(f"<p>! {html.escape(w)}</p>" for w in found["warnings"])
    words = f"<strong>How this will be read:</strong> {html.escape(found['spoken'])}{more}"
    return (f'<div class="reading" role="status"><p>{words}</p>'
            f'<p lang="en-fonipa">{html.escape(found["phones"])}{more}</p>{warnings}</div>')


def speak(text: str, voice: str | None, speed: float, pitch: float, energy: float, request: gr.Request) -> Iterator:
    """Yields (the speech so far as a wav, its sentences, what happened): the first sentence can be heard at once, and the file
    grows."""
    session = str(request.session_hash)
    STOPPED.discard(session)
    spoken: list[list] = []
    try:
        from tts_meta.audio.mel import SAMPLE_RATE
        from tts_meta.speaking.synthesize import Synthesizer
        from tts_meta.text.reading import speakable
        from tts_meta.voices.voice_file import load_voice

        voice = voice or voice_names()[0]  # the list may be newer than the page
        starter = warm.network()
        synthesizer = Synthesizer.of(starter, load_voice(find_voice(voice), starter))
        folder, parts = show.new_folder(), []
        wanted = [s for _, s in speakable(text, starter.espeak_voice)]
        given = total = number = 0
        for part in synthesizer.stream(text, speed, pitch, energy, at_once=True):
            parts.append(part.samples)
            total += len(part.samples)
            spoken.append([part.sentences[0], round(part.seconds, 2)])
            number = len(parts) - (parts_of_first(spoken, wanted) - 1)
            sound = gr.skip()
            if total >= GROWS * given:
                given = total
                sound = _written(folder / f"speech-{len(parts)}.wav", parts, SAMPLE_RATE)
            said = show.fine(f"{max(1, number)} of {len(wanted)} sentences are spoken.")
            begun = {"value": "Stop", "interactive": True} if len(parts) == 1 else {}
            yield sound, _table(spoken), said, gr.Button(visible=True, **begun)
            if session in STOPPED:
                break
        whole = _written(folder / "speech.wav", parts, SAMPLE_RATE)
        stopped = session in STOPPED and number < len(wanted)
        said = show.fine(f"Stopped after {max(1, number)} of {len(wanted)} sentences; what was spoken is above." if stopped else
                         f"All {len(wanted)} sentences are spoken." if len(wanted) > 1 else "Spoken.")
        yield whole, _table(spoken), said, gr.Button(visible=False)
    except InputError as e:
        kept = gr.skip() if spoken else gr.Audio(None, visible=False)
        yield kept, _table(spoken), show.problem(str(e)), gr.Button(visible=False)


def parts_of_first(spoken: list[list], sentences: list[str]) -> int:
    """In how many parts the first sentence was spoken so far: its first clause may come alone."""
    return 2 if len(spoken) > 1 and sentences and spoken[0][0] != sentences[0] else 1


def _written(path, parts: list[np.ndarray], rate: int) -> gr.Audio:
    write_wav(path, np.concatenate(parts), rate)
    return gr.Audio(str(path), visible=True)


def _table(spoken: list[list]) -> gr.HTML:
    items = (f'<span class="said">{html.escape(said)}</span><span class="end">{seconds:.2f} s</span>' for said, seconds in spoken)
    return gr.HTML(rows.rows(items, ""), visible=bool(spoken))


def stop(request: gr.Request) -> gr.Button:
    """Speak no more to this session after the sentence in work.

    Only the button says so: this answer may come after that of `speak`, whose last word must stand."""
    STOPPED.add(str(request.session_hash))
    return gr.Button("Stopping ...", interactive=False)


def build(tab: gr.Tab) -> gr.Dropdown:
    """What is in the Speak `tab`; returns its list of voices."""
    voice = gr.Dropdown(voice_names(), label="Voice", elem_id="voice", info="From your library.")
    text = gr.Textbox(label="Text", lines=5, value="Hello, this is my new voice.", elem_id="text",
                      info="A star before and after a word emphasises it; [[phonemes]] are spoken as they are.")
    reading = gr.HTML(elem_id="reading")
    with gr.Row():
        go = gr.Button("Speak", variant="primary", elem_id="go")
        halt = gr.Button("Stop", visible=False, elem_id="halt")
    trouble = gr.HTML(elem_id="trouble-speak")
    sound = show.audio("Speech", "sound", visible=False)
    with gr.Accordion("Speed, pitch and effort", open=False), gr.Row():
        speed = gr.Slider(0.5, 2.0, value=1.0, step=0.05, label="Speed", info="1 is as the speaker speaks.", elem_id="speed")
        pitch = gr.Slider(-12, 12, value=0, step=0.5, label="Pitch", info="Semitones.", elem_id="pitch")
        energy = gr.Slider(-10, 10, value=0, step=1, label="Effort", info="dB.", elem_id="energy")
    spoken = gr.HTML(visible=False, elem_id="spoken")
    gr.Markdown(f"The same on the command line: `{show.command('say', 'TEXT', '--voice', 'NAME', '--out', 'hello.wav')}`")
    # One after the other, and the last letters typed count: what is shown never belongs to an older text.
    for shown in (tab.select, text.change, voice.change):
        shown(how_read, [text, voice], reading, trigger_mode="always_last", show_progress="hidden", concurrency_id="reading",
              concurrency_limit=1)
    show.answered(go, trouble, "The first words are spoken.")
    go.click(speak, [text, voice, speed, pitch, energy], [sound, spoken, trouble, halt], show_progress="hidden",
             concurrency_id="speech", concurrency_limit=1, js="(...given) => { window.speechBegins(); return given; }")
    halt.click(stop, None, halt, show_progress="hidden")
    return voice

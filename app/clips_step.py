"""The steps Clips and Text: where clips come from, the list of them with what the doctor says, and what is said in each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import gradio as gr

from tts_meta.audio.files import SUFFIXES
from tts_meta.clips.transcripts import TEXT_FILES

from . import gathering, greeting, rows, show, watching

if TYPE_CHECKING:
    from .adapt_step import Adapt
    from .clone_tab import Walk


@dataclass
class Clips:
    """The controls of the first step."""

    hello: gr.Button
    greeting: gr.Audio
    example: gr.Button
    number: gr.State
    prompt: gr.HTML
    microphone: gr.Audio
    back: gr.Button
    redo: gr.Button
    keep: gr.Button
    skip: gr.Button
    files: gr.File
    trouble: gr.HTML
    enough: gr.HTML
    listed: gr.HTML
    player: gr.Audio
    over: gr.Button
    look: gr.Button
    meter: gr.Markdown
    onwards: gr.Button


def build_clips(walk: Walk) -> Clips:
    """Lay the first step out."""
    with gr.Row():
        hello = gr.Button("▶ Hear a voice made from ten clips", elem_id="hello")
        example = gr.Button("Try it with ten example clips", elem_id="examples")
    first = show.audio("The example voice", "greeting", visible=False)
    number = gr.State(0)
    with gr.Tab("Upload", id="upload"):
        files = gr.File(
            label="Clips, and their texts if you have them", file_count="multiple", elem_id="clips",
            file_types=[*SUFFIXES, *TEXT_FILES], height=150,
        )
        with gr.Accordion("What can be given", open=False):
            gr.Markdown(f"{', '.join(s[1:] for s in SUFFIXES)}. Long recordings are cut at their pauses. A text has its "
                        f"clip's name, or is a row of a table: {', '.join(s[1:] for s in TEXT_FILES)}.")
    with gr.Tab("Read aloud", id="read"):
        gr.Markdown("Read each sentence as you would tell it a friend. Ten are enough; all twenty are better.")
        prompt = gr.HTML(gathering.prompt_text(0), elem_id="prompt")
        microphone = gr.Audio(
            sources=["microphone"], type="filepath", label="Recording", format="wav", elem_id="microphone",
            buttons=["download"], waveform_options=gr.WaveformOptions(show_recording_waveform=False),
        )
        with gr.Row():
            back = gr.Button("Back", elem_id="back", min_width=80)
            redo = gr.Button("Redo", elem_id="redo", min_width=80)
            keep = gr.Button("Keep and next", variant="primary", elem_id="keep", min_width=120)
            skip = gr.Button("Skip", elem_id="skip", min_width=80)
    trouble = gr.HTML(elem_id="trouble2")
    enough = gr.HTML(elem_id="enough")
    listed = rows.listing("checked", "<p>No clips yet.</p>")
    player = show.audio("The clip", "chosen-clip", visible=False)
    meter = gr.Markdown(elem_id="meter")
    with gr.Row():
        over = gr.Button("Start over", elem_id="over", min_width=120)
        look = gr.Button("Check my clips", elem_id="look", min_width=120)
        onwards = gr.Button("Next: text", variant="primary", elem_id="to2", min_width=120)
    return Clips(hello, first, example, number, prompt, microphone, back, redo, keep, skip, files, trouble, enough, listed,
                 player, over, look, meter, onwards)


@dataclass
class Texts:
    """The controls of the second step."""

    listed: gr.HTML
    player: gr.Audio
    fill: gr.Button
    trouble: gr.HTML
    onwards: gr.Button


def build_texts() -> Texts:
    """Lay the second step out."""
    player = show.audio("The clip", "text-clip", visible=False)
    listed = rows.listing("texts")
    trouble = gr.HTML(elem_id="trouble3")
    with gr.Row():
        fill = gr.Button("Recognise the missing texts", elem_id="recognise")
        onwards = gr.Button("Next: adapt", variant="primary", elem_id="to3")
    return Texts(listed, player, fill, trouble, onwards)


def join_clips(walk: Walk, c: Clips, text_player: gr.Audio, lists: list, adapt: Adapt) -> None:
    """What the first step's controls do."""
    here = [walk.window, walk.shown]
    c.hello.click(greeting.hello, None, c.greeting, show_progress="hidden")
    c.example.click(gathering.use_examples, here, [*lists, adapt.consent, walk.steps, adapt.name, adapt.who, c.trouble],
                    js=rows.SHOWN)
    c.files.upload(gathering.add_files, [*here, c.files], [c.files, *lists, c.trouble], js=rows.SHOWN)
    c.keep.click(gathering.add_recording, [*here, c.microphone, c.number],
                 [c.number, c.microphone, c.prompt, *lists, c.trouble], js=rows.SHOWN)
    c.redo.click(lambda: None, None, c.microphone)
    c.back.click(lambda n: gathering.step_prompt(n, -1), c.number, [c.number, c.prompt, c.microphone])
    c.skip.click(lambda n: gathering.step_prompt(n, 1), c.number, [c.number, c.prompt, c.microphone])
    sure = gr.Textbox("yes", visible=False)
    c.over.click(
        gathering.start_over, [sure, walk.window],
        [*lists, c.player, text_player, c.number, c.prompt, c.meter, adapt.consent, adapt.name, adapt.who, walk.job, c.trouble],
        js=show.confirmed("Remove all clips and texts that were gathered?"),
    ).then(watching.progress, [walk.job, walk.heard], adapt.seen, show_progress="hidden").then(
        watching.planned, walk.job, adapt.planned).then(watching.choices, walk.job, adapt.earlier, show_progress="hidden")
    c.look.click(gathering.check, here, [*lists, c.meter, c.trouble], js=rows.SHOWN)
    c.listed.click(gathering.act, here, [c.player, *lists, c.trouble], js=rows.SHOWN, show_progress="hidden")


def join_texts(walk: Walk, t: Texts, lists: list) -> None:
    """What the second step's controls do."""
    here = [walk.window, walk.shown]
    t.listed.input(gathering.edit, walk.window, None, show_progress="hidden")
    t.listed.click(gathering.act, here, [t.player, *lists, t.trouble], js=rows.SHOWN, show_progress="hidden")
    t.fill.click(gathering.recognise, here, [*lists, t.trouble], js=rows.SHOWN)

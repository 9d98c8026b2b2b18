"""The walk from recordings to a voice in five steps, laid out; the other files of this folder are what its controls do."""

from __future__ import annotations

from dataclasses import dataclass

import gradio as gr

from . import adapt_step, adapting, clips_step, gathering, listening, show, watching, windows


@dataclass
class Walk:
    """What more than one step needs: the walk, the window's name, the texts on the page, the clone, whose preview was played,
    and the timer that watches it."""

    steps: gr.Walkthrough
    window: gr.Textbox
    shown: gr.Textbox
    job: gr.Textbox
    heard: gr.State
    timer: gr.Timer


def build(page: gr.Blocks) -> None:
    """Lay the steps out and join them."""
    window, shown, job = (gr.Textbox("", visible=False) for _ in range(3))
    heard, timer = gr.State(""), gr.Timer(1.0, active=False)
    with gr.Walkthrough(selected=1, elem_id="walk") as steps:
        walk = Walk(steps, window, shown, job, heard, timer)
        with gr.Step("Clips", id=1):
            clips = clips_step.build_clips(walk)
        with gr.Step("Text", id=2):
            texts = clips_step.build_texts()
        with gr.Step("Adapt", id=3):
            adapt = adapt_step.build(walk)
        with gr.Step("Listen", id=4):
            to5 = _listen(walk)
        with gr.Step("Save", id=5):
            voice_file = gr.File(label="Your voice file", interactive=False, visible=False, elem_id="voicefile")
            facts = gr.Markdown(elem_id="facts")

    lists = [clips.listed, texts.listed, clips.enough]
    clips_step.join_clips(walk, clips, texts.player, lists, adapt)
    clips_step.join_texts(walk, texts, lists)
    adapt_step.join(walk, adapt)
    for button, target in ((clips.onwards, 2), (texts.onwards, 3), (adapt.onwards, 4)):
        button.click(lambda target=target: gr.Walkthrough(selected=target), None, steps)
    to5.click(lambda: gr.Walkthrough(selected=5), None, steps).then(listening.finished, job, [voice_file, facts])
    page.load(None, None, window, js=windows.NAME).then(windows.opened, window, window).then(
        gathering.found_again, window, [*lists, clips.number, clips.prompt, clips.trouble],
    ).then(
        adapting.found_again, window, [job, adapt.earlier, steps, *adapt.form],
    ).then(watching.progress, [job, heard], adapt.seen, show_progress="hidden").then(watching.planned, job, adapt.planned)
    page.unload(windows.closed)


def _listen(walk: Walk) -> gr.Button:
    """The fourth step; returns its button to the fifth."""
    answer = gr.State("")
    blind = gr.Checkbox(label="Blind: do not tell me which is which", elem_id="blind", info="You are asked to guess.")
    playing = gr.Button("Play a held-out recording and the clone", variant="primary", elem_id="compare")
    trouble = gr.HTML(elem_id="trouble5")
    said = gr.Markdown(elem_id="said")
    with gr.Row():
        a, b = (show.audio(n, f"sound{n}", visible=False) for n in "AB")
    choice = gr.Radio(["A", "B"], label="Which is the recording?", visible=False, elem_id="guess")
    verdict = gr.Markdown(elem_id="verdict")
    onwards = gr.Button("Next: save", variant="primary", elem_id="to5")
    show.answered(playing, trouble, "The clone speaks what is said in the recording.")
    playing.click(listening.compare, [walk.job, blind], [a, b, said, answer, trouble, choice, verdict],
                  show_progress="hidden")
    choice.input(listening.guess, [choice, answer], verdict)
    return onwards

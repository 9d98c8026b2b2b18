"""The walk from recordings to a voice, laid out in six steps; app/gathering.py and app/adapting.py are what its controls do."""

from __future__ import annotations

import gradio as gr
import pandas as pd

from tts_meta.audio.files import SUFFIXES
from tts_meta.voices.networks import default_starter
from tts_meta.voices.transcripts import TEXT_FILES

from . import adapting, gathering, show


def build(page: gr.Blocks) -> gr.State:
    """Lay the steps out; returns the state that holds the job's id."""
    number, clip, job, answer = gr.State(0), gr.State(""), gr.State(""), gr.State("")
    timer = gr.Timer(1.0, active=False)
    with gr.Walkthrough(selected=1, elem_id="walk") as walk:
        with gr.Step("Whose voice", id=1):
            name = gr.Textbox(label="Name of the voice", info="1 to 64 letters, digits, spaces, - or _.", elem_id="name")
            permission = gr.Textbox(label="Who gives permission", info="Kept in the voice file.", elem_id="who")
            purpose = gr.Textbox(label="What the voice is for", info="Kept in the voice file; may stay empty.", elem_id="purpose")
            consent = gr.Checkbox(label="The speaker agrees to this voice being made", elem_id="consent",
                                  info="Cloning someone without consent is not allowed.")
            trouble1 = gr.HTML(elem_id="trouble1")
            to2 = gr.Button("Next: clips", variant="primary", elem_id="to2")
        with gr.Step("Clips", id=2):
            with gr.Tab("Read aloud", id="read"):
                gr.Markdown("Read each sentence as you would tell it a friend. Ten are enough; all twenty are better.")
                shown = gr.HTML(gathering.prompt_text(0), elem_id="prompt")
                microphone = gr.Audio(
                    sources=["microphone"], type="filepath", label="Recording", format="wav", elem_id="microphone",
                    waveform_options=gr.WaveformOptions(show_recording_waveform=False),
                )
                with gr.Row():
                    back = gr.Button("Back", elem_id="back")
                    redo = gr.Button("Redo", elem_id="redo")
                    keep = gr.Button("Keep and next", variant="primary", elem_id="keep")
                    skip = gr.Button("Skip", elem_id="skip")
            with gr.Tab("Upload", id="upload"):
                files = gr.File(
                    label="Clips, and their texts in files or tables if you have them", file_count="multiple", elem_id="clips",
                    file_types=[*SUFFIXES, *TEXT_FILES],
                )
                gr.Markdown(f"{', '.join(s[1:] for s in SUFFIXES)}. Long recordings are cut at their pauses. A text has its "
                            f"clip's name, or is a row of a table: {', '.join(s[1:] for s in TEXT_FILES)}.")
                example = gr.Button("Use the example clips", elem_id="examples")
            trouble2 = gr.HTML(elem_id="trouble2")
            sure = gr.Textbox("yes", visible=False)
            with gr.Row():
                over = gr.Button("Start over", elem_id="over")
                look = gr.Button("Check my clips", elem_id="look")
            checked = gr.Dataframe(show.no_checks(), label="What the doctor says", interactive=False, wrap=True,
                                   column_widths=["25%", "10%", "15%", "50%"], elem_id="checked")
            measured = gr.Markdown(elem_id="meter")
            to3 = gr.Button("Next: text", variant="primary", elem_id="to3")
        with gr.Step("Text", id=3):
            table = gr.Dataframe(
                pd.DataFrame(columns=gathering.TABLE), label="What is said in each clip", interactive=True, wrap=True,
                static_columns=[0, 2], column_widths=["25%", "55%", "20%"], elem_id="texts",
            )
            listen = gr.Audio(label=gathering.CHOSEN, type="filepath", interactive=False, elem_id="chosen-clip",
                              waveform_options=gr.WaveformOptions(show_recording_waveform=False))
            with gr.Row():
                away = gr.Button("Remove this clip", elem_id="remove-clip")
                fill = gr.Button("Recognise the missing texts", elem_id="recognise")
            trouble3 = gr.HTML(elem_id="trouble3")
            to4 = gr.Button("Next: adapt", variant="primary", elem_id="to4")
        with gr.Step("Adapt", id=4):
            steps = gr.Slider(
                10, 3000, value=default_starter().adaptation.need("steps"), step=10, label="Steps", elem_id="steps",
                info="More steps are slower, and safe: the prior keeps the voice from overfitting. It ends early on a plateau.",
            )
            with gr.Row():
                planning = gr.Button("Plan", elem_id="plan")
                go = gr.Button("Start", variant="primary", elem_id="start")
                halt = gr.Button("Stop", elem_id="stop")
            trouble4 = gr.HTML(elem_id="trouble4")
            plan = gr.Markdown(elem_id="planned")
            status = gr.Markdown("No clone is running.", elem_id="status")
            with gr.Row():
                held = show.plot("Loss of held-out clips, by step (lower is better)", "nats per frame", "curve")
                like = show.plot("Likeness to the speaker's own clips, by step (higher is better)", "cosine", "likeness")
                train = show.plot("Loss of the clips it learns from, by step", "nats per frame", "train")
            kept = gr.Radio([], label="Listen to a step that was kept", elem_id="kept", info="Choose one to hear it.")
            preview = gr.Audio(label="Preview", type="filepath", interactive=False, elem_id="preview",
                               waveform_options=gr.WaveformOptions(show_recording_waveform=False))
            using = gr.Button("Use this step as the voice", elem_id="use")
            with gr.Accordion("Add clips and continue", open=False):
                more = gr.File(label="More clips, with their texts", file_count="multiple", elem_id="more",
                               file_types=[*SUFFIXES, *TEXT_FILES])
                adding = gr.Button("Add and continue", elem_id="add")
            with gr.Accordion("Earlier clones", open=False):
                earlier = gr.Dropdown([], label="Clone", elem_id="earlier",
                                      info="Choose one to see it, go on with it, or use one of its steps.")
                delete = gr.Button("Delete its clips and steps", elem_id="delete-clone")
            with gr.Accordion("Modules that move", open=False):
                modules = gr.Dataframe(interactive=False, label="Modules", elem_id="modules")
            to5 = gr.Button("Next: listen", variant="primary", elem_id="to5")
        with gr.Step("Listen", id=5):
            blind = gr.Checkbox(label="Blind: do not tell me which is which", elem_id="blind", info="Then guess below.")
            playing = gr.Button("Play a held-out recording and the clone", elem_id="compare")
            said = gr.Markdown(elem_id="said")
            with gr.Row():
                plain = gr.WaveformOptions(show_recording_waveform=False)
                a = gr.Audio(label="A", type="filepath", interactive=False, elem_id="soundA", waveform_options=plain)
                b = gr.Audio(label="B", type="filepath", interactive=False, elem_id="soundB", waveform_options=plain)
            choice = gr.Radio(["A", "B"], label="Which is the recording?", info="For the blind comparison.", elem_id="guess")
            verdict = gr.Markdown(elem_id="verdict")
            trouble5 = gr.HTML(elem_id="trouble5")
            to6 = gr.Button("Next: save", variant="primary", elem_id="to6")
        with gr.Step("Save", id=6):
            voice_file = gr.File(label="Your voice file", interactive=False, elem_id="voicefile")
            facts = gr.Markdown(elem_id="facts")

    for button, target in ((to3, 3), (to4, 4), (to5, 5)):
        button.click(lambda target=target: gr.Walkthrough(selected=target), None, walk)
    to2.click(gathering.who, [name, consent], [walk, trouble1])
    to6.click(lambda: gr.Walkthrough(selected=6), None, walk).then(adapting.finished, job, [voice_file, facts])
    files.upload(gathering.add_files, [files, table], [table, trouble2])
    example.click(gathering.use_examples, table, [table, trouble2])
    keep.click(gathering.add_recording, [microphone, number, table], [table, number, microphone, shown, trouble2])
    redo.click(lambda: None, None, microphone)
    back.click(lambda n: gathering.step_prompt(n, -1), number, [number, shown, microphone])
    skip.click(lambda n: gathering.step_prompt(n, 1), number, [number, shown, microphone])
    over.click(gathering.start_over, sure, [table, number, shown, checked, measured, trouble2],
               js=show.confirmed("Remove all clips and texts that were gathered?"))
    look.click(gathering.check, table, [checked, measured, trouble2])
    table.input(gathering.save, table, None, show_progress="hidden")
    table.select(gathering.choose, None, [clip, listen, trouble3])
    away.click(gathering.remove, clip, [table, clip, listen, trouble3])
    fill.click(gathering.recognise, table, [table, trouble3])
    asked = [name, consent, permission, purpose, table, steps]
    shown_progress = [status, held, train, like, kept, trouble4, timer]
    planning.click(adapting.make_plan, [*asked, job], [plan, modules, job, trouble4])
    go.click(adapting.start, job, [trouble4, timer]).then(adapting.choices, job, earlier)
    halt.click(adapting.stop, job, trouble4)
    timer.tick(adapting.progress, job, shown_progress, show_progress="hidden")
    kept.change(adapting.hear, [job, kept], preview)
    using.click(adapting.use, [job, kept], trouble4)
    adding.click(adapting.add_more, [job, more], [job, trouble4, timer]).then(adapting.choices, job, earlier)
    earlier.input(lambda i: i, earlier, job).then(adapting.progress, job, shown_progress)
    delete.click(adapting.remove, earlier, [job, earlier, trouble4],
                 js=show.confirmed("Delete the clips and steps of this clone?"))
    playing.click(adapting.compare, [job, blind], [a, b, said, answer, trouble5])
    choice.change(adapting.guess, [choice, answer], verdict)
    page.load(gathering.found_again, None, [table, number, shown, trouble2])
    page.load(adapting.found_again, None, [job, earlier, walk, timer]).then(adapting.progress, job, shown_progress)
    return job

"""The step Adapt: one button and a line that stay in sight, whose voice it is, the plan, one curve with the kept steps."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import gradio as gr

from tts_meta.adaptation.clone_settings import usual_steps
from tts_meta.audio.files import SUFFIXES
from tts_meta.clips.transcripts import TEXT_FILES

from . import adapting, rows, show, watching

if TYPE_CHECKING:
    from .clone_tab import Walk


FIRST = [("Likeness", "sigma"), ("A clean sound", "learned")]
"""Methods under a prior, as a person would choose between them."""
ACCENT = [("As the clips sound", "auto"), ("American", "american"), ("British", "british")]


@dataclass
class Adapt:
    """The controls of the third step. `form` is what a clone is asked for, `seen` what the timer shows."""

    name: gr.Textbox
    consent: gr.Checkbox
    who: gr.Textbox
    purpose: gr.Textbox
    method: gr.Radio
    accent: gr.Radio
    steps: gr.Slider
    taken: gr.HTML
    replace: gr.Checkbox
    another: gr.Button
    status: gr.HTML
    main: gr.Button
    trouble: gr.HTML
    planned: gr.HTML
    seen: list
    kept: gr.Radio
    preview: gr.Audio
    using: gr.Button
    more: gr.File
    adding: gr.Button
    earlier: gr.Dropdown
    delete: gr.Button
    modules: gr.Dataframe
    folded: gr.Accordion
    onwards: gr.Button

    @property
    def form(self) -> list:
        return [self.name, self.consent, *self.settings[1:]]

    @property
    def settings(self) -> list:
        """What a plan is of (`adapting.form_of`)."""
        return [self.name, self.who, self.purpose, self.method, self.accent, self.steps]


def build(walk: Walk) -> Adapt:
    """Lay the step out."""
    with gr.Row(elem_id="bar"):
        status = gr.HTML(watching.bar("No clone yet: fill this in, then plan."), elem_id="status", min_width=180)
        main = gr.Button(watching.PLAN, variant="primary", elem_id="main", scale=0, min_width=110)
    trouble, failure = gr.HTML(elem_id="trouble4"), gr.HTML(elem_id="failure")
    with gr.Row(elem_id="lead"):
        like = gr.HTML(elem_id="likeness-frame", min_width=300)
        with gr.Group(visible=False, elem_id="hearing") as frame:
            preview = show.audio("Preview", "preview", autoplay=True)  # who waited for it wants to hear it first
            kept = gr.Radio([], label="Steps that were kept", elem_id="kept", info="Choose one to hear it.", visible=False)
            using = gr.Button("Use this step as the voice", elem_id="use")
    with gr.Row():
        name = gr.Textbox(label="Name of the voice", elem_id="name", min_width=250, max_lines=1,
                          info="1 to 64 letters, digits, spaces, - or _.")
        who = gr.Textbox(label="Who gives permission", elem_id="who", min_width=250, max_lines=1,
                         info="Kept in the voice file.")
    taken = gr.HTML(elem_id="trouble1")
    with gr.Row():
        replace = gr.Checkbox(label="Replace the voice of this name", visible=False, elem_id="replace")
        another = gr.Button("", visible=False, elem_id="another")
    consent = gr.Checkbox(label="The speaker agrees to this voice being made", elem_id="consent",
                          info="Cloning someone without consent is not allowed.")
    with gr.Accordion("Purpose, sound, accent and steps", open=False):
        purpose = gr.Textbox(label="What the voice is for", info="Kept in the voice file; may stay empty.", elem_id="purpose")
        method = gr.Radio(
            FIRST, value="sigma", label="What comes first", elem_id="method",
            info="A clean sound: the voice keeps closer to the average one. It is a little less like the speaker, and learns "
                 "less of the noise in the clips.",
        )
        accent = gr.Radio(
            ACCENT, value="auto", label="Accent", elem_id="accent",
            info="Whose phonemes are spoken: an r after a vowel or none, the vowels of lot, bath and goat.",
        )
        steps = gr.Slider(
            10, 3000, value=usual_steps(), step=10, label="Steps", elem_id="steps",
            info="More steps are slower and seldom nearer; the prior keeps them from doing harm. It ends early on a plateau. A "
                 "fifth of the steps comes on top, in which the held-out clips are learned from too.",
        )
    planned = gr.HTML(elem_id="planned")
    with gr.Accordion("Losses", open=False, elem_id="losses"):
        losses = gr.HTML(elem_id="losses-frame")
    with gr.Accordion("Add clips and continue", open=False):
        more = gr.File(label="More clips, with their texts", file_count="multiple", elem_id="more",
                       file_types=[*SUFFIXES, *TEXT_FILES], height=120)
        adding = gr.Button("Add and continue", elem_id="add")
    with gr.Accordion("Earlier clones", open=False):
        earlier = gr.Dropdown([], label="Clone", elem_id="earlier",
                              info="Choose one to see it, go on with it, or use one of its steps.")
        delete = gr.Button("Delete its clips and steps", elem_id="delete-clone")
    with gr.Accordion("Modules that move", open=False) as folded:
        modules = gr.Dataframe(interactive=False, label="Modules", elem_id="modules", buttons=[])
    onwards = gr.Button("Next: listen", elem_id="to4")
    seen = [status, main, failure, like, losses, kept, preview, walk.heard, frame, walk.timer, onwards]
    return Adapt(name, consent, who, purpose, method, accent, steps, taken, replace, another, status, main, trouble, planned,
                 seen, kept, preview, using, more, adding, earlier, delete, modules, folded, onwards)


def join(walk: Walk, a: Adapt) -> None:
    """What the step's controls do."""
    look = [walk.job, walk.heard]
    for event in (a.name.change, a.replace.input):
        event(adapting.name_of, [a.name, a.replace, walk.job], [a.taken, a.replace, a.another], show_progress="hidden",
              trigger_mode="always_last")
    a.another.click(lambda name: name, a.another, a.name)
    for control in (*a.form, a.replace):
        control.input(adapting.edited, [a.main, walk.job, *a.settings], a.main, show_progress="hidden")
    a.main.click(None, [a.main, a.status], a.status, js=watching.ANSWERS, show_progress="hidden")
    a.main.click(
        adapting.press, [walk.window, walk.shown, a.main, walk.job, *a.form, a.replace], [walk.job, a.trouble], js=rows.SHOWN,
    ).then(watching.progress, look, a.seen, show_progress="hidden").then(watching.planned, walk.job, a.planned).then(
        watching.choices, walk.job, a.earlier, show_progress="hidden")
    walk.timer.tick(watching.progress, look, a.seen, show_progress="hidden")
    a.kept.input(watching.hear, [walk.job, a.kept], a.preview)
    a.using.click(adapting.use, [walk.job, a.kept], a.trouble)
    show.answered(a.adding, a.trouble, "The new clips are looked at.")
    a.adding.click(adapting.add_more, [walk.window, walk.job, a.more], [walk.job, a.trouble], show_progress="hidden").then(
        watching.progress, look, a.seen, show_progress="hidden").then(watching.planned, walk.job, a.planned)
    a.earlier.input(lambda i: i, a.earlier, walk.job).then(watching.progress, look, a.seen, show_progress="hidden").then(
        watching.planned, walk.job, a.planned).then(adapting.form, walk.job, a.form)
    a.delete.click(adapting.remove, a.earlier, [walk.job, a.earlier, a.trouble],
                   js=show.confirmed("Delete the clips and steps of this clone?")).then(
        watching.progress, look, a.seen, show_progress="hidden").then(watching.planned, walk.job, a.planned)
    a.folded.expand(adapting.modules, walk.job, a.modules)

"""Doctor: whether this machine has everything that a clone needs."""

from __future__ import annotations

import html

import gradio as gr

from . import rows, show


def examine() -> str:
    """What is installed and works, a row each."""
    from tts_meta.doctor import THOROUGH, run_checks

    def line(check: dict) -> str:
        level, said = ("green", "✓ works") if check["ok"] else ("amber", "! optional, missing") if check["optional"] else (
            "red", "✗ FAILS")
        return (f'<span class="named">{html.escape(check["name"])}</span><span class="badge {level}">{said}</span>'
                f'<span class="why">{html.escape(check["detail"])}</span>')

    return rows.rows(map(line, run_checks(THOROUGH)), "Nothing was examined.")


def build() -> None:
    """The Doctor tab."""
    gr.Markdown("Whether this machine has everything that a clone needs.")
    go = gr.Button("Examine", variant="primary", elem_id="examine")
    found = gr.HTML(elem_id="doctor")
    show.answered(go, found, "Everything is tried once.")
    go.click(examine, None, found, show_progress="hidden")

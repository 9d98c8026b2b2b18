"""The Gradio page: a walk from recordings to a voice, and tabs to speak, run batches, keep and judge voices.

All logic is in tts_meta. Listens on 127.0.0.1, analytics off, uploads deleted after a day; sounds are wav files (the
Audio component would peak-normalise an array). What takes long to load is loaded once the page is served.
"""

from __future__ import annotations

from .quick import gr  # isort: skip (before everything else that imports gradio)

from tts_meta.errors import InputError
from tts_meta.voices.library import voice_names

from . import batch_tab, clone_tab, doctor_tab, evaluate_tab, library_tab, speak_tab, style, warm


def build() -> gr.Blocks:
    """The page's layout and events."""
    with gr.Blocks(title="tts-meta", analytics_enabled=False, delete_cache=(3600, 86400)) as page:
        gr.Markdown("# Clone a voice from a few clips")
        with gr.Tab("Clone", id="clone"):
            clone_tab.build(page)
        with gr.Tab("Speak", id="speak") as speaking:
            lists = [speak_tab.build(speaking)]
        with gr.Tab("Batch", id="batch") as batching:
            lists.append(batch_tab.build())
        with gr.Tab("Library", id="library") as keeping:
            voices = library_tab.build()
        with gr.Tab("Evaluate", id="evaluate") as judging:
            lists.append(evaluate_tab.build())
        with gr.Tab("Doctor", id="doctor"):
            doctor_tab.build()
        for tab, chosen in zip((speaking, batching, judging), lists, strict=True):
            # Voices may have been made since: the newest list each time a tab is opened.
            tab.select(lambda now: gr.Dropdown(choices=voice_names(), value=still(now)), chosen, chosen, show_progress="hidden")
        keeping.select(library_tab.listed, None, voices, show_progress="hidden")
    return page


def still(now: str | None) -> str | None:
    """The voice that was chosen, if it is still there; else the first."""
    known = voice_names()
    return now if now in known else known[0] if known else None


def serve(host: str = "127.0.0.1", port: int = 7860, block: bool = True, password: str | None = None) -> gr.Blocks:
    """Serve the page; raises InputError when the port is taken."""
    page = build()
    try:
        page.queue(default_concurrency_limit=8).launch(
            server_name=host, server_port=port, share=False, auth=("me", password) if password else None,
            max_file_size="200mb", prevent_thread_lock=True, enable_monitoring=False, show_error=True, quiet=not block,
            css=style.CSS, theme=style.THEME, head=style.HEAD, footer_links=[],
        )
    except OSError as e:
        raise InputError(f"The page could not be served on {host}:{port} ({e}); choose another --port.") from e
    except ValueError as e:  # gradio asks its own page whether it is there
        raise InputError(
            f"The page does not answer on {host}:{port}: a proxy is in the way, or this machine is too busy; try again."
        ) from e
    warm.begin()
    if block:
        page.block_thread()
    return page

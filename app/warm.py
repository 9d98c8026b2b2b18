"""The network and what speaks: loaded once, beside the page, which is served before them (they take longer than a page)."""

from __future__ import annotations

import contextlib
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tts_meta.starters.interface import Network

_LOADING = threading.Lock()
"""Two that ask at the same time must not load it twice."""


def network() -> Network:
    """The starter's network, on as many threads as pay."""
    with _LOADING:
        from tts_meta.processor import use_threads
        from tts_meta.starters.chosen_starter import default_starter

        use_threads()
        return default_starter()


def begin() -> None:
    """Load everything in a thread of its own."""

    def load() -> None:
        with contextlib.suppress(Exception):  # whoever needs it is told what was wrong
            network()
            from tts_meta.audio.vocoder import prepare_vocoder
            from tts_meta.jobs import job_control  # noqa: F401 (loads what a plan needs)

            prepare_vocoder()

    threading.Thread(target=load, daemon=True, name="warm").start()

"""gradio, imported in less than half of its time.

At every import it compares the file of each component with a stub that it writes beside it for editors, which is most of what
the import takes and which nobody who runs the page reads. It leaves that out for what has no file.
"""

from __future__ import annotations

import inspect
from typing import Any
from unittest.mock import patch

_getfile = inspect.getfile


def _no_file_of_gradio(thing: Any) -> str:
    if isinstance(thing, type) and thing.__module__.startswith("gradio."):
        raise OSError("no stub is wanted")
    return _getfile(thing)


with patch("inspect.getfile", _no_file_of_gradio):
    import gradio as gr

__all__ = ["gr"]

"""Which draft belongs to which window of the browser. Two windows never share one; a reload finds its own again, and the draft
of a window that was closed goes to the next that opens."""

from __future__ import annotations

import uuid

import gradio as gr

from tts_meta.clips.draft_clips import Draft
from tts_meta.errors import InputError

OPEN: dict[str, str] = {}
"""The windows' names by gradio's session."""

NAME = """() => {
  const kept = sessionStorage, left = kept.getItem('tts-meta-left');
  let name = kept.getItem('tts-meta-window');
  kept.removeItem('tts-meta-left');
  if (!name || !left) {
    name = [...crypto.getRandomValues(new Uint8Array(16))].map(b => b.toString(16).padStart(2, '0')).join('');
    kept.setItem('tts-meta-window', name);
  }
  addEventListener('pagehide', () => kept.setItem('tts-meta-left', '1'));
  return name;
}"""
"""A random name of this window, the same after a reload. A duplicated window copies what its original keeps, but not that
the original was left: it gets a name of its own."""


def opened(window: str, request: gr.Request) -> str:
    """Note that a window is open, and give it a draft; returns its name."""
    try:
        Draft.of(window)
    except InputError:
        window = uuid.uuid4().hex
    Draft.adopt(window, set(OPEN.values()))
    OPEN[str(request.session_hash)] = window
    return window


def closed(request: gr.Request) -> None:
    """A window is gone; its draft is free for the next."""
    OPEN.pop(str(request.session_hash), None)

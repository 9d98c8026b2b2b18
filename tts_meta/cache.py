"""The user's cache folder: what was made once and can be made again; it may be deleted at any time."""

from __future__ import annotations

import os
from pathlib import Path


def cache_folder() -> Path:
    """`TTS_META_CACHE`, or `tts-meta` in the user's cache folder."""
    home = os.environ.get("TTS_META_CACHE")
    if home:
        return Path(home)
    return Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "tts-meta"

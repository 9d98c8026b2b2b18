"""Where voices are kept, what they may be called, and the network they are made on; imports nothing heavy, so that waiting jobs
stay small.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

from tts_meta.errors import InputError

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9 _.-]{0,63}")


def library_folder() -> Path:
    """Where voices are kept."""
    home = os.environ.get("TTS_META_HOME")
    if home:
        return Path(home)
    return Path(os.environ.get("XDG_DATA_HOME", Path.home() / ".local" / "share")) / "tts-meta" / "voices"


def check_name(name: str) -> str:
    """The name, if it can be a file's. Raises InputError for path characters and the like."""
    if not _NAME.fullmatch(name) or ".." in name or name.endswith((".", " ")):
        raise InputError(
            f"The name {name!r} cannot be used; 1 to 64 letters, digits, spaces, - or _ are expected, and no path."
        )
    return name


NETWORKS = ("kokoro", "small")


def chosen_network() -> str:
    """The network that voices are made on: `TTS_META_NETWORK`, or Kokoro. Raises InputError for one that there is not."""
    name = os.environ.get("TTS_META_NETWORK") or NETWORKS[0]
    if name not in NETWORKS:
        raise InputError(f"TTS_META_NETWORK is {name!r}; one of {', '.join(NETWORKS)} is expected.")
    return name

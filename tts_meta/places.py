"""Where voices are kept, what they may be called, the network they are made on and the vocoder they speak by; imports nothing
heavy, so that waiting jobs stay small.
"""

from __future__ import annotations

import os
import re
import unicodedata
from pathlib import Path

from tts_meta.errors import InputError

_NAME = re.compile(r"[^\W_][\w .'-]{0,63}")
_RESERVED = re.compile(r"(?:con|prn|aux|nul|com\d|lpt\d)(?:\..*)?", re.I)
"""Names that Windows keeps for devices: a library is copied from one computer to another."""


def library_folder() -> Path:
    """Where voices are kept."""
    home = os.environ.get("TTS_META_HOME")
    if home:
        return Path(home)
    return Path(os.environ.get("XDG_DATA_HOME", Path.home() / ".local" / "share")) / "tts-meta" / "voices"


def check_name(name: str) -> str:
    """The name, its accents composed, if it can be a file's; `me.voice` is `me`. Raises InputError for path characters and
    the like."""
    name = re.sub(r"(?i)(?<=.)\.voice$", "", unicodedata.normalize("NFC", name))
    if _RESERVED.fullmatch(name):
        raise InputError(f"The name {name!r} cannot be used: some systems keep it for a device; choose another name.")
    if not _NAME.fullmatch(name) or ".." in name or name.endswith((".", " ")) or len(name.encode()) > 200:
        raise InputError(
            f"The name {name[:64]!r}{'...' * (len(name) > 64)} cannot be used; 1 to 64 letters, digits, spaces, - or _ are "
            "expected, and no path."
        )
    return name


NETWORKS = ("kokoro", "small")


def chosen_network() -> str:
    """The network that voices are made on: `TTS_META_NETWORK`, or Kokoro. Raises InputError for one that there is not."""
    name = os.environ.get("TTS_META_NETWORK") or NETWORKS[0]
    if name not in NETWORKS:
        raise InputError(f"TTS_META_NETWORK is {name!r}; one of {', '.join(NETWORKS)} is expected.")
    return name


VOCODERS = ("hifigan", "fast")
VOCODER = "TTS_META_VOCODER"


def chosen_vocoder(asked: str | None = None) -> str:
    """The vocoder that speaks: `asked`, `TTS_META_VOCODER`, or HiFi-GAN. Raises InputError for one that there is not."""
    name = asked or os.environ.get(VOCODER) or VOCODERS[0]
    if name not in VOCODERS:
        raise InputError(f"The vocoder (--vocoder, {VOCODER}) is {name!r}; one of {', '.join(VOCODERS)} is expected.")
    return name


def choose_vocoder(name: str | None) -> None:
    """Let this process and those that it starts speak by the vocoder `name`; None leaves it as it is. Raises InputError for
    one that there is not."""
    os.environ[VOCODER] = chosen_vocoder(name)

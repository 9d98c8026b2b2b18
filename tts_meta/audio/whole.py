"""Whether a sound file is all there: what its container says of its own length against the bytes that there are.

Decoders give what they find of a file that was cut off, and most say nothing.
"""

from __future__ import annotations

import struct
from pathlib import Path
from typing import BinaryIO

_SLACK = 16
"""Bytes that writers forget to count, or to pad."""
_OPEN = 0xFFFFFF00
"""A length of 32 bits over this is of a recorder that streams: it leaves the length open."""


def cut_off(path: Path) -> bool:
    """Whether a wav, aiff, au, caf, w64 or rf64 file ends before its header says, or an Ogg file without its last page."""
    size = path.stat().st_size
    with open(path, "rb") as f:
        head = f.read(48)
        if head[:4] == b"OggS":
            return _no_last_page(f, size)
        said = _caf(f, size) if head[:4] == b"caff" else _said(head)
    return said is not None and said > size + _SLACK


def _said(head: bytes) -> int | None:
    """Bytes that the file has by its first 48; None where they do not tell."""
    if len(head) < 48:
        return None
    if head[:4] in (b"RIFF", b"FORM"):
        said = struct.unpack("<I" if head[:4] == b"RIFF" else ">I", head[4:8])[0]
        return said + 8 if 0 < said < _OPEN else None
    if head[:4] in (b".snd", b"dns."):
        begin, said = struct.unpack(">II" if head[:4] == b".snd" else "<II", head[4:12])
        return begin + said if said < _OPEN else None
    if head[:4] == b"RF64" and head[12:16] == b"ds64":
        return struct.unpack("<Q", head[20:28])[0] + 8
    if head[:4] == b"riff":  # w64: a 16-byte name, then the size of the whole
        return struct.unpack("<Q", head[16:24])[0]
    return None


def _caf(f: BinaryIO, size: int) -> int | None:
    """Where the last chunk of a caf ends by its own length; the sound's may be open (-1)."""
    at = 8
    while at + 12 <= size:
        f.seek(at)
        length = struct.unpack(">4xq", f.read(12))[0]
        if length < 0:
            return None
        at += 12 + length
    return at


def _no_last_page(f: BinaryIO, size: int) -> bool:
    f.seek(max(0, size - 70000))
    tail = f.read()
    last = tail.rfind(b"OggS")
    return 0 <= last < len(tail) - 6 and not tail[last + 5] & 4


def lost_its_index(path: Path) -> bool:
    """Whether an m4a or mp4 has no index (`moov`), which most programs write last: what there is cannot be read then."""
    size, at, seen = path.stat().st_size, 0, False
    with open(path, "rb") as f:
        while at + 8 <= size:
            f.seek(at)
            length, kind = struct.unpack(">I4s", f.read(8))
            if kind == b"moov":
                return False
            seen = seen or kind == b"ftyp"
            if not seen:
                return False
            if length == 1:
                length = struct.unpack(">Q", f.read(8).ljust(8, b"\0"))[0]
            if length < 8:  # 0: to the end of the file
                break
            at += length
    return seen

"""Text files as they come: UTF-8, UTF-16 and UTF-32 by their mark, else UTF-8, else what charset-normalizer finds."""

from __future__ import annotations

import codecs
from pathlib import Path

from tts_meta.errors import InputError

LARGEST = 64 * 2**20
"""Bytes; a text file that is larger is something else."""
MARKS = (
    (codecs.BOM_UTF32_LE, "utf-32"), (codecs.BOM_UTF32_BE, "utf-32"), (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"),
)


def decode(data: bytes, name: str, expected: str) -> tuple[str, str]:
    """(text, encoding) of `data`; lines end in "\\n". Raises InputError, which names the file as `name`, for what is no text."""
    for mark, encoding in MARKS:
        if data.startswith(mark):
            try:
                return _lines(data.decode(encoding)), encoding.removesuffix("-sig")
            except UnicodeDecodeError as e:
                raise InputError(f"{name} is damaged: it begins as {encoding} text and does not go on so; {expected}.") from e
    try:
        if b"\0" not in data:
            return _lines(data.decode("utf-8")), "utf-8"
    except UnicodeDecodeError:
        pass
    found = _guess(data)
    if found is None:
        raise InputError(f"{name} could not be read as UTF-8 text or in any encoding that is known; {expected}.")
    return _lines(data.decode(found)), found


def _guess(data: bytes) -> str | None:
    """UTF-16 without its mark by its zeros, else one of the encodings of Western Europe, else what the library finds."""
    if len(data) > 3 and len(data) % 2 == 0 and b"\0" in data:
        for encoding, at in (("utf-16-le", 1), ("utf-16-be", 0)):
            if data[at::2].count(0) > 0.7 * len(data) / 2:
                return encoding
    if b"\0" in data:
        return None
    from charset_normalizer import from_bytes

    best = from_bytes(data, cp_isolation=["cp1252", "latin_1", "mac_roman"]).best() or from_bytes(data).best()
    return best.encoding if best else None


def _lines(text: str) -> str:
    return text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n")


def read_text(path: Path, what: str, expected: str) -> tuple[str, str]:
    """(text, encoding) of a file. Raises InputError when it is missing, too large or no text; `what` it is, and what is
    `expected`, go into the sentence."""
    try:
        if path.stat().st_size > LARGEST:
            raise InputError(f"The {what} {path} is larger than {LARGEST // 2**20} MB; {expected}.")
        data = path.read_bytes()
    except OSError as e:
        raise InputError(f"The {what} {path} could not be read ({e.strerror or e}); {expected}.") from e
    return decode(data, f"The {what} {path}", expected)

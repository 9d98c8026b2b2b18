"""The words of a text file that belongs to one clip: without the times of subtitles; what is no plain text is not learned."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from pathlib import Path

from tts_meta.errors import InputError
from tts_meta.text.textfile import read_text

_TIME = r"(?:\d+:)?\d{1,2}:\d{2}[.,]\d{1,3}"
_STAMP = re.compile(rf"^[ \t]*(?:\[\s*{_TIME}\s*-->\s*{_TIME}\s*\]|{_TIME}[ \t]*-->[ \t]*{_TIME}.*$)", re.M)
"""The times of a subtitle on a line of their own, or of Whisper before the words: "[00:00.000 --> 00:02.000]"."""
_COUNTED = re.compile(rf"^[ \t]*\d+[ \t]*\n(?=[ \t]*{_TIME}[ \t]*-->)", re.M)
_LABEL = re.compile(r"\d+(?:\.\d+)?\s+\d+(?:\.\d+)?\s+\S+(?:\s+\S+)?")
"""A line of HTK's or Audacity's labels: begin, end, name."""
_MARK = re.compile(r"(?<!\[)\[[^\[\]\n]{2,40}\](?![\](])|<unk>", re.I)


def without_times(text: str) -> str:
    """Words of subtitles (SubRip, WebVTT) and of Whisper's print-out; any other text as it stands."""
    if not _STAMP.search(text):
        return text
    text = re.sub(r"\AWEBVTT.*?(?:\n[ \t]*\n|\Z)", "", text, flags=re.S)
    return _STAMP.sub("", _COUNTED.sub("", text))


def clip_text(path: Path, say: Callable[[str], None]) -> str | None:
    """What is said in the clip that the file belongs to, on one line; None (and `say` is told why) for a file of labels.

    Raises InputError for what cannot be read and for what is no plain text.
    """
    text, encoding = read_text(path, "text", "write what is said in the clip")
    if encoding not in ("utf-8", "utf-16"):
        say(f"{path.name} is read as {encoding.replace('_', '-')} text.")
    if text.startswith("{\\rtf"):
        raise InputError(f"The text {path} is written as RTF by a word processor; save it as plain text.")
    lines = [line.strip() for line in text.split("\n") if line.strip()]
    if lines and all(_LABEL.fullmatch(line) for line in lines):
        say(f"{path.name} holds the times of labels and no text, and is not used.")
        return None
    return " ".join(without_times(text).split())


def note_marks(texts: Iterable[str]) -> list[str]:
    """A sentence where texts hold marks of what is no speech ("[laughter]"), which would be learned as words."""
    marked = [m.group(0) for text in texts if (m := _MARK.search(text))]
    if not marked:
        return []
    held = "1 text holds a mark" if len(marked) == 1 else f"{len(marked)} texts hold marks"
    return [f"{held} in brackets ({', '.join(list(dict.fromkeys(marked))[:3])}), which would be learned as words; take it out, "
            "or leave out the clip."]

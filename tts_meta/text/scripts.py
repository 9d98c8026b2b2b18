"""Writing that an English voice cannot read: named and left out, never spoken as something else."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter

from tts_meta.text.markup import SPAN

_NAMES = {
    "CJK": "Chinese or Japanese", "HIRAGANA": "Japanese", "KATAKANA": "Japanese", "HANGUL": "Korean", "CYRILLIC": "Cyrillic",
    "ARABIC": "Arabic", "HEBREW": "Hebrew", "GREEK": "Greek", "THAI": "Thai", "DEVANAGARI": "Devanagari (Hindi)",
    "BENGALI": "Bengali", "TAMIL": "Tamil", "TELUGU": "Telugu", "GEORGIAN": "Georgian", "ARMENIAN": "Armenian",
    "ETHIOPIC": "Ethiopic", "KHMER": "Khmer", "LAO": "Lao", "MYANMAR": "Burmese", "BOPOMOFO": "Chinese",
}
_READ = ("LATIN", "MODIFIER", "FEMININE", "MASCULINE", "FULLWIDTH", "SUPERSCRIPT", "SUBSCRIPT", "ROMAN", "MATHEMATICAL",
         "DOUBLE-STRUCK", "SCRIPT", "BLACK-LETTER", "MICRO", "OHM",
         "KELVIN", "ANGSTROM", "CIRCLED", "PARENTHESIZED", "SQUARE", "DIGIT", "EULER", "PLANCK", "ALEF")
_FOREIGN = re.compile(r"[^\W\d_A-Za-z\u00c0-\u024f]+")


def script_of(character: str) -> str | None:
    """The name of the script of a letter that English readers do not know, or None."""
    name = unicodedata.name(character, "").split(" ", 1)[0]
    if not character.isalpha() or name in _READ or not name:
        return None
    return _NAMES.get(name, name.capitalize())


def leave_out(text: str) -> tuple[str, list[tuple[str, str]]]:
    """(`text` without what cannot be read, what was left out as (letters, script)). `[[...]]` spans stay."""
    found: list[tuple[str, str]] = []

    def drop(match: re.Match[str]) -> str:
        span = match.group(0)
        scripts = Counter(s for c in span if (s := script_of(c)))
        # One Greek letter is a sign: an angle, a deviation.
        if not scripts or (len(span) == 1 and "Greek" in scripts):
            return span
        name = "Japanese" if "Japanese" in scripts else scripts.most_common(1)[0][0]
        found.append((span, name))
        return "".join(c for c in span if script_of(c) is None) or " "

    parts, end = [], 0
    for span in SPAN.finditer(text):
        parts += [_FOREIGN.sub(drop, text[end : span.start()]), span.group(0)]
        end = span.end()
    return "".join([*parts, _FOREIGN.sub(drop, text[end:])]), found


def refusal(found: list[tuple[str, str]]) -> str:
    """A sentence that names what cannot be read."""
    names = " and ".join(dict.fromkeys(script for _, script in found))
    some = ", ".join(repr(span[:20]) for span, _ in found[:3]) + (" ..." if len(found) > 3 else "")
    return f"{some} is {names} writing, which an English voice cannot read"

"""How much one token may say: nobody means to hear five thousand digits, and they would take minutes."""

from __future__ import annotations

import re

MOST_DIGITS, MOST_LETTERS = 60, 80
_DIGITS = re.compile(r"\d(?:[\d,.]*\d)?")
_TOKEN = re.compile(rf"[^\W\d_]{{{MOST_LETTERS + 1},}}")
_GLUED = re.compile(r"\S{301,}")


def cap(text: str) -> tuple[str, list[str]]:
    """(`text` with the ends of endless numbers and words cut off, a sentence for each that was cut)."""
    said: list[str] = []

    def number(match: re.Match[str]) -> str:
        found = match.group(0)
        count = sum(c.isdigit() for c in found)
        if count <= MOST_DIGITS:
            return found
        said.append(f"A number of {count:,} digits is read as far as its first {MOST_DIGITS}.")
        return re.sub(r"\D", "", found)[:MOST_DIGITS]

    def word(match: re.Match[str]) -> str:
        said.append(f"A word of {len(match.group(0)):,} letters is read as far as its first {MOST_LETTERS}.")
        return match.group(0)[:MOST_LETTERS]

    def glued(match: re.Match[str]) -> str:
        found = match.group(0)
        if "[[" in found:
            return found
        said.append(f"{len(found):,} characters without a space are read as far as their first 300.")
        return found[:300]

    text = _TOKEN.sub(word, _DIGITS.sub(number, text)) if len(text) > MOST_DIGITS else text
    return _GLUED.sub(glued, text), said

"""Written English to spoken words. Every kind of writing has a file of its own; here is their order.

`[[ ... ]]` spans (phonemes given by the user) pass through untouched; wiki brackets that hold words are words.
"""

from __future__ import annotations

import re

from tts_meta.text import (
    abbreviations,
    addresses,
    clock,
    dates,
    letters,
    marks,
    measures,
    money,
    quantities,
    romans,
    states,
    symbols,
)
from tts_meta.text.caps import cap
from tts_meta.text.marks import plain_marks
from tts_meta.text.markup import plain, unlink
from tts_meta.text.rules import apply

_OVERRIDE = re.compile(r"(\[\[.*?\]\])", re.S)


def spoken_words(text: str) -> str:
    """One sentence without markup -> its words as they are said. Anything that is a number comes before anything that
    is made of letters, and what has more marks before what has fewer."""
    text = apply(quantities.GROUPED, plain_marks(cap(text)[0]))
    text = apply(marks.GLUED, apply(addresses.RULES, text))
    text = apply(symbols.BEFORE, text)
    for kind in (money, states, abbreviations, dates, clock, measures, quantities, romans):
        text = apply(kind.RULES, text)
    text = letters.take_apart(text)
    text = apply(quantities.AFTER_LETTERS, text)
    text = letters.spell_capitals(text)
    return apply(symbols.AFTER, text)


def tidy(text: str) -> str:
    """One space between words, none before a mark, no mark twice."""
    text = re.sub(r"\s+", " ", text).strip()
    text = re.sub(r"\s+([,.!?;:])", r"\1", text)
    return re.sub(r"([,;:])(?:[,;:])+", r"\1", re.sub(r"[,;:]([.!?])", r"\1", text))


def normalize(text: str) -> str:
    """English text with everything spelled out; `[[...]]` spans are kept as they stand."""
    text, _ = unlink(plain(text))
    return tidy("".join(p if p.startswith("[[") else spoken_words(p) for p in _OVERRIDE.split(text)))

"""Which sounds of English the clips hold, and sentences to read aloud that hold them all."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from importlib.resources import files

SOUNDS = {
    "n": "no", "t": "tea", "d": "day", "s": "see", "l": "low", "ɹ": "red", "m": "me", "ð": "this", "z": "zoo", "k": "key",
    "w": "we", "h": "he", "f": "fee", "b": "be", "v": "view", "p": "pea", "ŋ": "sing", "ɡ": "go", "j": "yes", "ʃ": "she",
    "dʒ": "joy", "tʃ": "chin", "θ": "thin", "ʒ": "measure", "ɪ": "sit", "ə": "ago", "æ": "cat", "ʌ": "cup", "ɛ": "bed",
    "iː": "see", "aɪ": "my", "eɪ": "say", "ɚ": "her", "uː": "too", "oʊ": "go", "ɑː": "hot", "ɜː": "bird", "ɔː": "law",
    "aʊ": "now", "ʊ": "put", "ɔɪ": "boy", "ɔːɹ": "more", "ɑːɹ": "far", "ɛɹ": "air",
}
"""Phone (as espeak-ng's en-us writes it): a word that has it."""


def count_sounds(phones: Iterable[str]) -> Counter[str]:
    """How often each of SOUNDS is among phone symbols."""
    return Counter(p for p in phones if p in SOUNDS)


def missing_sounds(phones: Iterable[str]) -> list[str]:
    """The SOUNDS that are not among phone symbols."""
    known = count_sounds(phones)
    return [s for s in SOUNDS if not known[s]]


def prompts() -> list[str]:
    """Twenty short sentences of our own; each of SOUNDS is in at least two of them."""
    return (files("tts_meta") / "assets" / "prompts.txt").read_text(encoding="utf-8").splitlines()

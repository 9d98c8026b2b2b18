"""Text to phonemes by espeak-ng (library and data come inside the package `espeakng_loader`; GPL-3 at run time).

A phoneme sequence is a list of `Phone(symbol, stress)`: symbols are IPA phones, stress is 0 (none), 1 (secondary) or
2 (primary) and stays a feature of its phone, so that every token of the sequence has a duration of its own. Besides
phones there are `_` (silence at both ends), ` ` (word boundary) and the marks `, . ? ! ; :`.
"""

from __future__ import annotations

import re
import threading
from dataclasses import dataclass
from functools import lru_cache

from tts_meta.errors import InputError
from tts_meta.text import reading
from tts_meta.text.accents import accent_of

__all__ = ["BOUNDARY", "MARKS", "SILENCE", "Phone", "SymbolTable", "override", "phonemes_of", "phonemize"]

SILENCE, BOUNDARY = "_", " "
MARKS = (",", ".", "?", "!", ";", ":")
_CHUNK = re.compile(r"(\[\[.*?\]\]|[,.?!;:])")


@dataclass(frozen=True)
class Phone:
    """A symbol of espeak, with its stress: 0 none, 1 secondary, 2 primary."""

    symbol: str
    stress: int = 0


_ONE_AT_A_TIME = threading.Lock()
"""espeak-ng has one state in a process."""


@lru_cache(maxsize=8)
def _backend(voice: str):
    import logging

    import espeakng_loader
    from phonemizer.backend import EspeakBackend
    from phonemizer.backend.espeak.wrapper import EspeakWrapper

    EspeakWrapper.set_library(espeakng_loader.get_library_path())
    EspeakWrapper.set_data_path(espeakng_loader.get_data_path())
    quiet = logging.getLogger("tts_meta.espeak")
    quiet.setLevel(logging.ERROR)
    if not EspeakBackend.is_supported_language(voice):
        raise InputError(f"espeak-ng has no voice named {voice!r}; use one of its names, for example en-us.")
    return EspeakBackend(voice, with_stress=True, language_switch="remove-flags", words_mismatch="ignore", logger=quiet)


def _parse(phone: str) -> Phone | None:
    stress = 2 if "ˈ" in phone else 1 if "ˌ" in phone else 0
    symbol = phone.replace("ˈ", "").replace("ˌ", "").strip("-‿͡")
    return Phone(symbol, stress) if symbol else None


def _espeak(words: str, voice: str) -> list[list[Phone]]:
    """Phones of each word; espeak-ng joins some ("of a")."""
    from phonemizer.separator import Separator

    with _ONE_AT_A_TIME:
        spoken = _backend(voice).phonemize([words], separator=Separator(phone="|", word=" "), strip=True)[0]
    parsed = [[p for p in map(_parse, word.split("|")) if p] for word in spoken.split()]
    return [_happy(word) if accent_of(voice) == "british" else word for word in parsed if word]


def _happy(word: list[Phone]) -> list[Phone]:
    """A British word as Kokoro was taught it: espeak-ng ends "happy" with the vowel of "hit"."""
    last = word[-1]
    return [*word[:-1], Phone("i", last.stress)] if last.symbol == "ɪ" else word


def override(span: str, inventory: frozenset[str] | None) -> list[Phone]:
    """Phones the user wrote: IPA, words apart by spaces, phones by nothing (longest known symbol wins) or `|`."""
    phones: list[Phone] = []
    for word in span.split():
        if phones:
            phones.append(Phone(BOUNDARY))
        if "|" in word or inventory is None:
            phones.extend(p for p in map(_parse, word.split("|")) if p)
            continue
        longest = max(map(len, inventory))
        i, stress = 0, 0
        for written, said in _SPELLINGS.items():
            word = word.replace(written, said) if written not in inventory else word
        while i < len(word):
            if word[i] in "ˈˌ":
                stress, i = (2 if word[i] == "ˈ" else 1), i + 1
                continue
            size = next((n for n in range(min(longest, len(word) - i), 0, -1) if word[i : i + n] in inventory), 0)
            if not size:
                raise InputError(
                    f"[[{span}]] holds {word[i]!r}, which the model has no sound for; use the phones of "
                    f"`tts-meta doctor --json` (for example {', '.join(sorted(inventory)[:6])})."
                )
            # A stress mark is written before its syllable; the vowel carries it.
            vowel = word[i] in VOWELS
            phones.append(Phone(word[i : i + size], stress if vowel else 0))
            stress, i = (0 if vowel else stress), i + size
    return phones


_SPELLINGS = {"g": "ɡ", "ʤ": "dʒ", "ʧ": "tʃ", "͡": "", "‿": ""}
"""Other ways in which dictionaries write a phone: the g of a keyboard, ligatures, ties."""
VOWELS = frozenset("aeiouyæɑɐɒɔəɚɛɜɝɪʊʌøœɨʉɯɤɵᵻ")


_STAND_INS = ("zib", "ebb")
"""Words that stand for an override while its neighbours are read: "a" and "the" depend on what follows, a consonant or
a vowel. Read as one word each, by every English voice of espeak-ng."""


def _flat(words: list[list[Phone]]) -> list[Phone]:
    phones: list[Phone] = []
    for word in words:
        phones += [Phone(BOUNDARY), *word] if phones else word
    return phones


def _with_overrides(parts: list[str | list[Phone]], voice: str) -> list[Phone]:
    """Phones of words between two marks, in which some are given as phones."""
    given = [p for p in parts if not isinstance(p, str)]
    if not given:
        return _flat(_espeak(" ".join(p for p in parts if isinstance(p, str)), voice))
    stands = ["".join(p.symbol for p in _flat(_espeak(s, voice))) for s in _STAND_INS]
    text = " ".join(p if isinstance(p, str) else _STAND_INS[p[0].symbol[0] in VOWELS] for p in parts)
    words = _espeak(text, voice)
    at = [i for i, word in enumerate(words) if "".join(p.symbol for p in word) in stands]
    if len(at) == len(given):
        for i, phones in zip(at, given, strict=True):
            words[i] = phones
        return _flat(words)
    # A stand-in was read together with a neighbour: every part by itself.
    apart = [_flat(_espeak(p, voice)) if isinstance(p, str) else p for p in parts]
    return _flat([p for p in apart if p])


def phonemize(
    text: str,
    voice: str = "en-us",
    lexicon: dict[str, str] | None = None,
    inventory: frozenset[str] | None = None,
) -> list[Phone]:
    """Phones of `text` (written English is normalised first), with silence at both ends.

    `inventory` (the model's symbols) bounds what `[[...]]` may hold. Raises InputError when nothing can be spoken.
    """
    spoken = reading.said(text, voice.startswith("en"))
    phones = phonemes_of(reading.pronounced(spoken, lexicon, voice), voice, inventory)
    if len(phones) == 2:
        raise reading.nothing_to_speak(text)
    return phones


def phonemes_of(pronounced: str, voice: str = "en-us", inventory: frozenset[str] | None = None) -> list[Phone]:
    """Phones of spoken words in which `[[...]]` are phones (`Sentence.pronounced`), with silence at both ends; only the
    silences where nothing is said. Raises InputError for phones that `inventory` lacks."""
    phones: list[Phone] = [Phone(SILENCE)]
    parts: list[str | list[Phone]] = []

    def close() -> None:
        if parts:
            found = _with_overrides(parts, voice)
            parts.clear()
            if found:
                if phones[-1].symbol not in (SILENCE, *MARKS):
                    phones.append(Phone(BOUNDARY))
                phones.extend(found)

    for chunk in _CHUNK.split(pronounced):
        if chunk in MARKS:
            close()
            if phones[-1].symbol not in (SILENCE, *MARKS):
                phones.append(Phone(chunk))
        elif chunk.startswith("[["):
            if given := override(chunk[2:-2].strip(), inventory):
                parts.append(given)
        else:
            words_only = re.sub(r"[^\w'\- ]+", " ", chunk)
            if re.search(r"\w", words_only):
                parts.append(words_only.strip())
    close()
    phones.append(Phone(SILENCE))
    return phones


class SymbolTable:
    """Symbol <-> id; id 0 is padding. A symbol the model does not know is read letter by letter, or left out."""

    def __init__(self, symbols: list[str]) -> None:
        self.symbols = list(symbols)
        self.index = {s: i + 1 for i, s in enumerate(self.symbols)}
        self.inventory = frozenset(s for s in self.symbols if s not in (SILENCE, BOUNDARY, *MARKS))

    def __len__(self) -> int:
        return len(self.symbols) + 1

    def encode(self, phones: list[Phone]) -> tuple[list[int], list[int]]:
        """Ids `[P]` and stresses `[P]`."""
        ids: list[int] = []
        stress: list[int] = []
        for phone in phones:
            known = [phone.symbol] if phone.symbol in self.index else [c for c in phone.symbol if c in self.index]
            for symbol in known:
                ids.append(self.index[symbol])
                stress.append(phone.stress)
        return ids, stress

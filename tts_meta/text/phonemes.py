"""Text to phonemes by espeak-ng (library and data come inside the package `espeakng_loader`; GPL-3 at run time).

A phoneme sequence is a list of `Phone(symbol, stress)`: symbols are IPA phones, stress is 0 (none), 1 (secondary) or
2 (primary) and stays a feature of its phone, so that every token of the sequence has a duration of its own. Besides
phones there are `_` (silence at both ends), ` ` (word boundary) and the marks `, . ? ! ; :`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from tts_meta.errors import InputError
from tts_meta.text.normalize import normalize

SILENCE, BOUNDARY = "_", " "
MARKS = (",", ".", "?", "!", ";", ":")
_CHUNK = re.compile(r"(\[\[.*?\]\]|[,.?!;:])")


@dataclass(frozen=True)
class Phone:
    symbol: str
    stress: int = 0


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


def _espeak(words: str, voice: str) -> list[Phone]:
    from phonemizer.separator import Separator

    spoken = _backend(voice).phonemize([words], separator=Separator(phone="|", word=" "), strip=True)[0]
    phones: list[Phone] = []
    for word in spoken.split():
        parsed = [p for p in map(_parse, word.split("|")) if p]
        if parsed and phones:
            phones.append(Phone(BOUNDARY))
        phones.extend(parsed)
    return phones


def _override(span: str, inventory: frozenset[str] | None) -> list[Phone]:
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
            vowel = word[i] in _VOWELS
            phones.append(Phone(word[i : i + size], stress if vowel else 0))
            stress, i = (0 if vowel else stress), i + size
    return phones


_VOWELS = frozenset("aeiouyæɑɐɒɔəɚɛɜɝɪʊʌøœɨʉɯɤɵᵻ")


def read_lexicon(path: str | Path) -> dict[str, str]:
    """A user lexicon: one `word<TAB or spaces>IPA` a line, `#` starts a comment -> {lower-case word: IPA}."""
    lexicon: dict[str, str] = {}
    try:
        lines = Path(path).read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as e:
        raise InputError(f"The lexicon {path} could not be read as UTF-8 text; give one `word IPA` a line.") from e
    for number, line in enumerate(lines, 1):
        line = line.split("#", 1)[0].strip()
        if not line:
            continue
        word, _, ipa = line.replace("\t", " ").partition(" ")
        if not ipa.strip():
            raise InputError(f"Line {number} of the lexicon {path} is {line!r}; a word and its IPA are expected.")
        lexicon[word.lower()] = ipa.strip()
    return lexicon


def phonemize(
    text: str,
    voice: str = "en-us",
    lexicon: dict[str, str] | None = None,
    inventory: frozenset[str] | None = None,
) -> list[Phone]:
    """Phones of `text` (written English is normalised first), with silence at both ends.

    `inventory` (the model's symbols) bounds what `[[...]]` may hold. Raises InputError when nothing can be spoken.
    """
    spoken = normalize(text) if voice.startswith("en") else " ".join(text.split())
    if lexicon:
        words = re.compile(r"(\[\[.*?\]\])|([A-Za-z']+)")
        spoken = words.sub(
            lambda m: m.group(1) or (f"[[{lexicon[w]}]]" if (w := m.group(2).lower()) in lexicon else m.group(2)),
            spoken,
        )
    phones: list[Phone] = [Phone(SILENCE)]
    gap = False
    for chunk in _CHUNK.split(spoken):
        if chunk in MARKS:
            if phones[-1].symbol not in (SILENCE, *MARKS):
                phones.append(Phone(chunk))
            continue
        if chunk.startswith("[["):
            found = _override(chunk[2:-2].strip(), inventory)
        else:
            words_only = re.sub(r"[^\w'\- ]+", " ", chunk)
            found = _espeak(words_only, voice) if re.search(r"\w", words_only) else []
        if found:
            if phones[-1].symbol not in (SILENCE, *MARKS):
                phones.append(Phone(BOUNDARY))
            phones.extend(found)
            gap = True
    if not gap:
        raise InputError(f"The text {text.strip()[:60]!r} has nothing to speak; give at least one word.")
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

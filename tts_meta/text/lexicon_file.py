"""A user's lexicon as a file: words, names and phrases, and the phones they are said with."""

from __future__ import annotations

import re
import unicodedata
from pathlib import Path

from tts_meta.errors import InputError
from tts_meta.text.lexicon import key
from tts_meta.text.phonemes import VOWELS, override
from tts_meta.text.textfile import read_text

_IPA_ONLY = re.compile(r"[ˈˌɑɐɒæɓʙβɔɕçɗɖðʤəɘɚɛɜɝɞɟʄɡɠɢʛɦɧħɥʜɨɪʝɭɬɫɮʟɱɯɰŋɳɲɴøɵɸθœɶʘɹɺɾɻʀʁɽʂʃʈʧʉʊʋⱱʌɣɤʍχʎʏʑʐʒʔʡʕʢǀǁǂǃː̃ᵻ|]")


def _split(line: str) -> tuple[str, str]:
    """(word or phrase, phones) of one line: apart by a tab, by `=`, by two spaces, or before the first word in IPA."""
    for mark in ("\t", "="):
        if mark in line:
            word, _, ipa = line.partition(mark)
            return word.strip(), ipa.strip(" \t=")
    if found := re.search(r"\s{2,}", line):
        return line[: found.start()].strip(), line[found.end():].strip()
    parts = line.split()
    first = next((i for i, p in enumerate(parts) if i and (_IPA_ONLY.search(p) or p.startswith(("[", "/")))), 1)
    if _apart(parts[first:]):
        while first > 1 and len(parts[first - 1]) == 1:  # "tomato t ə m ˈɑː t oʊ"
            first -= 1
    return " ".join(parts[:first]), " ".join(parts[first:])


def _apart(phones: list[str]) -> bool:
    """Whether every phone stands by itself, as other programs write them: three or more, consonants among them."""
    bare = [p.strip("ˈˌː") for p in phones]
    return len(bare) > 2 and all(len(p) <= 2 for p in bare) and any(len(p) == 1 and p not in VOWELS for p in bare)


def _phones(ipa: str) -> str:
    """IPA as it is compared: composed, the g of a keyboard for the g of IPA, without slashes or brackets around."""
    ipa = unicodedata.normalize("NFC", ipa).strip().strip("/[]").strip()
    parts = ipa.split()
    return ("".join(parts) if _apart(parts) else ipa).replace("g", "ɡ").replace("'", "ˈ").replace(":", "ː")


def read_lexicon(path: str | Path, inventory: frozenset[str] | None = None) -> dict[str, str]:
    """One `word<TAB or spaces>IPA` a line, `#` after a space or at the beginning starts a comment -> {word: IPA}.

    The word may be a phrase, have a hyphen, digits, accents, an apostrophe, or be `C#`. With `inventory` (the phones of
    the model) unknown phones are found here. Raises InputError with the line's number, also for a word in two ways.
    """
    lexicon: dict[str, str] = {}
    lines: dict[str, int] = {}
    text, _ = read_text(Path(path), "lexicon", "give one `word IPA` a line")
    for number, line in enumerate(text.splitlines(), 1):
        line = re.sub(r"(?:^|\s)#.*$", "", line).strip()
        if not line:
            continue
        word, ipa = _split(line)
        ipa = _phones(ipa)
        if not ipa or not word:
            raise InputError(f"Line {number} of the lexicon {path} is {line!r}; a word and its IPA are expected.")
        if inventory is not None:
            try:
                override(ipa, inventory)
            except InputError as e:
                raise InputError(f"Line {number} of the lexicon {path}: {e}") from e
        if lexicon.get(key(word), ipa) != ipa:
            raise InputError(f"The lexicon {path} says {word!r} in two ways (lines {lines[key(word)]} and {number}); keep one.")
        lexicon[key(word)] = ipa
        lines.setdefault(key(word), number)
    if not lexicon:
        raise InputError(f"The lexicon {path} holds no entries; give one `word IPA` a line.")
    return lexicon

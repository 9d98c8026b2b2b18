"""A user's own lexicon: words, names and phrases, and the phones they are said with."""

from __future__ import annotations

import re
import unicodedata
from pathlib import Path

from tts_meta.errors import InputError
from tts_meta.text.normalize import normalize
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
    return " ".join(parts[:first]), " ".join(parts[first:])


def _phones(ipa: str) -> str:
    """IPA as it is compared: composed, the g of a keyboard for the g of IPA, without slashes or brackets around."""
    ipa = unicodedata.normalize("NFC", ipa).strip().strip("/[]").strip()
    return ipa.replace("g", "ɡ").replace("'", "ˈ").replace(":", "ː")


def key(word: str) -> str:
    """A word as it is looked up: composed, in small letters, one space between words."""
    return " ".join(unicodedata.normalize("NFC", word).replace("’", "'").lower().split())


def read_lexicon(path: str | Path, inventory: frozenset[str] | None = None) -> dict[str, str]:
    """One `word<TAB or spaces>IPA` a line, `#` after a space or at the beginning starts a comment -> {word: IPA}.

    The word may be a phrase, have a hyphen, digits, accents, an apostrophe, or be `C#`. With `inventory` (the phones of
    the model) unknown phones are found here. Raises InputError with the line's number.
    """
    lexicon: dict[str, str] = {}
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
            from tts_meta.text.phonemes import override

            try:
                override(ipa, inventory)
            except InputError as e:
                raise InputError(f"Line {number} of the lexicon {path}: {e}") from e
        lexicon[key(word)] = ipa
    return lexicon


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
        entries.setdefault(key(normalize(word)), ipa)
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

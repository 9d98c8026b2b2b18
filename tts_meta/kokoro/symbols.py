"""Kokoro's symbols, and espeak's phones as Kokoro's.

Kokoro was trained on the phonemes of misaki (Hexgrad, Apache-2.0), which writes diphthongs and affricates with one
letter, leaves length out of American vowels and knows syllabic consonants as a small schwa. The vowel of "trap" is æ in
American and a in British. espeak-ng writes IPA; the table below turns what espeak can say in English into what the network was
trained on.
"""

from __future__ import annotations

from collections.abc import Iterable

SILENCE = 0
"""The id at both ends of an utterance."""

_CODES = {
    1: ";:,.!?", 9: '—…"()“”', 16: " ̃ʣʥʦʨᵝꭧAI", 31: "O", 33: "Q", 35: "ST", 39: "W", 41: "Yᵊabcdef", 50: "hijklmnopqrstuvwxyz",
    69: "ɑɐɒæ", 75: "βɔɕç", 80: "ɖðʤə", 85: "ɚɛɜ", 90: "ɟ", 92: "ɡ", 99: "ɥ", 101: "ɨɪʝ", 110: "ɯɰŋɳɲɴø", 118: "ɸθœ",
    123: "ɹ", 125: "ɾɻ", 128: "ʁɽʂʃʈʧ", 135: "ʊʋ", 138: "ʌɣɤ", 142: "χʎ", 147: "ʒʔ", 156: "ˈˌː", 162: "ʰ", 164: "ʲ",
    169: "↓", 171: "→↗↘", 177: "ᵻ",
}
SYMBOLS: dict[str, int] = {c: first + i for first, row in _CODES.items() for i, c in enumerate(row)}
"""Symbol -> id, as in Kokoro's vocabulary."""

PHONES: dict[str, str] = {
    # consonants that espeak writes with two letters, or in another way
    "tʃ": "ʧ", "dʒ": "ʤ", "r": "ɹ", "x": "k", "ç": "k", "ɬ": "l", "ʔ": "t", "g": "ɡ", "n̩": "ᵊn", "l̩": "ᵊl", "m̩": "ᵊm",
    # diphthongs
    "eɪ": "A", "aɪ": "I", "ɔɪ": "Y", "aʊ": "W", "aɪə": "Iə", "aɪɚ": "Iəɹ", "e": "A", "əl": "ᵊl", "ɐ": "ə", "o": "ɔ",
    "ʲ": "j",
}
"""espeak's phones, of both accents, whose symbols are not their own letters."""

AMERICAN = PHONES | {
    "oʊ": "O", "əʊ": "O", "ɜː": "ɜɹ", "ɜːɹ": "ɜɹ", "ɚ": "əɹ", "ɾ": "T", "iə": "iə", "ɪə": "iə", "a": "æ", "ɒ": "ɑ", "eə": "ɛɹ",
    "iː": "i", "uː": "u", "ɑː": "ɑ", "ɔː": "ɔ", "ɑːɹ": "ɑɹ", "ɔːɹ": "ɔɹ", "oːɹ": "ɔɹ", "oː": "ɔ", "aː": "ɑ", "ɛː": "ɛɹ",
}
BRITISH = PHONES | {"oʊ": "Q", "əʊ": "Q", "iə": "ɪə", "eə": "ɛː", "ɾ": "t", "ɚ": "ə", "æ": "a", "oː": "ɔː", "n̩": "ᵊn", "ᵻ": "ɪ"}

_STRESS = {0: "", 1: "ˌ", 2: "ˈ"}


def letters(phone: str, british: bool) -> str:
    """One phone of espeak in Kokoro's symbols; letters that it has none for are left out."""
    table = BRITISH if british else AMERICAN
    if phone in table:
        return table[phone]
    return "".join(c for c in phone.translate(_TIES) if c in SYMBOLS and (british or c != "ː"))


_TIES = str.maketrans("", "", "͡‿^_-")


def from_phones(phones: Iterable[tuple[str, int]], british: bool) -> str:
    """(symbol, stress) of `tts_meta.text.phonemes`, silence at the ends and marks among them, as one string of symbols.

    Stress stands before its vowel; a word begins after a space, and so does what follows a mark.
    """
    out: list[str] = []
    for symbol, stress in phones:
        if symbol == "_":
            continue
        if symbol in ",.?!;:":
            out.append(symbol)
            continue
        if symbol == " ":
            out.append(" ")
            continue
        if out and out[-1] in ",.?!;:":
            out.append(" ")
        out.append(_STRESS[stress] + letters(symbol, british))
    return "".join(out)


def encode(symbols: str) -> list[int]:
    """Ids with silence at both ends. Raises KeyError for a symbol that is none of SYMBOLS."""
    return [SILENCE, *(SYMBOLS[c] for c in symbols), SILENCE]

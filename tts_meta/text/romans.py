"""Roman numerals after parts of a book ("Chapter IV"), kings and popes ("Louis XIV") and names ("Apollo XI")."""

from __future__ import annotations

import re

from tts_meta.text.rules import Rule
from tts_meta.text.spelling import cardinal, ordinal

_PARTS = (
    "Chapter|Part|Act|Scene|Volume|Vol|Book|Section|Article|Phase|Type|Stage|Class|Level|Appendix|Figure|Table|Title|Episode|Season|Grade|War|Bowl|Canto|Unit|"
    "Verse|Psalm|Mark|Schedule|Annex|Category|Group|Lesson|Module|Round|Division|Factor|Symphony|Sonata|Concerto|Step|Tier|Corps|Legion"
)
_ROYAL = (
    "Louis|Henry|Edward|George|Charles|James|William|Elizabeth|Mary|Richard|John|Paul|Pius|Benedict|Gregory|Leo|Francis|Philip|Frederick|Napoleon|Nicholas|"
    "Alexander|Catherine|Peter|Ivan|Robert|David|Alfonso|Ferdinand|Gustav|Christian|Haakon|Harald|Olav|Otto|Ramses|Rameses|Ramesses|Ptolemy|Thutmose|Cleopatra|Innocent|"
    "Clement|Urban|Boniface|Julius|Sixtus|Felipe|Juan|Carlos|Umberto|Wilhelm|Friedrich|Maximilian|Constantine|Basil|Kenneth|Stephen|Baldwin|Albert|Leopold|"
    "Rudolf|Joseph|Margrethe|Amenhotep|Darius|Xerxes|Cyrus|Mehmed|Murad|Selim|Sigismund|Casimir|Pedro|Manuel|Isabella|Matthew|Victor|Theodosius|Justinian|Adrian|Celestine|Eugene"
)
_TITLED = r"(?:King|Queen|Pope|Emperor|Empress|Tsar|Czar|Kaiser|Sultan|Prince|Princess|Duke|Earl|Count|Pharaoh|Patriarch|Saint)"
_NUMERAL = r"(?=[IVXLCDM]+(?![A-Za-z]))M{0,3}(?:CM|CD|D?C{0,3})(?:XC|XL|L?X{0,3})(?:IX|IV|V?I{0,3})(?<=[IVXLCDM])"
_VALUES = {"I": 1, "V": 5, "X": 10, "L": 50, "C": 100, "D": 500, "M": 1000}
_ALONE = (
    r"(?=\s*(?:[.,;:!?)']|$|(?:was|is|of|had|reigned|ruled|died|became|and|in|to|has|begins|ends|from|came|by|"
    r"opened|wrote|begin|are|or|who|at|for|on)\b))"
)
_NOT_NUMBERS = {"CD", "DC", "MD", "MC", "MI", "DI", "CV", "MM", "CC", "DIM", "MIX", "LI", "DVD", "CIVIL", "MILD", "LCD", "ID",
                "IM", "LLC", "LCM", "CM", "DM", "CI", "DL", "ML", "XL", "XXL", "MDC", "CDC"}

_DETERMINERS = {"The", "An", "A", "This", "That", "His", "Her", "My", "Your", "Our", "Their", "Its", "No", "Start", "Use", "Get"}
"""Before these a drip (IV) and an editor (VI) are letters."""


def value(numeral: str) -> int:
    """"XIV" -> 14."""
    total = 0
    for a, b in zip(numeral, numeral[1:] + "I", strict=True):
        total += -_VALUES[a] if _VALUES[a] < _VALUES[b] else _VALUES[a]
    return total


def _part(match: re.Match[str]) -> str:
    return f"{match.group(1)} {cardinal(value(match.group(2)))}"


def _reign(match: re.Match[str]) -> str:
    return f"{match.group(1)} the {ordinal(value(match.group(2)))}"


def _name(match: re.Match[str]) -> str:
    numeral = match.group(2)
    letters = match.group(1) in _DETERMINERS and numeral in ("IV", "VI")
    if letters or numeral in _NOT_NUMBERS or set(numeral) & set("CDM") or match.string.isupper():
        return match.group(0)
    return f"{match.group(1)} {cardinal(value(numeral))}"


RULES: list[Rule] = [
    (re.compile(r"\bWW(I{1,3})\b"), lambda m: "World War " + cardinal(value(m.group(1)))),
    (re.compile(r"\b(World War)\s+(I{1,3})\b(?!')"), _part),
    (re.compile(rf"\b({_NUMERAL})(?=\s+(?:century|centuries|dynasty|dynasties|Olympiad|Olympics)\b)"),
     lambda m: ordinal(value(m.group(1)))),
    (re.compile(rf"\b((?:{_PARTS})s?)\.?\s+({_NUMERAL})\b(?!')(?:(?<=[A-Z][A-Z])|(?<!I)|{_ALONE})"), _part),
    (re.compile(rf"\b({_TITLED}\s+[A-Z][a-z]+|{_ROYAL})\s+({_NUMERAL})\b(?!\.\s?[A-Z])(?:(?<=[IVXL][IVXL])|{_ALONE})"), _reign),
    (re.compile(rf"\b([A-Z][a-z]+)\s+({_NUMERAL}(?<=[A-Z][A-Z])(?<![CDM]))\b(?!\.[A-Z]|-\d)"), _name),
    (re.compile(r"(?<=\bchapter )([ivx]+)\b|(?<=\bpart )([ivx]+)\b|(?<=\bpage )([ivx]+)\b", re.I),
     lambda m: cardinal(value(m.group(0).upper())) if re.fullmatch(_NUMERAL,
         m.group(0).upper()) and m.group(0) != "I" else m.group(0)),
]

"""Characters: typographic marks to plain ones, superscripts and vulgar fractions to numbers, accents, emoji."""

from __future__ import annotations

import re
import unicodedata

from tts_meta.text.rules import Rule, apply

_PLAIN = str.maketrans({
    "’": "'", "‘": "'", "ʼ": "'", "`": "'", "“": '"', "”": '"', "„": '"', "«": '"', "»": '"', "″": '"', "′": "'",
    "‐": "-", "‑": "-", "−": "-", "⁻": "-", "\u00a0": " ", "\u2009": " ", "\u202f": " ", "\u200b": "", "\u00ad": "",
    "\ufeff": "", "，": ",", "。": ".", "！": "!", "？": "?", "；": ";", "：": ":", "…": "...", "™": "", "®": "", "†": "",
    "‡": "", "×": " × ", "№": "No. ", "μ": "µ",
})
_SUPER = {c: str(i) for i, c in enumerate("⁰¹²³⁴⁵⁶⁷⁸⁹")}
_VULGAR = "".join(chr(c) for c in range(0x2150, 0x215F)) + "¼½¾"
_KEPT = {"résumé", "résumés", "exposé", "exposés", "rosé", "pâté", "maté", "lamé", "coupé", "piqué"}
"""Words that are others without their accents."""
_UNACCENTED = str.maketrans({"ß": "ss", "æ": "ae", "Æ": "Ae", "œ": "oe", "Œ": "Oe", "ø": "o", "Ø": "O", "đ": "d", "ł": "l",
                             "Ł": "L", "ð": "th", "þ": "th"})


def _fraction(match: re.Match[str]) -> str:
    return " " + unicodedata.normalize("NFKC", match.group(0)).replace("\u2044", "/") + " "


def _accents(match: re.Match[str]) -> str:
    word = match.group(0)
    if word.isascii() or word.lower() in _KEPT:
        return word
    split = unicodedata.normalize("NFD", word.translate(_UNACCENTED))
    return "".join(c for c in split if not unicodedata.combining(c))


_RULES: list[Rule] = [
    (re.compile(r"(?<!\S)(?:[:;=]'?-?[DPpOo]|[xX]D)(?!\w)"), lambda m: " "),  # faces of letters
    (re.compile(f"[{''.join(_SUPER)}]+"), lambda m: "^" + "".join(_SUPER[c] for c in m.group(0))),
    (re.compile(f"[{_VULGAR}]"), _fraction),
    (re.compile(r"(?<=[\w)%])\s*−\s*(?=[\w(])|(?<=[\w)]\s)-(?=\s[\d\s.,()+×*/−-]+=)"), lambda m: " minus "),
    (re.compile(r"(?<=\d)\s*–\s*(?=[\d$£€])|(?<=[\w.%°])–(?=[\w$£€])"), lambda m: "-"),
    (re.compile(r"\s*[–—―]\s*|\s+--+\s+|(?<=\w)--+(?=\w)"), lambda m: ", "),
]
_AFTER: list[Rule] = [
    (re.compile(r"[^\W\d_]+"), _accents),
    (re.compile(r"([!?])[!?]+"), lambda m: "?" if "?" in m.group(0) else m.group(1)),
    (re.compile(r"\s*\.{2,}\s*(?=[a-z])"), lambda m: ", "),
    (re.compile(r"\.{2,}(?!\.*/)\s*"), lambda m: ". "),
]
GLUED: list[Rule] = [
    (re.compile(r"(?<=[a-z]{2})([,;:!?])(?=[A-Za-z])"), lambda m: m.group(1) + " "),
    (re.compile(r"(?<=[a-z]{2})\.(?=[A-Z][a-z]*\b(?!\.))"), lambda m: ". "),
]
"""A mark without its space, "Hello,world.How are you"; after addresses, which are written so."""


def plain_marks(text: str) -> str:
    """`text` in plain marks and plain letters; emoji and control characters are gone."""
    text = apply(_RULES, text)
    text = unicodedata.normalize("NFKC", text.translate(_PLAIN)).translate(_PLAIN)
    text = "".join(" " if unicodedata.category(c) in ("So", "Sk", "Cf", "Cc", "Co", "Cn") and c not in "°^©\n"
                   else c for c in text)
    return apply(_AFTER, text)

"""Written English to spoken words: money, dates, times, ordinals, decimals, years, units, abbreviations.

Numbers are spelled by num2words; the rules around it are ours and deliberately few. `[[ ... ]]` spans (phonemes given
by the user) pass through untouched.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable

from num2words import num2words

_ABBREVIATIONS = {
    "mr": "mister", "mrs": "missus", "ms": "miz", "dr": "doctor", "prof": "professor", "st": "saint", "jr": "junior",
    "sr": "senior", "vs": "versus", "etc": "et cetera", "no": "number", "vol": "volume", "fig": "figure",
    "approx": "approximately", "dept": "department", "gen": "general", "col": "colonel", "capt": "captain",
    "lt": "lieutenant", "sgt": "sergeant", "rev": "reverend", "hon": "honorable", "mt": "mount", "ft": "feet",
}
_NEEDS_CAPITAL = {"st", "no", "gen", "col", "mt", "ft", "fig", "rev", "hon"}
_MONTHS = {
    "jan": "January", "feb": "February", "mar": "March", "apr": "April", "jun": "June", "jul": "July",
    "aug": "August", "sep": "September", "sept": "September", "oct": "October", "nov": "November", "dec": "December",
}
_MONTH_NAMES = "January|February|March|April|May|June|July|August|September|October|November|December"
_CURRENCY = {"$": ("dollar", "cent"), "£": ("pound", "penny"), "€": ("euro", "cent"), "¥": ("yen", "")}
_UNITS = {
    "km": "kilometers", "cm": "centimeters", "mm": "millimeters", "kg": "kilograms", "mg": "milligrams",
    "hz": "hertz", "khz": "kilohertz", "mhz": "megahertz", "mb": "megabytes", "gb": "gigabytes", "ml": "milliliters",
    "mph": "miles per hour",
}
_SYMBOLS = {"&": " and ", "%": " percent", "@": " at ", "+": " plus ", "=": " equals ", "#": " number ", "°": " degrees"}
_MARKS = str.maketrans({
    "’": "'", "‘": "'", "“": '"', "”": '"', "–": ", ", "—": ", ", "…": ".", "\u00a0": " ", "−": "-", "，": ",", "。": ".",
})


def _words(number: str | int, **kind) -> str:
    return num2words(number, **kind).replace("-", " ").replace(",", "")


def _cardinal(digits: str) -> str:
    digits = digits.replace(",", "")
    if len(digits) > 15:  # a card number, not a quantity
        return " ".join(_words(int(d)) for d in digits)
    return _words(int(digits))


def _decimal(match: re.Match) -> str:
    whole, fraction = match.group(1), match.group(2)
    return f"{_cardinal(whole or '0')} point {' '.join(_words(int(d)) for d in fraction)}"


def _money(match: re.Match) -> str:
    sign, amount, scale = match.group(1), match.group(2).replace(",", ""), match.group(3)
    unit, sub = _CURRENCY[sign]

    def plural(n: int, word: str) -> str:
        return word if word == "yen" or n == 1 else ("pence" if word == "penny" else word + "s")

    if scale:
        spoken = _number(amount)
        return f"{spoken} {scale.strip()} {plural(2, unit)}"
    whole, _, cents = amount.partition(".")
    parts = []
    if int(whole or 0) or not cents:
        parts.append(f"{_cardinal(whole or '0')} {plural(int(whole or 0), unit)}")
    if cents and sub and int(cents.ljust(2, "0")[:2]):
        n = int(cents.ljust(2, "0")[:2])
        parts.append(f"{_words(n)} {plural(n, sub)}")
    return " and ".join(parts) or f"zero {plural(0, unit)}"


def _number(text: str) -> str:
    whole, dot, fraction = text.partition(".")
    if not dot:
        return _cardinal(whole)
    return f"{_cardinal(whole or '0')} point {' '.join(_words(int(d)) for d in fraction)}"


def _time(match: re.Match) -> str:
    hour, minute, half = int(match.group(1)), int(match.group(2)), match.group(3)
    if hour > 24 or minute > 59:
        return match.group(0).replace(":", " ")
    spoken = _words(hour)
    if minute:
        spoken += " " + ("oh " if minute < 10 else "") + _words(minute)
    elif not half:
        spoken += " o'clock" if 1 <= hour <= 12 else " hundred hours"
    return spoken + (f" {half[0].lower()} m" if half else "")


def _year(text: str) -> str:
    n = int(text)
    if 2000 <= n <= 2009:
        return _words(n)
    return _words(n, to="year")


def _date(match: re.Match) -> str:
    month, day, year = match.group(1), int(match.group(2)), match.group(3)
    spoken = f"{month} {_words(day, to='ordinal')}"
    return f"{spoken}, {_year(year)}" if year else spoken


def _iso_date(match: re.Match) -> str:
    year, month, day = match.groups()
    if not (1 <= int(month) <= 12 and 1 <= int(day) <= 31):
        return " ".join(_cardinal(g) for g in match.groups())
    return f"{_MONTH_NAMES.split('|')[int(month) - 1]} {_words(int(day), to='ordinal')}, {_year(year)}"


def _abbreviation(match: re.Match) -> str:
    word = match.group(1)
    key = word.lower()
    if key not in _ABBREVIATIONS or (key in _NEEDS_CAPITAL and not word[0].isupper()):
        return match.group(0)
    return _ABBREVIATIONS[key]


_RULES: list[tuple[re.Pattern, Callable[[re.Match], str]]] = [
    (re.compile(r"https?://(?:www\.)?|www\."), lambda m: ""),
    (re.compile(r"\b(" + "|".join(_MONTHS) + r")\.?(?=\s+\d)", re.I), lambda m: _MONTHS[m.group(1).lower()]),
    (re.compile(rf"\b({_MONTH_NAMES})\s+(\d{{1,2}})(?:st|nd|rd|th)?(?:,?\s+(\d{{4}}))?\b"), _date),
    (re.compile(r"\b(\d{4})-(\d{2})-(\d{2})\b"), _iso_date),
    (re.compile(r"([$£€¥])\s?(\d[\d,]*(?:\.\d+)?)(\s(?:thousand|million|billion|trillion))?"), _money),
    (re.compile(r"\b(\d{1,2}):(\d{2})\s*([AaPp])?\.?(?:(?<=[AaPp]\.)|(?<=[AaPp]))[Mm]\b\.?"), _time),
    (re.compile(r"\b(\d{1,2}):(\d{2})()\b"), _time),
    (re.compile(r"\b(\d[\d,]*)(?:st|nd|rd|th)\b"), lambda m: _words(int(m.group(1).replace(",", "")), to="ordinal")),
    (re.compile(r"(?<=\d)\s?(" + "|".join(_UNITS) + r")\b", re.I), lambda m: " " + _UNITS[m.group(1).lower()]),
    (re.compile(r"\b(1[1-9]\d\d|20\d\d)(s?)\b(?![,.]\d)"),
     lambda m: _year(m.group(1)) + ("s" if m.group(2) else "")),
    (re.compile(r"(?<![\d.])-(?=\d)"), lambda m: "minus "),
    (re.compile(r"\b(\d{1,3}(?:,\d{3})+|\d+)?\.(\d+)\b"), _decimal),
    (re.compile(r"\d{1,3}(?:,\d{3})+|\d+"), lambda m: " " + _cardinal(m.group(0)) + " "),
    (re.compile(r"\b([A-Za-z]{2,6})\."), _abbreviation),
]


def _spoken(text: str) -> str:
    text = unicodedata.normalize("NFKC", text.translate(_MARKS)).translate(_MARKS)
    for pattern, replace in _RULES:
        text = pattern.sub(replace, text)
    for symbol, word in _SYMBOLS.items():
        text = text.replace(symbol, word)
    return text


def normalize(text: str) -> str:
    """English text with everything spelled out; `[[...]]` spans are kept as they stand."""
    parts = re.split(r"(\[\[.*?\]\])", text)
    spoken = "".join(p if p.startswith("[[") else _spoken(p) for p in parts)
    spoken = re.sub(r"\s+", " ", spoken).strip()
    return re.sub(r"\s+([,.!?;:])", r"\1", spoken)

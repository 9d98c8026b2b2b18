"""Sums of money: signs before and after, cents, thousands and millions, both uses of the comma, prices per unit."""

from __future__ import annotations

import re

from tts_meta.text.currencies import CODES, OF_DOLLARS, OTHER_DOLLARS, SIGNS
from tts_meta.text.rules import Rule
from tts_meta.text.spelling import cardinal, number

_SCALES = {"k": "thousand", "m": "million", "mn": "million", "mm": "million", "mio": "million", "b": "billion", "bn": "billion",
           "t": "trillion", "tn": "trillion", "trn": "trillion"}
_SIGN = "[" + "".join(s for s in SIGNS if s != "¢") + "]"
_CODE_BEFORE = "|".join(c for c in CODES if c.isupper()) + r"|Rs\.?"
_CODE_AFTER = "|".join(c for c in CODES if c != "Rs")
_COUNTRY = "|".join(sorted([*OF_DOLLARS, *OTHER_DOLLARS], key=len, reverse=True))
_AMOUNT = r"\d{1,3}(?:\.\d{3})+,\d{2}(?!\d)|\d{1,3}(?:,\d{3})+(?:\.\d+)?(?!\d)|\d+,\d{1,2}(?!\d)|\d+(?:\.\d+)?|\.\d+"
_SCALE = r"(?:\s?(?:thousand|million|billion|trillion)\b|\s?(?:[kKMBT]|[mb]n?|mio|tr?n)(?![\w'/]))"
_PER = {"mo": "month", "yr": "year", "hr": "hour", "h": "hour", "min": "minute", "wk": "week", "d": "day", "kg": "kilogram",
        "lb": "pound", "oz": "ounce", "sq ft": "square foot", "l": "liter", "km": "kilometer", "mi": "mile", "gb": "gigabyte",
        "gal": "gallon", "ft": "foot", "yd": "yard", "g": "gram", "ml": "milliliter", "mb": "megabyte", "kwh": "kilowatt hour",
        "pc": "piece", "pt": "pint", "qt": "quart", "sq m": "square meter", "m²": "square meter", "ton": "ton"}

_WHOLE = ("month", "year", "day", "week", "night", "hour", "person", "user", "piece", "unit", "page", "minute", "second",
          "head", "seat")
_MONEY_BEFORE = "(?<=(?:llar|lars|unds|ound|uros|euro|ents|cent|pees|ence))"


def _read(amount: str) -> str:
    """The amount as English writes it: "1.234,56" and "3,5" have a comma for a point."""
    if re.fullmatch(r"\d{1,3}(?:\.\d{3})+,\d{2}|\d+,\d{1,2}", amount):
        return amount.replace(".", "").replace(",", ".")
    return amount.replace(",", "")


def spoken_sum(sign: str, amount: str, scale: str = "", country: str = "", one: bool = False) -> str:
    """A sum in words, of a sign or a code; `country`: the letters before a dollar sign; `one`: before a noun ("a five dollar
    bill")."""
    name, names, cent, cents = OTHER_DOLLARS.get(country) or CODES.get(sign) or SIGNS[sign]
    amount = _read(amount)
    if country in OF_DOLLARS:
        name, names = f"{OF_DOLLARS[country]} {name}", f"{OF_DOLLARS[country]} {names}"
    if scale:
        scale = scale.strip(" -")
        return f"{number(amount)} {_SCALES.get(scale.lower(), scale.lower())} {name if one else names}"
    whole, _, fraction = amount.partition(".")
    if len(fraction) > 2 or (fraction and not cent):
        return f"{number(amount)} {names}"
    unit = int(whole or 0)
    part = int(fraction.ljust(2, "0")) if fraction else 0
    said = []
    if unit or not part:
        said.append(f"{cardinal(whole or '0')} {name if unit == 1 or one else names}")
    if part:
        said.append(f"{cardinal(part)} {cent if part == 1 else cents}")
    return " and ".join(said)


def _minus(match: re.Match[str]) -> str:
    return "minus " if match.group("minus") else ""


def _one(match: re.Match[str]) -> bool:
    """Whether "a" stands before the sum and a thing after it: "a $5 bill"."""
    before, after = match.string[: match.start()], match.string[match.end():]
    return bool(re.search(r"\b(?:a|an|the|this|that|each|every|one|his|her|my|our|their)\s+(?:\w+ly\s+|new\s+|extra\s+)?$",
                          before, re.I)
                and re.match(r"-a-|(?:-|\s+)(?!(?:in|on|at|of|for|to|from|and|or|is|was|were|are|per|each|a|an|the|more|less|off|"
                             r"by|with|today|now|here|last|this)\b)[a-z]{3,}", after))


def _before(match: re.Match[str]) -> str:
    return _minus(match) + spoken_sum(match.group("sign"), match.group("amount"), match.group("scale") or "",
                                      match.group("country") or "", _one(match))


def _after(match: re.Match[str]) -> str:
    return _minus(match) + spoken_sum(match.group("sign"), match.group("amount"), match.group("scale") or "")


def _code(match: re.Match[str]) -> str:
    return spoken_sum(match.group("sign").rstrip("."), match.group("amount"), match.group("scale") or "")


def _range(match: re.Match[str]) -> str:
    sign, scale = match.group("sign"), match.group("scale") or ""
    low = spoken_sum(sign, match.group("low"), match.group("lowscale") or "")
    return f"{low} to {spoken_sum(sign, match.group('high'), scale)}"


RULES: list[Rule] = [
    (re.compile(rf"(?P<sign>{_SIGN})\s?(?P<low>{_AMOUNT})(?P<lowscale>{_SCALE})?\s?-\s?(?P=sign)?\s?(?P<high>{_AMOUNT})(?P<scale>{_SCALE})?(?![\d-])"),
     _range),
    (re.compile(rf"(?P<minus>(?<!\w)-\s?)?(?:(?<!\w)(?P<country>{_COUNTRY})(?=\$))?"
                rf"(?P<sign>{_SIGN})\s?(?P<amount>{_AMOUNT})(?P<scale>-?{_SCALE})?(?:'?s\b)?"),
     _before),
    (re.compile(rf"(?P<minus>(?<!\w)-\s?)?(?<![\w.,])(?P<amount>{_AMOUNT})(?P<scale>{_SCALE})?\s?(?P<sign>[€£¢₽₪₴₺]|"
                rf"(?:{_CODE_AFTER})\b)"), _after),
    (re.compile(rf"\b(?P<sign>{_CODE_BEFORE})\s?(?P<amount>{_AMOUNT})(?P<scale>{_SCALE})?"), _code),
    (re.compile(rf"{_MONEY_BEFORE}\s?/\s?({'|'.join(sorted([*_PER, *_WHOLE], key=len, reverse=True))})\b(?![/'])", re.I),
     lambda m: f" per {_PER.get(m.group(1).lower(), m.group(1))}"),
]

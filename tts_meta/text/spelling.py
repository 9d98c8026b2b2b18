"""Numbers in words (num2words spells them): cardinals, digits one by one, ordinals, years, decimals, groups."""

from __future__ import annotations

import re
from functools import lru_cache

from num2words import num2words

LONGEST_QUANTITY = 15
"""Digits; a longer number is a card's or an account's, and is said digit by digit."""


@lru_cache(maxsize=4096)
def _words(number: int, kind: str) -> str:
    return num2words(number, to=kind).replace("-", " ").replace(",", "")


def digits(text: str) -> str:
    """Every digit of `text` by itself: "0042" -> "zero zero four two"."""
    return " ".join(_words(int(d), "cardinal") for d in text if d.isdigit())


def cardinal(text: str | int) -> str:
    """A whole number; one with a leading zero or of more than LONGEST_QUANTITY digits is said digit by digit."""
    plain = re.sub(r"\D", "", str(text))
    if len(plain) > LONGEST_QUANTITY or (len(plain) > 1 and plain[0] == "0"):
        return digits(plain)
    return _words(int(plain or 0), "cardinal")


def ordinal(text: str | int) -> str:
    """"21" -> "twenty first"."""
    plain = re.sub(r"\D", "", str(text))
    return _words(int(plain), "ordinal") if len(plain) <= LONGEST_QUANTITY else digits(plain)


def year(text: str | int) -> str:
    """1905 -> "nineteen oh five", 2004 -> "two thousand and four"."""
    n = int(text)
    if n < 1000 or 2000 <= n <= 2009:
        return cardinal(n)
    return _words(n, "year")


def number(text: str) -> str:
    """A number as written in English, with commas and a point: "1,234.5" -> "... point five"."""
    whole, dot, fraction = text.replace(",", "").partition(".")
    if not dot:
        return cardinal(whole)
    # A whole part is a quantity even when it is a bare zero: 0.5, and .5 as it is said.
    return f"{cardinal(whole or '0')} point {digits(fraction)}".strip()


def plural(word: str) -> str:
    """The plural of a number word: "ninety" -> "nineties", "six" -> "sixes"."""
    if word.endswith("y"):
        return word[:-1] + "ies"
    return word + ("es" if word.endswith("x") else "s")


def many(text: str) -> bool:
    """Whether what is counted by the number takes the plural."""
    try:
        return float(text.replace(",", "")) != 1
    except ValueError:
        return True


NUMBER = r"(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+)?|\.\d+"
"""Pattern of a number as English writes it."""

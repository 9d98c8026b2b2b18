"""Dates, months and days shortened, decades, ranges of years."""

from __future__ import annotations

import re

from tts_meta.text.rules import Rule
from tts_meta.text.spelling import cardinal, ordinal, plural, year

MONTHS = ("January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November",
          "December")
_SHORT = {m[:3]: m for m in MONTHS} | {"Sept": "September"}
_DAYS = {"Mon": "Monday", "Tue": "Tuesday", "Tues": "Tuesday", "Wed": "Wednesday", "Weds": "Wednesday", "Thu": "Thursday",
         "Thur": "Thursday", "Thurs": "Thursday", "Fri": "Friday", "Sat": "Saturday", "Sun": "Sunday"}
_MONTH = "(?:" + "|".join(MONTHS) + ")"
_SHORTS = "|".join(sorted((s for s in _SHORT if s != "May"), key=len, reverse=True))
_DAYS_SHORT = "|".join(sorted(_DAYS, key=len, reverse=True))
_WEEKDAY = "(?:" + "|".join(dict.fromkeys(_DAYS.values())) + ")"
_DAY = r"(?:3[01]|[12]\d|0?[1-9])"
_YEAR = r"(?:1\d{3}|20\d{2})"
_IN_WORDS = {**_SHORT, **_DAYS}
_DATE_BEFORE = r"\b(?:on|by|until|till|since|before|after|dated|due|from|born|of)\s+"


def _day_month(day: str, month: int, when: str | None) -> str:
    spoken = f"{MONTHS[month - 1]} {ordinal(int(day))}"
    return f"{spoken}, {year(_century(when))}" if when else spoken


def _century(text: str) -> int:
    """The year of two digits, or of four."""
    n = int(text)
    return n if len(text) == 4 else n + (2000 if n < 50 else 1900)


def _iso(match: re.Match[str]) -> str:
    when, month, day = match.group("y"), int(match.group("m")), int(match.group("d"))
    if not (1 <= month <= 12 and 1 <= day <= 31):
        return match.group(0).replace("-", " ").replace("/", " ")
    said = _day_month(str(day), month, when)
    if not match.group("hour"):
        return said
    hour, minute, second = match.group("hour"), match.group("minute"), match.group("second")
    zone = " U T C" if match.group("zone") == "Z" else f" {match.group('zone')}" if match.group("zone") else ""
    seconds = f" and {cardinal(int(second))} second{'s' if int(second) != 1 else ''}" if second and int(second) else ""
    # The clock's rules say what is left.
    return f"{said}, {hour}:{minute}{seconds}{zone}"


def _numeric(match: re.Match[str]) -> str:
    """Month first, as in America, unless only the other order is a date."""
    first, second, when = int(match.group(1)), int(match.group(3)), match.group(4)
    if match.group(2) == "." or first > 12:
        first, second = second, first
    if not (1 <= first <= 12 and 1 <= second <= 31):
        return " ".join(cardinal(g) for g in (match.group(1), match.group(3), when))
    return _day_month(str(second), first, when)


def _short_numeric(match: re.Match[str]) -> str:
    return match.group(1) + _day_month(match.group(3), int(match.group(2)), None)


def _month_day(match: re.Match[str]) -> str:
    month, day, when = match.group("month"), match.group("day"), match.group("year")
    after = match.string[match.end():]
    if month == "May" and not when and not match.group("th") and re.match(r"\s+(?!(?:at|in|is|was|and|to|or|from|we|the|I|he|"
        r"she|they|it|for|on|by)\b)[a-z]", after):
        return match.group(0)  # "May 5 people come?"
    if when:
        return f"{month} {ordinal(day)}, {year(when)}"
    return f"{month} {ordinal(day)}"


def _day_of_month(match: re.Match[str]) -> str:
    day, month, when = match.group("day"), match.group("month"), match.group("year")
    the = "" if re.search(r"\b(?:the|of)\s+$", match.string[: match.start()], re.I) else "the "
    return f"{the}{ordinal(day)} of {month}" + (f", {year(when)}" if when else "")


def _decade(match: re.Match[str]) -> str:
    n = int(match.group(1))
    if n % 1000 == 0:
        return f"{cardinal(n)}s".replace("thousands", "thousands")
    return plural(year(n)) if n % 100 else f"{cardinal(n // 100)} hundreds"


def _years(match: re.Match[str]) -> str:
    first, last = match.group(1), match.group(2)
    if len(last) == 2 and (int(last) <= int(first[2:]) or int(last) > 99):
        return match.group(0)
    return f"{year(first)} to {year(last) if len(last) == 4 else cardinal(last)}"


def _days(match: re.Match[str]) -> str:
    """"May 3-7", "May 3 - June 7, 2021", "3-7 May"."""
    first, last, when = match.group("month"), match.group("last"), match.group("year")
    said = f"{first} {ordinal(match.group('day'))} to {last + ' ' if last else ''}{ordinal(match.group('end'))}"
    return f"{said}, {year(when)}" if when else said


def _range(match: re.Match[str]) -> str:
    return f"{_IN_WORDS.get(match.group(1), match.group(1))} to {_IN_WORDS.get(match.group(2), match.group(2))}"


def _stopped(match: re.Match[str]) -> str:
    """"Feb." anywhere; "the Sun." and "he sat." are words."""
    word = match.group(1)
    if word in ("Sun", "Sat", "Mar", "Wed") and re.search(r"\b(?:the|a|under|in)\s+$", match.string[: match.start()], re.I):
        return match.group(0)
    return _IN_WORDS[word] + ("." if not match.string[match.end():].strip() else "")


RULES: list[Rule] = [
    (re.compile(r"\bAD(?=\s\d)"), lambda m: "A D"),
    (re.compile(r"(?<![\w/.,-])(1\d{3}|20\d\d)/(1\d{3}|20\d\d)(?![\w/]|[.,-]\d)"),
     lambda m: f"{year(m.group(1))} {year(m.group(2))}"),
    (re.compile(rf"\b({_SHORTS}|{_DAYS_SHORT})\.?\s?-\s?({_SHORTS}|{_DAYS_SHORT})\b\.?(?=\s|[,;:)]|$)"), _range),
    (re.compile(rf"\b({_MONTH})\s?-\s?({_MONTH})\b"), _range),
    (re.compile(rf"\b({_WEEKDAY})\s?-\s?({_WEEKDAY})\b"), _range),
    (re.compile(rf"\b({_SHORTS}|{_DAYS_SHORT})\.(?=\s|,|$)"), _stopped),
    (re.compile(rf"\b({_SHORTS})(?=\s+\d)"), lambda m: _IN_WORDS[m.group(1)]),
    (re.compile(rf"(?<=\d\s)({_SHORTS})\b(?!\w)"), lambda m: _IN_WORDS[m.group(1)]),
    (re.compile(rf"(?<=\d-)({_SHORTS}|May)(?=-\d)"), lambda m: _IN_WORDS[m.group(1)]),
    (re.compile(rf"\b({_DAYS_SHORT})(?=,?\s+(?:{_MONTH}|\d))"), lambda m: _IN_WORDS[m.group(1)]),
    (re.compile(r"\b(?P<y>[12]\d{3})([-/.])(?P<m>\d{1,2})\2(?P<d>\d{1,2})(?:[T ](?P<hour>[01]\d|2[0-3]):(?P<minute>[0-5]\d)"
                r"(?::(?P<second>[0-5]\d)(?:\.\d+)?)?(?P<zone>Z|[+-]\d\d:?\d\d)?)?(?!\w|[-/.:]\d)"), _iso),
    (re.compile(r"(?<![\d/.-])(\d{1,2})([/.-])(\d{1,2})\2(\d{4}|\d{2}(?=\D|$)(?<=/\d\d))(?![\d/-]|\.\d)"), _numeric),
    (re.compile(rf"({_DATE_BEFORE})(1[0-2]|0?[1-9])/({_DAY})(?![\d/])", re.I), _short_numeric),
    (re.compile(rf"\b(?P<day>{_DAY})-(?P<month>{_MONTH})-(?P<year>{_YEAR})\b"), _day_of_month),
    (re.compile(rf"\b(?P<month>{_MONTH})\s+(?P<day>{_DAY})(?:st|nd|rd|th)?\s?-\s?(?:(?P<last>{_MONTH})\s+)?(?P<end>{_DAY})"
                rf"(?:st|nd|rd|th)?\b(?![-:/%]|[.,]\d|\s?(?:am|pm|a\.m|p\.m)\b)(?:,?\s+(?P<year>{_YEAR})\b)?"), _days),
    (re.compile(rf"(?<![\w.,/:-])(?P<day>{_DAY})\s?-\s?(?P<end>{_DAY})\s+(?P<month>{_MONTH})\b(?P<last>)"
                rf"(?:,?\s+(?P<year>{_YEAR})\b)?"), _days),
    (re.compile(rf"\b(?P<month>{_MONTH})\s+(?P<day>{_DAY})(?P<th>st|nd|rd|th)?\b(?!\s?[:/]\d|\s?(?:am|pm|a\.m|p\.m)\b|[.,]\d|"
                rf"%)(?:,?\s+(?P<year>{_YEAR})\b)?"), _month_day),
    (re.compile(rf"(?<![\d:.,/-])\b(?P<day>{_DAY})(?:st|nd|rd|"
                rf"th)?(?:\s+of)?\s+(?P<month>{_MONTH})\b(?!\s+\d{{1,2}}\b(?!:))(?:,?\s+(?P<year>{_YEAR})\b)?"), _day_of_month),
    (re.compile(r"(?<=\d0s)-(?='?\d0s\b|\d{4}s\b)"), lambda m: " to "),
    (re.compile(r"\b(1[1-9]\d0|20\d0)'?s\b"), _decade),
    (re.compile(r"(?:(?<!\w)'|(?<=\bthe\s)|(?<=\bmid-)|(?<=\bearly\s)|(?<=\blate\s)|(?<=\bhis\s)|(?<=\bher\s)|(?<=\bmid\s)|"
                r"(?<=\btheir\s))([2-9]0)'?s\b"),
     lambda m: plural(cardinal(m.group(1)))),
    (re.compile(r"\b(1[1-9]\d\d|20\d\d)-(1[1-9]\d\d|20\d\d|\d\d)\b(?!-)"), _years),
    (re.compile(r"(?<!\w)'(\d\d)\b(?!')"), lambda m: cardinal(m.group(1)) if m.group(1)[0] != "0" else "oh "
     + cardinal(m.group(1)[1])),
]

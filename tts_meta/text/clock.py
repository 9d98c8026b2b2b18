"""Times of day, spans of time, and ratios, which are written with the same colon."""

from __future__ import annotations

import re

from tts_meta.text.rules import Rule
from tts_meta.text.spelling import cardinal

_HALF = r"(?P<half>[AaPp])\.?\s?[Mm]\b\.?"


def _clock(hour: str, minute: str | None, half: str | None) -> str:
    spoken = cardinal(int(hour))
    if minute and int(minute):
        spoken += " " + ("oh " if int(minute) < 10 else "") + cardinal(int(minute))
    elif minute is not None and not half:
        spoken += " o'clock" if 1 <= int(hour) <= 12 else " hundred hours"
    return spoken + (f" {half} {'M' if half.isupper() else 'm'}" if half else "")


def _time(match: re.Match[str]) -> str:
    hour, minute, half = match.group("hour"), match.group("minute"), match.groupdict().get("half")
    if int(hour) > 24 or int(minute or 0) > 59:
        return match.group(0).replace(":", " to ", 1)
    return _clock(hour, minute, half)


def _span(match: re.Match[str]) -> str:
    first, first_minute = match.group("a"), match.group("am")
    last = _clock(match.group("hour"), match.group("minute"), match.groupdict().get("half"))
    return f"{_clock(first, first_minute, match.groupdict().get('half0'))} to {last}"


def _lasting(match: re.Match[str]) -> str:
    said = []
    for n, word in zip(match.groups(), ("hour", "minute", "second"), strict=True):
        if int(n):
            said.append(f"{cardinal(int(n))} {word}{'s' if int(n) != 1 else ''}")
    return " ".join(said) or "zero seconds"


def _parts(match: re.Match[str]) -> str:
    """"1h30m", "5m 30s", "2d 4h", "1h30": time in parts, where an m is a minute."""
    said = []
    for n, letter in re.findall(r"(\d+)\s?([dhms]?)", match.group(0)):
        word = {"d": "day", "h": "hour", "s": "second"}.get(letter, "minute")
        said.append(f"{cardinal(int(n))} {word}{'s' if int(n) != 1 else ''}")
    return " ".join(said)


RULES: list[Rule] = [
    (re.compile(r"(?<![\w.,$])(?:\d+\s?d\s?)?\d+\s?h(?:\s?[0-5]?\d\s?m|[0-5]\d)(?:\s?[0-5]?\d\s?s)?(?![\w/])"), _parts),
    (re.compile(r"(?<![\w.,$])(?:\d+\s?d\s\d+\s?h|\d+\s?m\s?[0-5]?\d\s?s)(?![\w/])"), _parts),
    (re.compile(r"(?<![\d:.])(\d{1,2}):([0-5]\d):([0-5]\d)(?![\d:])"), _lasting),
    (re.compile(rf"(?<![\d:.,$])(?P<a>1[0-2]|0?[1-9])(?::(?P<am>[0-5]\d))?\s?(?:(?P<half0>[AaPp])\.?\s?[Mm]\.?)?\s?(?:-|to)\s?"
                rf"(?P<hour>1[0-2]|0?[1-9])(?:[:.](?P<minute>[0-5]\d))?\s?{_HALF}"), _span),
    (re.compile(r"(?<![\d:.,$])(?P<a>\d{1,2}):(?P<am>[0-5]\d)\s?-\s?(?P<hour>\d{1,2}):(?P<minute>[0-5]\d)(?![\d:])"), _span),
    (re.compile(rf"(?<![\d:.,$])(?P<hour>\d{{1,2}})(?:[:.](?P<minute>[0-5]\d))?\s?{_HALF}"), _time),
    (re.compile(r"(?<![\d:.,])(?P<hour>\d{1,2}):(?P<minute>\d\d)(?![\d:])"), _time),
    (re.compile(r"(?<=[ap] m)\s?-\s?(?=(?:noon|midnight)\b)|\b(?<=noon)-(?=\d)|(?<=midnight)-(?=\d)", re.I), lambda m: " to "),
    (re.compile(r"(?<![\d:])(\d+):(\d+)(?![\d:])"), lambda m: f"{m.group(1)} to {m.group(2)}"),
]

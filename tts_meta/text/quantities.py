"""Everything else made of digits: telephone numbers, versions, fractions, powers, ranges, ordinals, years, plain numbers."""

from __future__ import annotations

import re

from tts_meta.text.rules import Rule
from tts_meta.text.spelling import NUMBER, cardinal, digits, number, ordinal, plural, year

_DENOMINATORS = {2: ("half", "halves"), 4: ("quarter", "quarters")}
_SAID_AS_PAIR = {("24", "7"), ("9", "11"), ("7", "11"), ("50", "50"), ("60", "40"), ("80", "20"), ("70", "30"), ("20", "20")}
_COUNTED = (
    r"(?:people|men|women|children|percent|million|thousand|billion|dozen|feet|other|different|of|"
    r"[a-z]{3,}(?<!ss)(?<!us)(?<!is)s)\b"
)
_NOT_COUNTED = (
    r"(?:was|is|as|has|this|its|plus|times|versus|always|perhaps|yes|us|minus|does|sees|means|says|marks|comes|goes|"
    r"shows|seems|brings|begins|starts|ends)\b"
)


def _fraction(numerator: str, denominator: str) -> str:
    top, bottom = int(numerator), int(denominator)
    one, more = _DENOMINATORS.get(bottom) or (ordinal(bottom), ordinal(bottom) + "s")
    return f"{cardinal(top)} {one if top == 1 else more}"


def _mixed(match: re.Match[str]) -> str:
    whole, top, bottom = match.groups()
    part = _fraction(top, bottom)
    if top == "1":
        part = ("an " if bottom in ("8", "11", "18") else "a ") + part.split(" ", 1)[1]
    return f"{whole} and {part}"


def _slash(match: re.Match[str]) -> str:
    top, bottom = match.groups()
    if (top, bottom) in _SAID_AS_PAIR:
        return f"{cardinal(top)} {cardinal(bottom)}"
    if "0" in (top[0], bottom[0]) and len(bottom) > 1:  # of a card: "08/27"
        return f"{cardinal(int(top))} {cardinal(int(bottom))}"
    if 0 < int(top) < int(bottom) <= 100:
        return _fraction(top, bottom)
    if top == bottom or int(bottom) in (5, 10, 20, 100):
        return f"{cardinal(top)} out of {cardinal(bottom)}"
    return f"{cardinal(top)} over {cardinal(bottom)}" if int(bottom) else f"{cardinal(top)} slash {cardinal(bottom)}"


def _groups(match: re.Match[str]) -> str:
    """Digits in the groups they are written in; a country's code or 800 as it is said."""
    said = []
    for group in re.findall(r"\d+", match.group(0)):
        said.append("eight hundred" if group == "800" else digits(group))
    return ("plus " if match.group(0).lstrip().startswith("+") else "") + ", ".join(said)


def _short_phone(match: re.Match[str]) -> str:
    if match.group(1).endswith("00") and match.group(2).endswith("00"):
        return match.group(0)  # "500-1000 people"
    return _groups(match)


def _version(match: re.Match[str]) -> str:
    parts = match.group("parts").split(".")
    point = " dot " if len(parts) == 4 and all(int(p) < 256
        and len(p) <= 3 for p in parts) and not match.group("v") else " point "
    before = "version " if match.group("v") else ""
    return before + point.join(cardinal(p) for p in parts)


def _named(match: re.Match[str]) -> str:
    """A section or a version has parts, not a fraction: "Section 2.10" is "two point ten"."""
    return match.group(1) + _version_of(match.group(2), match.group(3))


def _version_of(major: str, minor: str) -> str:
    return f"{cardinal(major)} point {cardinal(minor)}"


def _power(match: re.Match[str]) -> str:
    power = match.group(1)
    if power in ("2", "3"):
        return " squared" if power == "2" else " cubed"
    return " to the " + ("minus " if power.startswith("-") else "") + cardinal(power)


def _scientific(match: re.Match[str]) -> str:
    base, power = match.group(1), match.group(2)
    return f"{number(base)} e {'minus ' if power.startswith('-') else ''}{cardinal(power.lstrip('+-'))}"


def _times(match: re.Match[str]) -> str:
    """"5x faster" and "a 2x4"; "10x" by itself is a name."""
    return f"{match.group(1)} times" if re.match(r"\s+(?!(?:and|or|is|was|in|on|at|to|with|plus|minus|equals)\b)[a-z]",
        match.string[match.end():]) else f"{match.group(1)} x"


def _four(match: re.Match[str]) -> str:
    """Four digits are a year unless they count something."""
    after = match.string[match.end():]
    if re.match(rf"\s+(?!{_NOT_COUNTED}){_COUNTED}", after) and not re.search(
        r"\b(?:in|since|by|until|till|from|after|before|during|of|year|circa|early|late|mid|copyright|spring|summer|autumn|fall|winter)\s+$",
        match.string[: match.start()], re.I,
    ):
        return f" {cardinal(match.group(0))} "
    return f" {year(match.group(0))} "


def _tens(digit: str) -> str:
    return plural(cardinal(int(digit) * 10)) if digit != "0" else "zeros"


def _plain(match: re.Match[str]) -> str:
    return f" {number(match.group(0))} "


_PHONE = r"(?<![\w.,/-])"
_ALONE = _PHONE + r"(?<!\d )"
GROUPED: list[Rule] = [
    (re.compile(_ALONE + r"(?<!\+)(?!0)(\d{1,3}(?: \d{3})+)(?![\d-]| \d|\.\d{3})"), lambda m: m.group(1).replace(" ", "")),
    (re.compile(r"(?<![\w.,'])(\d{1,3}(?:'\d{3})+)(?![\w'])"), lambda m: m.group(1).replace("'", "")),
]
"""Thousands apart by spaces, and by the apostrophe of Switzerland; before everything that looks for a number."""
RULES: list[Rule] = [
    (re.compile(r"(?<=\b[A-Z])\.(?=\d)|(?<=[A-Z]{2})\.(?=\d)"), lambda m: " point "),  # "H.264", "Section II.3"
    (re.compile(r"(?<=[a-z]{3})\.(?=\d+[.\w])"), lambda m: " dot "),  # "blocks.0.weight"
    (re.compile(r"(?<=[a-z]{3})\.(?=\d)"), lambda m: ". "),
    (re.compile(r"(?<![\w.,])(\d+)(?=(?:ish|fold|some)\b)"), lambda m: cardinal(m.group(1))),
    (re.compile(_PHONE + r"(?:\+\d{1,3}|1)?[\s.-]?\(\d{2,4}\)[\s.-]?\d{3,4}[\s.-]?\d{3,4}(?![\d-])"), _groups),
    (re.compile(_PHONE + r"\+\d{1,3}(?:[\s.-]\d{1,4}){2,5}(?![\d-])"), _groups),
    (re.compile(r"(?<![\w.,/])\+\d{7,15}\b"), lambda m: "plus " + digits(m.group(0))),
    (re.compile(_PHONE + r"(?:1[-.])?\d{3}([-.])\d{3,4}\1\d{4}(?![\d-])"), _groups),
    (re.compile(_PHONE + r"\d{3}-\d{2}-\d{4}(?![\d-])"), _groups),
    (re.compile(_ALONE + r"\d{3}\s\d{3}\s\d{4}(?![\d-]|\s\d)|" + _ALONE + r"0\d{2,4}(?:\s\d{2,4}){1,4}(?![\d-])"), _groups),
    (re.compile(_PHONE + r"(\d{3})-(\d{4})(?![\d-])"), _short_phone),
    (re.compile(_PHONE + r"\d{4}(?:[\s-]\d{4}){2,4}(?![\d-])"), _groups),
    (re.compile(_PHONE + r"\d+(?:-\d+){2,}(?![\d-])"), _groups),
    (re.compile(r"(?<![\w.,])(?P<v>[vV]\.?\s?)?(?P<parts>\d+(?:\.\d+){2,})(?![\w])"), _version),
    (re.compile(r"\b([vV]ersions?\s|[rR]elease\s|Python\s|Java\s|PHP\s|iOS\s|macOS\s|Android\s|Windows\s|Ubuntu\s|Debian\s|"
                r"Firefox\s|Chrome\s|GPT[- ]|HTTP/|USB\s|"
                r"[cC]hapters?\s|[sS]ections?\s|[fF]igures?\s|[tT]ables?\s|[aA]ppendix\s|[eE]xercise\s|[tT]heorem\s|"
                r"[eE]quation\s)(\d+)\.(\d+)(?![\d.])"), _named),
    (re.compile(r"\b[vV]\.?(\d+)\.(\d+)\b"), lambda m: "version " + _version_of(m.group(1), m.group(2))),
    (re.compile(r"(?<![\w.,])(\d+(?:\.\d+)?)[eE]([+-]?\d+)\b"), _scientific),
    (re.compile(r"(?<=[\w)])\^(-?\d+)"), _power),
    (re.compile(r"(?<![\w/.,])(\d+)[ -](\d+)/(\d+)(?![\w/])"), _mixed),
    (re.compile(r"(?<![\w/.,])(\d+)/(\d+)(?![\d/])"), _slash),
    (re.compile(r"(?<![\w/.,])(\d+\.\d+)/(\d+)(?![\d/.])"), lambda m: f"{number(m.group(1))} out of {cardinal(m.group(2))}"),
    (re.compile(rf"(?<![\w.])(?!0x)({NUMBER})\s?[x×]\s?(?=\d)"),
     lambda m: f"{m.group(1)} {'by' if 'x' in m.group(0) and ' ' not in m.group(0) else 'times'} "),
    (re.compile(rf"({NUMBER})[x×](?!\w)"), _times),
    (re.compile(r"(?<=\d)\s?\*\s?(?=\d)"), lambda m: " times "),
    (re.compile(rf"(?<![\w.,-])({NUMBER})((?:\s?(?:percent|degrees?(?: \w+)?|"
                rf"[a-z]{{2,}}s))?)\s?-\s?(?=(?:{NUMBER}))(?![\d,.]*-)"), lambda m: f"{m.group(1)}{m.group(2)} to "),
    (re.compile(r"(?<![\w.)])-\s?(?=\d|\.\d)"), lambda m: "minus "),
    (re.compile(r"\b(\d[\d,]*)\s?(?:st|nd|rd|th)\b", re.I), lambda m: ordinal(m.group(1))),
    (re.compile(r"\b(1[1-9]\d\d|20\d\d)s\b"), lambda m: year(m.group(1)) + "s"),
    (re.compile(r"(?<![\w.,])(\d{1,4}),(\d{2})(?![\d,])(?!\.\d)"),
     lambda m: f"{cardinal(m.group(1))} point {digits(m.group(2))}"),
    (re.compile(r"(?<=\d),(?=\d{4}|\d{1,2}(?!\d))"), lambda m: ", "),
    (re.compile(r"(?<![\w.,])(\d+\.\d+M|\d+M(?=\s+[a-z]))(?!\w)"), lambda m: f"{number(m.group(1)[:-1])} million"),
    (re.compile(r"(?<![\w.,])(\d+(?:\.\d+)?)(?:bn|B(?=\s+(?:people|users|views|years|dollars)\b)|(?<=\.\d)B)(?!\w)"),
     lambda m: f"{number(m.group(1))} billion"),
    (re.compile(rf"(?<![\w.,])(\d+(?:\.\d+)?)(?:k(?=\s+{_COUNTED})|K(?=\s+(?:people|followers|users|views|likes|steps|"
                rf"subscribers|employees|words|jobs)\b)|(?<=\.\d)[kK])(?!\w)"),
     lambda m: f"{number(m.group(1))} thousand"),
    (re.compile(r"(?<![\w.,])(\d+\.\d+)(?=[A-Za-z])"), lambda m: f"{number(m.group(1))} "),
    (re.compile(r"(?<![\w.,])(\d)0s\b"), lambda m: _tens(m.group(1))),
    (re.compile(r"(?<![\w.,])(?:1\d{3}|20\d\d)(?![\w]|[.,]\d)"), _four),
]
AFTER_LETTERS: list[Rule] = [(re.compile(NUMBER), _plain)]
"""Digits that are left once names with digits in them were taken apart."""

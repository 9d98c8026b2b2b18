"""Capitals and mixed names: which are words ("BIG", "NASA"), which are spelled ("FBI"), and where a name is taken apart
("iPhone", "GPT-4", "H2O", "key_name")."""

from __future__ import annotations

import re

from tts_meta.text.rules import Rule, apply
from tts_meta.text.spelling import cardinal, digits, number, year
from tts_meta.text.words import is_word, sayable

_SPELLED = {
    "US", "ID", "AD", "PM", "AM", "TV", "PR", "HR", "AC", "DC", "CD", "PC", "PE", "ER", "OR", "PS", "PA", "LA", "MA", "MS",
    "MD", "ED", "EM", "RE", "AI", "ATM", "SAT", "CO", "BA", "BC", "EU", "UN", "ETA", "AKA", "MIT", "MO", "OS", "IP", "IQ",
    "IT", "GI", "CAD", "ISO", "RIP", "HIV", "ET", "PI", "TA", "CIS", "TAT", "LED", "MI", "SO", "DA", "AS", "LCD", "OK", "BO",
    "AA", "EST", "PST", "SEC", "POW", "DOE", "FIFO", "SOS", "EEG", "UPS", "APR", "APT", "ADD", "ADHD", "AMP", "CAT", "PAR",
    "BAT", "SAP", "SIS", "RAF",
}
"""Spelled although they are words in small letters; in a text all of capitals they are words after all."""
_ONLY_AS_NAMES = {"OR", "AM", "AS", "SO", "RE", "ADD", "CAT", "BAT", "PAR", "SAT", "LED", "SEC", "MO", "ED", "MA", "PA", "APT",
                  "AMP", "UPS", "SAP", "POW", "RIP", "DA", "TA", "CO", "DOE", "SIS", "TAT",
                  "EM", "MI", "CIS", "CAD", "IT", "MIT", "EST", "OK", "PI", "ET", "APR", "ER", "LA", "AKA", "AD", "BO", "GI"}
"""Of those, the ones that stress a word more often than they name a thing; spelled only where a name stands."""
_SAID = {
    "NASA", "NATO", "COVID", "UNESCO", "UNICEF", "OPEC", "IKEA", "AIDS", "SARS", "FIFA", "UEFA", "NAFTA", "ASCII", "JPEG",
    "GIF", "RAM", "ROM", "SIM", "PIN", "LASER", "RADAR", "SCUBA", "SWAT", "NASDAQ", "LIDAR", "SONAR", "YOLO", "CAPTCHA",
    "BASIC", "COBOL", "FEMA", "OSHA", "ICANN", "DARPA", "TOEFL", "GATT", "ASEAN", "BREXIT", "NOAA", "WIFI", "LEGO", "VISA",
    "ASAP", "JSON", "YAML", "LAN", "WAN", "ZIP", "MERS", "INTERPOL", "EBITDA", "BAFTA", "NIMBY", "POTUS", "SCOTUS", "FLOTUS",
    "HIPAA", "PETA", "NORAD", "MENSA", "UNO", "NAND", "BIOS", "DOS", "MAC", "CRISPR", "SaaS", "MIDI",
}
_SPELLED_ALWAYS = {"LOL", "IEEE"}
_NUMERALS = {"II": 2, "III": 3, "VII": 7, "VIII": 8, "XII": 12, "XIII": 13, "XIV": 14, "XVI": 16, "XVII": 17, "XVIII": 18}
_VOWEL = re.compile(r"[AEIOUY]")
_SAYABLE = re.compile(r"(?:[BCDFGHJKLMNPQRSTVWXZ]{0,2}[AEIOU]{1,2}){2,}[BCDFGHJKLMNPQRSTVWXYZ]{0,2}")
_NAME_AFTER = re.compile(r"\s+(?:department|dept|team|support|manager|staff|sector|industry|job|guy|director|company|companies|"
                         r"service|services|systems?|skills|lights?|bulbs?|scan|scans|score|scores|test|tests|"
                         r"campaign|campaigns|emissions?|levels?|bill|students?|professor|area|virus|card|number|code)\b")


def spell(letters: str) -> str:
    """"FBI" -> "F B I"."""
    return " ".join(letters)


def _shouted(text: str) -> bool:
    """Whether the text is written in capitals throughout, so that capitals say nothing about a word."""
    words = re.findall(r"[A-Za-z]{2,}", text)
    upper = [w for w in words if w.isupper()]
    return len(upper) >= 2 and len(upper) > 0.7 * len(words) and sum(is_word(w.lower()) for w in upper) >= 0.6 * len(upper)


def _is_said(word: str, match: re.Match[str]) -> bool:
    """Whether a word in capitals is said as a word."""
    low = word.lower()
    if word in _SPELLED_ALWAYS:
        return _shouted(match.string) and is_word(low)
    if word in _SAID:
        return True
    if word in _SPELLED:
        if _shouted(match.string):
            return is_word(low)
        if word in _ONLY_AS_NAMES:
            named = _NAME_AFTER.match(match.string[match.end():]) or re.search(r"\b(?:an|in|our|their)\s+$",
                match.string[: match.start()]) and word in ("IT", "AD")
            return not named and is_word(low) and not (word == "AD"
                and re.search(r"\d\s*$|(?:een|ty|red|sand|one|two|three|four|five|six|seven|eight|nine)\s*$",
                              match.string[: match.start()]))
        return False
    if is_word(low):
        return True
    return len(word) >= 5 and bool(_SAYABLE.fullmatch(word)) or len(word) >= 7 and bool(_VOWEL.search(word))


def _capitals(match: re.Match[str]) -> str:
    word, ending = match.group(1), match.group(2) or ""
    if word in _NUMERALS:
        return cardinal(_NUMERALS[word])
    if _is_said(word, match):
        # In small letters, because espeak-ng spells some words in capitals ("BIG"); names it knows stay as they are.
        return match.group(0) if word in _SAID or not is_word(word.lower()) else word.lower() + ending
    return spell(word) + (ending if ending.startswith("'") or not ending else "'s")


def _mixed(match: re.Match[str]) -> str:
    """A name with digits in it: its letters, then its number."""
    token = match.group(0)
    if re.fullmatch(r"0[xX][0-9A-Fa-f]+", token):
        return " ".join(cardinal(c) if c.isdigit() else c if c == "x" else c.upper() for c in token.replace("X", "x"))
    said = []
    for run in re.findall(r"\d+(?:\.\d+)?|[A-Za-z]+", token):
        if "." in run:
            said.append(number(run))
        elif run.isdigit():
            said.append(digits(run) if run[0] == "0" and len(run) > 1 or len(run) > 4 else year(run) if len(run) == 4
                        and run[2:] != "00" else cardinal(run))
        elif run.isupper() and len(run) > 1 and (run not in _SAID and (len(run) <= 4 or not is_word(run.lower()))):
            said.append(spell(run))
        elif run.islower() and 1 < len(run) <= 4 and not (is_word(run) or sayable(run)) or run in ("mp",):
            said.append(spell(run.upper()))
        else:
            said.append(run)
    return " " + " ".join(said) + " "


_SPLIT: list[Rule] = [
    (re.compile(r"(?<=\w)_+(?=\w)|\B_+|_+\B"), lambda m: " "),
    (re.compile(r"\b([a-z]+)((?:[A-Z][a-z0-9]*)+)\b"), lambda m: re.sub(r"(?=[A-Z])", " ", m.group(0))
     if not m.group(2).isupper() else m.group(1) + " " + m.group(2)),
    (re.compile(r"(?<=[A-Za-z])-(?=\d)|(?<=\d)-(?=[A-Za-z])"), lambda m: " "),
    (re.compile(r"\b[A-Za-z]+\d+\.\d+\b(?!\.\d)"), _mixed),
    (re.compile(r"\b(?=[A-Za-z]*\d)(?=\d*[A-Za-z])[A-Za-z0-9]+\b"), _mixed),
    (re.compile(r"\b([A-Z])&([A-Z])\b"), lambda m: f"{m.group(1)} and {m.group(2)}"),
    (re.compile(r"\b([A-Z]{2,})&([A-Z]+)\b"), lambda m: f"{spell(m.group(1))} and {spell(m.group(2))}"),
]
_SPELL: list[Rule] = [
    (re.compile(r"(?<![\w'])([A-Z]{2,})('s|s)?(?![\w])"), _capitals),
    (re.compile(r"(?<=[A-Za-z])-(?=[A-Za-z])"), lambda m: " "),
]


def take_apart(text: str) -> str:
    """Names made of letters and digits, in small and capital letters, as separate words."""
    return apply(_SPLIT, text)


def spell_capitals(text: str) -> str:
    """Words in capitals: spelled where they are letters, in small letters where they are words."""
    return apply(_SPELL, text)

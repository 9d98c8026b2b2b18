"""Shortened words with a stop: titles, streets, firms, Latin, references; initials and dotted letters."""

from __future__ import annotations

import re

from tts_meta.text.rules import Rule

_TITLES = {
    "Mr": "mister", "Mrs": "missus", "Ms": "miz", "Dr": "doctor", "Prof": "professor", "Gov": "governor", "Sen": "senator",
    "Rep": "representative", "Gen": "general", "Col": "colonel", "Capt": "captain", "Lt": "lieutenant", "Sgt": "sergeant",
    "Cpl": "corporal", "Maj": "major", "Cmdr": "commander", "Adm": "admiral", "Rev": "reverend", "Hon": "honorable",
    "Pres": "president", "Supt": "superintendent", "Fr": "father", "Br": "brother", "Msgr": "monsignor", "Mt": "mount",
    "Ft": "fort", "Pvt": "private", "Atty": "attorney", "Amb": "ambassador", "Messrs": "messieurs", "Pt": "point",
    "Insp": "inspector", "Det": "detective",
}
_ANYWHERE = {
    "jr": "junior", "sr": "senior", "esq": "esquire", "vs": "versus", "etc": "et cetera", "approx": "approximately",
    "dept": "department", "govt": "government", "misc": "miscellaneous", "est": "established", "inc": "incorporated",
    "ltd": "limited", "corp": "corporation", "co": "company", "bros": "brothers", "assn": "association", "univ": "university",
    "ave": "avenue", "blvd": "boulevard", "rd": "road", "ln": "lane", "hwy": "highway", "pkwy": "parkway", "apt": "apartment",
    "ste": "suite", "sq": "square", "bldg": "building", "fl": "floor", "ext": "extension", "max": "maximum", "min": "minimum",
    "avg": "average", "tel": "telephone", "temp": "temperature", "intl": "international", "natl": "national",
    "mfg": "manufacturing", "acct": "account", "appt": "appointment", "cont": "continued", "vol": "volume", "vols": "volumes",
    "ed": "edition", "eds": "editors", "al": "al", "ca": "circa", "viz": "namely", "cf": "compare", "ibid": "ibidem",
    "incl": "including", "excl": "excluding", "orig": "originally", "wt": "weight", "ht": "height", "qty": "quantity",
    "ref": "reference", "asst": "assistant", "mgr": "manager", "dir": "director", "dist": "district", "twp": "township",
    "mtn": "mountain", "mts": "mountains", "tbd": "T B D", "pl": "place", "ct": "court", "ctr": "center", "jct": "junction",
}
_NEEDS_CAPITAL = {"co", "inc", "ltd", "corp", "rd", "ave", "blvd", "ln", "sq", "ste", "fl", "pl", "ct", "dir", "ed", "est",
                  "temp", "min", "max", "al", "ref", "dist", "apt", "bros", "ca", "wt", "ht"}
_WORDS_TOO = {"min", "max", "fl", "al", "temp", "est", "ed", "pl", "ct", "dir", "ref", "dist", "cont"}
_STATES = {"AL", "CA", "CO", "CT", "FL"}
"""Of America, in two capitals at the end of a sentence; no "circa"."""
_REFERENCES = {
    "No": "number", "no": "number", "Nos": "numbers", "nos": "numbers", "Fig": "figure", "fig": "figure", "Figs": "figures",
    "figs": "figures", "Vol": "volume", "vol": "volume", "Ch": "chapter", "ch": "chapter", "Chap": "chapter", "p": "page",
    "P": "page", "pp": "pages", "Sec": "section", "sec": "section", "Eq": "equation", "eq": "equation", "Art": "article",
    "art": "article", "Ex": "example", "Tab": "table", "Pt": "part", "pt": "part", "Ver": "version", "ver": "version",
    "Rm": "room", "rm": "room", "v": "verse", "vv": "verses", "ll": "lines", "Op": "opus", "op": "opus",
    "Bk": "book", "Ep": "episode", "ep": "episode", "Est": "established", "est": "established",
    "ca": "circa", "c": "circa", "App": "appendix", "Ste": "suite", "Apt": "apartment", "Fl": "floor", "min": "minimum",
    "max": "maximum", "Rt": "route", "Rte": "route", "Ext": "extension", "ext": "extension",
}
_LATIN = {"e.g": "for example", "i.e": "that is", "a.k.a": "A K A", "w.r.t": "W R T", "a.m": "a m", "p.m": "p m",
          "q.v": "which see", "n.b": "note well", "p.s": "P S", "r.i.p": "R I P"}
_DEGREES = {"Ph.D": "P H D", "Ph.Ds": "P H D's", "Ph.D.s": "P H D's", "PhD": "P H D", "PhDs": "P H D's",
            "M.Sc": "M S C", "B.Sc": "B S C", "M.Ed": "M E D", "B.Ed": "B E D",
            "Ed.D": "E D D", "LL.B": "L L B", "LL.M": "L L M", "Pharm.D": "Pharm D",
            "M.Phil": "M Phil", "D.Phil": "D Phil", "Psy.D": "Psy D", "B.Eng": "B Eng", "M.Eng": "M Eng"}
_SHORT = {"w/o": "without", "w/": "with ", "b/c": "because", "b/w": "between", "c/o": "care of", "n/a": "N A", "N/A": "N A",
          "&c": "et cetera"}
_STREETLESS = {"The", "In", "At", "From", "To", "Near", "Of", "And", "Visit", "Visiting", "Like", "By", "For", "On", "See",
               "Saint", "Old", "Our", "When", "Until", "Dear"}


def _ends(match: re.Match[str]) -> str:
    """The stop of the sentence, where the stop of the abbreviation was it too."""
    return "." if match.group(0).endswith(".") and not match.string[match.end():].strip(" \"')]") else ""


def _dotted(match: re.Match[str]) -> str:
    letters = match.group(1)
    key = letters.rstrip(".").lower()
    if key in _LATIN:
        return _LATIN[key] + _ends(match)
    many = "'s" if match.group(2) else ""
    return " ".join(letters.replace(".", " ").split()) + many + _ends(match)


def _street(match: re.Match[str]) -> str:
    """Saint before a name, street after one."""
    before, after = match.group("before") or "", match.string[match.end():]
    named = bool(before) and (before.strip() not in _STREETLESS) and (before[0].isupper() or before[0].isdigit())
    numbered = bool(re.search(r"\d\s+(?:[A-Z]\.?\s+)?\w*\s*$", match.string[: match.start()] + before))
    holy = bool(re.match(r"\.?\s+[A-Z]", after if not match.group(0).endswith(".") else "." + after))
    if named and (not holy or numbered or before[0].isdigit()):
        return f"{before}street{_ends(match)}"
    return f"{before}Saint" if holy else f"{before}street{_ends(match)}"


def _drive(match: re.Match[str]) -> str:
    return f"{match.group(1)} drive{_ends(match)}"


def _title(match: re.Match[str]) -> str:
    return _TITLES[match.group(1)] + _ends(match)


def _shortened(match: re.Match[str]) -> str:
    word = match.group(1)
    low = word.lower()
    if low in _NEEDS_CAPITAL and not word[0].isupper() or word in _STATES:
        return match.group(0)
    if low in _WORDS_TOO and not match.string[match.end():].strip():
        return match.group(0)  # "Call me Ed."
    said = _ANYWHERE[low]
    return said + _ends(match)


def _reference(match: re.Match[str]) -> str:
    return _REFERENCES[match.group(1)] + " "


def _any_of(words: object) -> str:
    return "|".join(sorted(map(re.escape, words), key=len, reverse=True))  # type: ignore[call-overload]


RULES: list[Rule] = [
    (re.compile(r"(?<![\w/])(" + _any_of(_SHORT) + r")(?=\s|[,.;)]|$|(?<=w/)[a-z])"), lambda m: _SHORT[m.group(1)]),
    (re.compile(r"\b(" + _any_of(_DEGREES) + r")\b\.?"), lambda m: _DEGREES[m.group(1)] + _ends(m)),
    (re.compile(r"(?<![\w.])((?:[A-Za-z]\.){2,}(?:[A-Za-z](?<!s)(?![\w.]))?)('?s\b)?"), _dotted),
    (re.compile(r"\b([A-Z])\.(?=\s?[A-Z](?:[a-z]|\.))"), lambda m: m.group(1) + " "),
    (re.compile(r"(?P<before>\b[\w']+,?\s+)?\bSt\b\.?(?!\w)(?=\s|[,;:)]|$)"), _street),
    (re.compile(r"\b([A-Z][a-z]+)\s+Dr\.(?!\s+[A-Z])"), _drive),
    (re.compile(r"\b(" + _any_of(_TITLES) + r")\.(?=\s|,|$)"), _title),
    (re.compile(r"\b(Mr|Mrs|Ms|Dr|Prof|Mt|Lt|Col|Capt|Sgt)(?=\s+[A-Z])"), lambda m: _TITLES[m.group(1)]),
    (re.compile(r"(?<![\w.])(" + _any_of(_REFERENCES) + r")\.\s?(?=#?\d|[IVXL]{2,}\b)"), _reference),
    (re.compile(r"(?<=\d(?:st|nd|rd|th)\s)ed\."), lambda m: "edition" + _ends(m)),
    (re.compile(r"\b(" + _any_of(_ANYWHERE) + r")\.(?=\s|,|;|:|\)|\?|!|$)", re.I), _shortened),
    (re.compile(r"\bno\.(?=\s(?:is|was)\b)"), lambda m: "number"),
    (re.compile(r"\bvs\b(?!\.)", re.I), lambda m: "versus"),
    (re.compile(r"(?<=[A-Za-z]\s)v\.(?=\s[A-Z])"), lambda m: "versus"),
    (re.compile(r"(?<![\w.])([A-Z])\.(?=\s[a-z])"), lambda m: m.group(1)),  # "E. coli"
]

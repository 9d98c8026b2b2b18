"""Web and mail addresses, file names, handles and hashtags, said as a person reads them out: "example dot com"."""

from __future__ import annotations

import re

from tts_meta.text.rules import Rule
from tts_meta.text.spelling import cardinal
from tts_meta.text.words import is_word, sayable

_TOP = (
    "com|org|net|edu|gov|mil|int|info|biz|io|ai|app|dev|co|me|tv|us|uk|de|fr|eu|ca|au|nz|jp|cn|in|ch|nl|se|no|es|"
    "it|be|at|ie|xyz|online|site|tech|blog|shop"
)
_FILES = (
    "yaml|yml|txt|pdf|docx?|xlsx?|pptx?|csv|tsv|json|jsonl|xml|html?|css|js|ts|jsx|tsx|py|ipynb|java|cpp|hpp|rs|go|rb|php|sh|bat|exe|dll|"
    "zip|tar|gz|rar|mp3|mp4|wav|flac|ogg|opus|m4a|avi|mkv|mov|png|jpe?g|gif|svg|bmp|tiff?|md|rst|log|ini|cfg|conf|toml|sql|db|bak|epub"
)
_LONGEST = 200
"""Characters of an address that are said; the rest of a tracking link helps nobody."""
_SPOKEN = {".": " dot ", "/": " slash ", "-": " dash ", "_": " underscore ", "@": " at ", ":": " colon ", "?": " question mark ",
           "=": " equals ", "&": " and ", "#": " hash ", "%": " percent ", "+": " plus ", "~": " tilde ", "\\": " backslash ",
           "*": " star "}
_AS_WORDS = {"com", "co", "org", "net", "gov", "info", "biz", "mil", "yaml", "jpeg", "json", "doc", "zip", "tar", "exe", "toml",
             "wav", "gif", "etc"}


def _piece(match: re.Match[str]) -> str:
    piece = match.group(0)
    if piece.isdigit():
        return f" {cardinal(piece)} "
    low = piece.lower()
    if len(piece) <= 4 and low not in _AS_WORDS and not is_word(low) or low in ("us", "it", "tv", "md", "go", "rs"):  # noqa: SIM102
        if not sayable(low):
            return " " + " ".join(piece.upper()) + " "
    return piece


def spoken_address(text: str) -> str:
    """"john.smith@example.com" -> "john dot smith at example dot com"."""
    text = text[:_LONGEST]
    text = re.sub(r"\d+|[A-Za-z]+", _piece, text)
    return " ".join("".join(_SPOKEN.get(c, c) for c in text).split())


def _link(match: re.Match[str]) -> str:
    whole = match.group("rest")
    tail = re.search(r"[.,;:!?)'\"]+$", whole)
    end = tail.group(0) if tail else ""
    return spoken_address(whole[: len(whole) - len(end)].rstrip("/")) + end


def _address(match: re.Match[str]) -> str:
    return spoken_address(match.group(0))


RULES: list[Rule] = [
    (re.compile(r"\b(?:(?:https?|ftp)://(?:www\.)?|www\.)(?P<rest>\S+)", re.I), _link),
    (re.compile(r"\b(?:mailto:)?([\w.+-]+@[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)+)\b"), lambda m: spoken_address(m.group(1))),
    (re.compile(rf"\b(?:[A-Za-z0-9-]+\.)+(?:{_TOP})\b(?:/[^\s,;!?)]*[\w/])?(?!\.?[A-Za-z0-9])", re.I), _address),
    (re.compile(rf"(?<![\w.])~?(?:[\w.-]*/)*[\w-]+(?:\.[\w-]+)*\.(?:{_FILES})\b(?!\.?\w)", re.I), _address),
    (re.compile(r"(?<![\w./~])(?:~(?=/)|(?=/[A-Za-z]))(?:/[\w.-]*\w){2,}/?|(?<![\w./])~/[\w.-]*\w"), _address),
    (re.compile(r"\b[A-Za-z]:\\(?:[\w. -]*?[\w-]\\)*[\w.-]*\w"), lambda m: spoken_address(m.group(0))),
    (re.compile(r"(?<!\S)\.(?=[a-z]\w|[A-Z]{2,}\b)"), lambda m: " dot "),
    (re.compile(r"(?<![\w@])@([A-Za-z_]\w*)"), lambda m: "at " + m.group(1).replace("_", " underscore ")),
    (re.compile(r"\b([CFJcfj])#(?!\w)"), lambda m: m.group(1) + " sharp"),
    (re.compile(r"(?<![\w#&])#\s?(?=\d)"), lambda m: "number "),
    (re.compile(r"(?<![\w#&])#([^\W\d]\w*)"), lambda m: "hashtag " + re.sub(r"(?<=[a-z])(?=[A-Z])", " ", m.group(1))),
]

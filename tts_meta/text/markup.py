"""Text as pages, notes and chats hold it -> plain paragraphs: tags, entities, markdown, list lines, wiki brackets.

Only marks are taken away, never words: what a tag or a link stands around stays.
"""

from __future__ import annotations

import html
import re

from tts_meta.text.words import is_word

_SILENT = re.compile(r"<!--.*?-->|<(script|style)\b[^>]*>.*?</\1\s*>", re.S | re.I)
_AUTOLINK = re.compile(r"<((?:https?://|mailto:)?[^\s<>@]+(?:@[^\s<>]+|\.[a-z]{2,}[^\s<>]*))>")
_BLOCK = re.compile(r"</?(?:p|div|h[1-6]|li|ul|ol|tr|table|blockquote|section|article|br)\b[^<>]*>", re.I)
_TAG = re.compile(r"</?[A-Za-z][\w:-]*(?:\s[^<>]*)?/?>")
_ENTITY = re.compile(r"&(?:#\d{1,7}|#[xX][0-9a-fA-F]{1,6}|[A-Za-z][A-Za-z0-9]{1,30});")
_LINK = re.compile(r"!?\[([^\[\]]*)\]\((?:[^()\s]|\([^()\s]*\))*(?:\s+\"[^\"]*\")?\)")
_STRONG = re.compile(r"(\*\*|__|~~)(?=\S)(.+?)(?<=\S)\1")
_UNDERLINED = re.compile(r"(?<!\w)_(?=\S)([^_\n]+?)(?<=\S)_(?!\w)")
_CODE = re.compile(r"`+([^`\n]+?)`+")
_FENCE = re.compile(r"\s*(?:```|~~~).*|\s*(?:[-*_]\s*){3,}|\s*\|?(?:\s*:?-{3,}:?\s*\|)+\s*:?-*:?\s*")
_ITEM = re.compile(r"^\s*(?:(?:[-*+•‣▪●◦–]|\[[ xX]\])\s+)+(?=\S)")
_NUMBERED = re.compile(r"\s*(\d{1,3})[.)]\s+(?=\S)")
_HEADING = re.compile(r"\s*(#{1,6})\s+(.*?)\s*#*\s*")
_QUOTE = re.compile(r"^\s*(?:>\s*)+(?<!>)(?=\S)|^\s*>+(?=[^\s\d$£€.>=-])")  # ">90%" is a number
_ENDED = re.compile(r"[.,;:!?…。！？]['\"”’)\]]*\s*$")
LINE = "\u2028"
"""Unicode's line separator: before a line that is a sentence of its own, whatever it begins with."""
SHORT_LINE = 60
"""A line of fewer characters before a line that begins anew was ended on purpose, not wrapped."""


def _tags(text: str) -> str:
    text = _SILENT.sub(" ", text)
    text = _AUTOLINK.sub(r"\1", text)
    text = _TAG.sub("", _BLOCK.sub("\n", text)) if "<" in text else text
    return _ENTITY.sub(lambda m: html.unescape(m.group(0)), text) if "&" in text else text


def _stop(line: str, mark: str) -> str:
    line = line.rstrip()
    return line if not line or _ENDED.search(line) else line + mark


def _line(line: str) -> tuple[str, bool]:
    """A line without its markdown, and whether it stands by itself (an item, a heading, a row)."""
    if _FENCE.fullmatch(line):
        return "", False
    line = _QUOTE.sub("", line)
    if found := _HEADING.fullmatch(line):
        return found.group(2), True
    if line.strip().startswith("|") and line.count("|") > 2:
        return ", ".join(c.strip() for c in line.strip().strip("|").split("|")), True
    bare = _ITEM.sub("", line, count=1)
    if bare != line:
        return bare, True
    if found := _NUMBERED.match(line):
        return f"{found.group(1)}, {line[found.end():]}", True
    return line, False


def plain(text: str) -> str:
    """`text` without markup. Paragraphs stay apart by empty lines, a line of a list ends in a stop.

    Emphasis by single stars (`*so*`) and spans of phones (`[[...]]`) are left for what comes after.
    """
    text = _tags(text.replace("\r\n", "\n").replace("\r", "\n"))
    text = _LINK.sub(r"\1", text)
    for _ in range(2):  # bold in italics
        text = _STRONG.sub(r"\2", text)
    text = _CODE.sub(r"\1", _UNDERLINED.sub(r"\1", text))
    lines = text.split("\n")
    out: list[str] = []
    ended = False
    for number, raw in enumerate(lines):
        line, alone = _line(raw)
        following = lines[number + 1].lstrip() if number + 1 < len(lines) else ""
        if alone:
            line = _stop(line, ".")
        elif line.strip() and following and len(line) < SHORT_LINE and (following[0].isupper() or following[0].isdigit()):
            line = _stop(line, ",")
        if out and alone and not _ENDED.search(out[-1]):
            out[-1] = _stop(out[-1], ":")
        out.append(LINE + line if out and (alone or ended) else line)
        ended = alone
    return "\n".join(out)


SPAN = re.compile(r"\[\[(.*?)\]\]", re.S)
_ASCII_PHONES = frozenset("abdefghijklmnopstuvwz ")


def holds_phones(span: str) -> bool:
    """Whether what stands between `[[` and `]]` is meant as phones: a wiki link is words, some with capitals."""
    if not span.strip():
        return False
    if not span.isascii():
        return True
    if not re.fullmatch(r"[A-Za-z][\w .,:|'#()/-]*", span):
        return True
    if any(c.isupper() for c in span):
        return False
    return set(span) <= _ASCII_PHONES or not all(is_word(w) for w in re.findall(r"[a-z']+", span))


def unlink(text: str) -> tuple[str, list[str]]:
    """(`text` with wiki brackets that hold no phones read as their words, those that were)."""
    links: list[str] = []

    def say(match: re.Match[str]) -> str:
        if holds_phones(match.group(1)):
            return match.group(0)
        links.append(match.group(0))
        return match.group(1).split("|")[-1].replace("#", " ")

    return SPAN.sub(say, text), links

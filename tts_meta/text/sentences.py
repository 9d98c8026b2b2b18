"""Split running text into sentences: sentencex's rules, and ours for what it cuts in two.

No cut falls inside a number, a time, a version, an address, an abbreviation, initials or `[[...]]`.
"""

from __future__ import annotations

import re

import sentencex

from tts_meta.text.markup import LINE, plain

LONGEST = 220
"""Characters a sentence may have before it is cut at a comma or a space: the acoustic model saw at most ~14 s."""
_SAID = frozenset("∞√∑∫§&%@€£¥")
"""Signs that are words by themselves."""
DIGIT = 5
"""Characters that a digit is said with, beyond itself."""
_NEVER = re.compile(
    r"(?:\b(?:Mr|Mrs|Ms|Dr|Prof|Gov|Sen|Rep|Gen|Col|Capt|Lt|Sgt|Cpl|Maj|Adm|Rev|Hon|Pres|Mt|Ft|Messrs|vs|e\.g|i\.e|cf|approx|[A-Z])\.|\bSt\.)$"
)
_BEFORE_NUMBER = re.compile(r"\b(?:No|Nos|Fig|Figs|Vol|Ch|Chap|p|pp|Sec|Eq|Art|Ex|Pt|Apt|Rm|Ext|Ver|no|nos|fig|figs|vol|ch|sec|"
                            r"eq|art|ver|rm|ext|ca|c|Est|est|Ep|ep|Bk|App|Rte|Rs|Op|op|v|vv)\.$")
_DOTTED = re.compile(  # may end a sentence too
    r"(?:\b(?:[A-Za-z]\.){2,}|\b(?:Inc|Ltd|Corp|Co|Jr|Sr|Ph\.D|etc|St|Ave|Blvd|Rd|Jan|Feb|Mar|Apr|Jun|Jul|Aug|"
    r"Sept?|Oct|Nov|Dec|Mon|Tues?|Wed|Thurs?|Fri|Sat|Sun|U\.S|ft|in|lbs?|oz)\.)$"
)
_NO = re.compile(r"(?<=\bNo\.)\s+(?=[A-Z])")  # an answer, where no number follows
_OPENERS = frozenset([
    "He", "She", "It", "They", "We", "I", "You", "The", "This", "That", "These", "Those", "There", "Here", "But",
    "And", "Or", "If",
    "When", "While", "In", "At", "On", "Then", "What", "Why", "How", "Where", "Who", "My", "His", "Her", "Our",
    "Their", "Your", "A",
    "An", "No", "Yes", "So", "After", "Before", "For", "As", "To", "Not", "One", "Some", "All", "Please", "Now",
    "Do", "Did", "Is",
    "Are", "Was", "Were", "Let",
])


def _goes_on(before: str, after: str) -> bool:
    """Whether what was cut into `before` and `after` is one sentence."""
    before, after = before.rstrip(), after.lstrip()
    if not after:
        return False
    if before.count("[[") > before.count("]]"):
        return True
    first = re.match(r"[\w']+", after)
    word = first.group(0) if first else ""
    if _NEVER.search(before):
        # "I" and a street at the end of a sentence are no initials.
        return not (re.search(r"(?:\b[a-z]+ I|\b[A-Z][a-z]+ St)\.$", before) and word in _OPENERS)
    if _BEFORE_NUMBER.search(before):
        return after[0].isdigit() or after[0] == "#"
    if _DOTTED.search(before):
        return word not in _OPENERS
    if re.search(r"[.!?]['\")\]]*$", before) is None and not before.endswith("…"):
        return False
    # "Why?" he asked; and "1." at the head of a line.
    return after[0].islower() and not re.match(r"[a-z][A-Z]", after) or bool(re.fullmatch(r"\(?\d{1,3}[.)]", before))


def _length(text: str) -> int:
    """Characters of `text` as it will be said, roughly."""
    return len(text) + DIGIT * sum(c.isdigit() for c in text)


def _cut(sentence: str) -> list[str]:
    if _length(sentence) <= LONGEST or "[[" in sentence:
        return [sentence]
    size = 0
    end = next((i for i, c in enumerate(sentence) if (size := size + 1 + DIGIT * c.isdigit()) > LONGEST), len(sentence))
    window = sentence[:end]
    at = max(window.rfind(m) for m in (", ", "; ", ": ", " - "))
    if at < end // 4:
        at = window.rfind(" ")
    if at <= 0:  # one token; it is capped where it is read
        at = sentence.find(" ")
        if at < 0:
            return [sentence]
    return [sentence[: at + 1].strip(), *_cut(sentence[at + 1 :].strip())]


def split_paragraphs(text: str, language: str = "en") -> list[list[str]]:
    """The sentences of each paragraph (paragraphs are apart by an empty line); paragraphs without words are left out.

    Markup (tags, markdown, list lines) is taken away; every line of a list is a sentence.
    """
    found = [_sentences(p, language) for p in re.split(r"\n\s*\n", plain(text))]
    spoken = [[s for s in sentences if any(c.isalnum() or c in _SAID for c in s)] for sentences in found]
    return [sentences for sentences in spoken if sentences]


def split_sentences(text: str, language: str = "en") -> list[str]:
    """Sentences of `text` in order, none empty, none (unless it holds `[[...]]`) much longer than LONGEST characters."""
    return [s for p in re.split(r"\n\s*\n", plain(text)) for s in _sentences(p, language)]


def _sentences(paragraph: str, language: str) -> list[str]:
    lines = [" ".join(line.split()) for line in paragraph.split(LINE)]
    return [part for line in lines if line for sentence in _segments(line, language) for part in _cut(sentence.strip()) if part]


def _segments(line: str, language: str) -> list[str]:
    found: list[str] = []
    for piece in (p for part in _NO.split(line) for p in sentencex.segment(language, part)):
        before = found[-1] if found else ""
        if re.search(r"(?:^|\s)\.$", before) and piece[:1].isalpha() or before.endswith("..") and piece.startswith("/"):
            found[-1] += piece  # ".NET", "../src"
        elif found and (not piece.strip() or _goes_on(found[-1], piece)):
            found[-1] += piece if found[-1].endswith(" ") or piece.startswith(" ") else " " + piece
        else:
            found.append(piece)
    return found

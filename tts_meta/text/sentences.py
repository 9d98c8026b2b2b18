"""Split running text into sentences (sentencex's rules), keeping `[[...]]` spans whole."""

from __future__ import annotations

import re

import sentencex

LONGEST = 220
"""Characters a sentence may have before it is cut at a comma or a space: the acoustic model saw at most ~14 s."""


def _cut(sentence: str) -> list[str]:
    if len(sentence) <= LONGEST or "[[" in sentence:
        return [sentence]
    window = sentence[:LONGEST]
    at = max(window.rfind(m) for m in (",", ";", ":", " - "))
    if at < LONGEST // 4:
        at = window.rfind(" ")
    at = LONGEST - 1 if at <= 0 else at
    return [sentence[: at + 1].strip(), *_cut(sentence[at + 1 :].strip())]


def split_paragraphs(text: str, language: str = "en") -> list[list[str]]:
    """The sentences of each paragraph (paragraphs are apart by an empty line); paragraphs without words are left out."""
    found = [split_sentences(p, language) for p in re.split(r"\n\s*\n", text)]
    spoken = [[s for s in sentences if any(c.isalnum() for c in s)] for sentences in found]
    return [sentences for sentences in spoken if sentences]


def split_sentences(text: str, language: str = "en") -> list[str]:
    """Sentences of `text` in order, none empty, none (unless it holds `[[...]]`) longer than LONGEST characters."""
    found: list[str] = []
    for paragraph in re.split(r"\n\s*\n", text):
        for sentence in sentencex.segment(language, " ".join(paragraph.split())):
            sentence = sentence.strip()
            if not sentence:
                continue
            if found and found[-1].count("[[") > found[-1].count("]]"):
                found[-1] += " " + sentence
            else:
                found.append(sentence)
    return [piece for sentence in found for piece in _cut(sentence) if piece]

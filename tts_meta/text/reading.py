"""How a text will be read: its sentences in the words and phones that are spoken, and what is left out.

This is what stands between a text and a network: everything before phonemes is done here, once, for every network.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from tts_meta.errors import InputError
from tts_meta.text.accents import accent_of, british
from tts_meta.text.caps import cap
from tts_meta.text.heteronyms import pronounce
from tts_meta.text.lexicon import use_lexicon
from tts_meta.text.markup import unlink
from tts_meta.text.normalize import normalize
from tts_meta.text.scripts import leave_out, refusal
from tts_meta.text.sentences import split_paragraphs

_LETTER_A = re.compile(
    r"(?<![\w'\[])A(?=\s+(?:[A-Z]\b|plus\b|minus\b|and\s+[A-Z]\b)|'s\b)|(?<=\b[B-Z] )A\b|"
    r"(?<=[a-z] )[aA](?= [mM]\b)|(?<=\b[gG]rade )A\b|(?<=\bvitamin )A\b"
)
"""An A that is a letter, which espeak-ng would read as the article."""


@dataclass(frozen=True)
class Sentence:
    """One sentence: as it was written, in the words that are said, and with `[[phones]]` where a lexicon or the sense of
    a word decides how it is said. `pronounced` is what a network phonemises."""

    text: str
    spoken: str
    pronounced: str


@dataclass(frozen=True)
class Reading:
    """Sentences of each paragraph, and a sentence for everything that is not read as it was written."""

    paragraphs: list[list[Sentence]]
    warnings: list[str] = field(default_factory=list)

    def __iter__(self) -> Iterator[Sentence]:
        return (s for p in self.paragraphs for s in p)

    @property
    def spoken(self) -> str:
        return " ".join(s.spoken for s in self)


def said(text: str, english: bool = True) -> str:
    """One sentence in the words that are said; `[[phones]]` stay."""
    if not english:
        return " ".join(text.split())
    spoken = normalize(leave_out(text)[0])
    # The stop of "3 p.m." at the end was the sentence's too.
    return spoken + "." if spoken and text.rstrip().endswith(".") and spoken[-1].isalnum() else spoken


def pronounced(spoken: str, lexicon: dict[str, str] | None = None, voice: str = "en-us") -> str:
    """Spoken words with `[[phones]]` for those of the lexicon and, for an American or a British voice, for heteronyms and the
    letter A."""
    if lexicon:
        spoken = use_lexicon(spoken, lexicon)
    if not accent_of(voice):
        return spoken
    said = pronounce(spoken, british if accent_of(voice) == "british" else str)
    return "".join(p if p.startswith("[[") else _LETTER_A.sub("[[ˈeɪ]]", p) for p in re.split(r"(\[\[.*?\]\])", said))


def notes(text: str) -> list[str]:
    """A sentence for everything in `text` that is left out, cut off or not read as phones."""
    found = [f"{refusal(foreign)}; it is left out." for foreign in [leave_out(text)[1]] if foreign]
    bare, links = unlink(text)
    if links:
        some = ", ".join(links[:3]) + (" ..." if len(links) > 3 else "")
        found.append(f"{some} holds no phones and is read as text.")
    if bare.count("[[") > bare.count("]]"):
        found.append("A [[ is not closed by ]]; what follows it is read as text.")
    return found + cap(bare)[1]


def nothing_to_speak(text: str) -> InputError:
    """What to raise for a text without a word that can be read: it names a script that cannot."""
    foreign = leave_out(text)[1]
    if foreign:
        return InputError(f"{refusal(foreign)}, so there is nothing to speak; give the words in Latin letters.")
    return InputError(f"The text {text.strip()[:60]!r} has nothing to speak; give at least one word.")


def speakable(text: str, voice: str = "en-us") -> Iterator[tuple[int, str]]:
    """(paragraph, sentence as it was written) of every sentence in which there is something to say, read as it is asked for:
    who hears the first does not wait for the last."""
    english = voice.startswith("en")
    for number, sentences in enumerate(split_paragraphs(text)):
        yield from ((number, s) for s in sentences if any(c.isalnum() for c in said(s, english)))


def read(text: str, lexicon: dict[str, str] | None = None, voice: str = "en-us") -> Reading:
    """How `text` will be read in a voice of espeak-ng's name `voice`. Never raises: what cannot be read is a warning."""
    english = voice.startswith("en")
    paragraphs = []
    for written in split_paragraphs(text):
        sentences = []
        for sentence in written:
            spoken = said(sentence, english)
            if any(c.isalnum() for c in spoken):
                sentences.append(Sentence(sentence, spoken, pronounced(spoken, lexicon, voice)))
        if sentences:
            paragraphs.append(sentences)
    return Reading(paragraphs, notes(text) if english else [])

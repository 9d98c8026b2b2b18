"""Text -> samples in a voice: sentences -> phonemes -> durations, pitch, energy -> log-mel -> vocoder.

The model is not autoregressive and every phone gets at least one frame, so nothing can be skipped or repeated.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
import torch

from tts_meta.audio.loudness import PEAK, normalise_loudness
from tts_meta.audio.mel import HOP, SAMPLE_RATE
from tts_meta.audio.tempo import change_tempo
from tts_meta.audio.vocoder import Vocoder, default_vocoder
from tts_meta.audio.watermark import apply
from tts_meta.errors import InputError
from tts_meta.meta.tree import Tree
from tts_meta.starters.gains import Gains
from tts_meta.starters.interface import Controls, Network
from tts_meta.text.clauses import first_clause
from tts_meta.text.phonemes import BOUNDARY, MARKS, Phone, phonemize
from tts_meta.text.reading import nothing_to_speak, speakable
from tts_meta.voices.voice_file import Voice

PAUSE_SECONDS = 0.12
"""Silence put between sentences, beside the silence each sentence ends and starts with."""
PARAGRAPH_SECONDS = 0.6
FADE_SECONDS = 0.005
"""A sentence is faded in and out over so much, so that joints do not click."""
SLOWEST, FASTEST = 0.4, 0.02
"""Seconds a phone of a whole sentence, on average; what is outside is told as suspect."""
LONGEST_TEXT = 500_000  # characters
EMPHASIS = (1.25, 1.5, 2.0)
"""An emphasised word's phones: times their duration, semitones up, dB louder."""
_EMPHASISED = re.compile(r"(?<![\w*])\*([^\W\d_][\w'’ -]{0,60}?)\*(?![\w*])")


@dataclass
class Spoken:
    """Samples `[N]` at 22.05 kHz, the log-mel `[L, 80]` (nats) of all sentences, frames a phone of each sentence (both
    before they are played faster, where `speed` is over 1), their texts, and those of them that came out much too long or short
    for their phones."""

    samples: np.ndarray
    mel: np.ndarray
    durations: list[np.ndarray] = field(default_factory=list)
    sentences: list[str] = field(default_factory=list)
    suspect: list[str] = field(default_factory=list)

    @property
    def seconds(self) -> float:
        return len(self.samples) / SAMPLE_RATE


class Synthesizer:
    """One voice: deltas to phi (none: phi itself, the average speaker) and the gains of its variance (none: 1).

    With `watermark` every sentence is marked (tts_meta/audio/watermark.py), or speaking raises InputError.
    """

    def __init__(
        self, starter: Network, deltas: Tree | None = None, vocoder: Vocoder | None = None, gains: Gains | None = None,
        watermark: bool = False,
    ) -> None:
        self.starter, self.gains, self.watermark = starter, gains, watermark
        self.params = {k: starter.phi[k] + d for k, d in (deltas or {}).items()}
        self.vocoder = vocoder

    @classmethod
    def of(cls, starter: Network, voice: Voice, vocoder: Vocoder | None = None, watermark: bool = False) -> Synthesizer:
        """The synthesizer of a loaded voice, in its accent."""
        return cls(voice.network(starter), voice.deltas, vocoder, voice.gains, watermark)

    @torch.inference_mode()
    def sentence_mel(
        self, text: str, speed: float = 1.0, pitch: float = 0.0, energy: float = 0.0,
        lexicon: dict[str, str] | None = None,
    ) -> tuple[np.ndarray, np.ndarray]:
        """Log-mel `[L, 80]` (nats) and frames a phone `[P]` of one sentence; pitch in semitones, energy in dB."""
        phones, weight = self._phones(text, lexicon)
        return self.starter.mel(self.params, phones, weight, Controls(speed, pitch, energy, EMPHASIS), self.gains)

    def _phones(self, text: str, lexicon: dict[str, str] | None) -> tuple[list[Phone], list[float]]:
        """Phones of a sentence, without the silences at its ends, and their emphasis (0 or 1): `*these words*` have it."""
        s = self.starter
        parts = _EMPHASISED.split(text)
        phones: list[Phone] = []
        emphasis: list[float] = []
        for number, part in enumerate(parts):
            if not any(c.isalnum() for c in part) and len(parts) > 1:
                # Between two marks, or at an end: at most a mark of its own.
                found = [Phone(c) for c in part if c in MARKS][:1]
            else:
                found = phonemize(part, s.espeak_voice, lexicon, s.inventory)[1:-1]
            if not found:
                continue
            if phones and found[0].symbol not in MARKS and phones[-1].symbol != BOUNDARY:
                phones, emphasis = [*phones, Phone(BOUNDARY)], [*emphasis, 0.0]
            phones, emphasis = [*phones, *found], [*emphasis, *[float(number % 2)] * len(found)]
        if not phones:
            raise InputError(f"The text {text.strip()[:60]!r} has nothing to speak; give at least one word.")
        return phones, emphasis

    def stream(
        self, text: str, speed: float = 1.0, pitch: float = 0.0, energy: float = 0.0,
        lexicon: dict[str, str] | None = None, at_once: bool = False,
    ) -> Iterator[Spoken]:
        """Say `text` sentence by sentence: each Spoken begins with the pause before it, and all together are the speech.

        With `at_once` the first part is the first clause of the first sentence, where it has more than one: somebody waits.
        Raises InputError for text without words or longer than LONGEST_TEXT, and settings out of range.
        """
        check_settings(text, speed, pitch, energy)
        gain = 0.0
        for pause, sentence in self._parts(text, at_once):
            # Sounds of a frame or two are lost words, so what is faster than speech is made of speech.
            made_at = min(speed, 1.0)
            mel, frames = self.sentence_mel(sentence, made_at, pitch, energy, lexicon)
            samples = (self.vocoder or default_vocoder())(mel)
            samples = faded(change_tempo(samples, SAMPLE_RATE, speed / made_at))
            if not gain:
                # One gain for the whole speech: a loudness for each sentence would make whispers shout.
                leveled = normalise_loudness(samples, SAMPLE_RATE)
                gain = float(np.abs(leveled).max() / max(1e-6, np.abs(samples).max()))
            samples = np.clip(samples * gain, -PEAK, PEAK)
            if self.watermark:
                samples = faded(apply(samples, SAMPLE_RATE))
            if pause:
                samples = np.concatenate([np.zeros(int(pause / speed * SAMPLE_RATE), dtype=np.float32), samples])
            seconds_a_phone = len(mel) * HOP / SAMPLE_RATE / len(frames) * made_at
            suspect = [] if FASTEST <= seconds_a_phone <= SLOWEST else [sentence]
            yield Spoken(samples.astype(np.float32), mel, [frames], [sentence], suspect)

    def _parts(self, text: str, at_once: bool) -> Iterator[tuple[float, str]]:
        """(pause before it (s), sentence or clause) of everything that is said. Raises InputError where that is nothing."""
        before: int | None = None  # the paragraph of the sentence before
        for paragraph, sentence in speakable(text, self.starter.espeak_voice):
            pause = 0.0 if before is None else PAUSE_SECONDS if paragraph == before else PARAGRAPH_SECONDS
            parts = first_clause(sentence) if before is None and at_once else None
            yield from ((pause, part) for part in parts or (sentence,))
            before = paragraph
        if before is None:
            raise nothing_to_speak(text)

    def speak(
        self, text: str, speed: float = 1.0, pitch: float = 0.0, energy: float = 0.0,
        lexicon: dict[str, str] | None = None,
    ) -> Spoken:
        """Say `text`. Raises InputError as `stream`."""
        parts = list(self.stream(text, speed, pitch, energy, lexicon))
        return Spoken(
            np.concatenate([p.samples for p in parts]), np.concatenate([p.mel for p in parts]),
            [d for p in parts for d in p.durations], [s for p in parts for s in p.sentences],
            [s for p in parts for s in p.suspect],
        )


def check_settings(text: str, speed: float, pitch: float, energy: float) -> None:
    """Raises InputError for settings out of range and texts of more than LONGEST_TEXT characters."""
    for value, low, high, what in (
        (speed, 0.25, 4.0, "speed"), (pitch, -24, 24, "pitch (semitones)"), (energy, -20, 20, "energy (dB)"),
    ):
        if not low <= value <= high:
            raise InputError(f"The {what} is {value}; {low} to {high} is expected.")
    if len(text) > LONGEST_TEXT:
        raise InputError(f"The text has {len(text):,} characters; at most {LONGEST_TEXT:,} are expected, give it in parts.")


def comment(voice: str, mark: str | None) -> str:
    """What a wav's metadata say: that it is synthetic, whose voice it is, and how it is marked."""
    return f"Synthetic speech by tts-meta in the voice {voice!r}; watermark: {mark or 'none'}."


def faded(samples: np.ndarray) -> np.ndarray:
    """`[N]` with its first and last FADE_SECONDS rising from and falling to zero."""
    count = min(int(FADE_SECONDS * SAMPLE_RATE), len(samples) // 2)
    ramp = np.linspace(0.0, 1.0, count, dtype=np.float32)
    out = samples.astype(np.float32).copy()
    out[:count] *= ramp
    out[len(out) - count :] *= ramp[::-1]
    return out


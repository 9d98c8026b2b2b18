"""Text -> samples in a voice: sentences -> phonemes -> durations, pitch, energy -> log-mel -> vocoder.

The model is not autoregressive and every phone gets at least one frame, so nothing can be skipped or repeated.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor
from torch.func import functional_call

from tts_meta.audio.loudness import normalise_loudness
from tts_meta.audio.mel import SAMPLE_RATE
from tts_meta.audio.vocoder import Vocoder, default_vocoder
from tts_meta.data.batch import frame_features, frame_index, line_through
from tts_meta.errors import InputError
from tts_meta.meta.tree import Tree
from tts_meta.text.phonemes import phonemize
from tts_meta.text.sentences import split_sentences
from tts_meta.voices.starter import Starter
from tts_meta.voices.variance import Gains, restore_variance, stretch_melody
from tts_meta.voices.voice_file import Voice

PAUSE_SECONDS = 0.12
"""Silence put between sentences, beside the silence each sentence ends and starts with."""
LONGEST_PHONE = 120  # frames: 1.4 s


@dataclass
class Spoken:
    """Samples `[N]` at 22.05 kHz, the log-mel `[L, 80]` (nats) of all sentences, frames a phone of each sentence."""

    samples: np.ndarray
    mel: np.ndarray
    durations: list[np.ndarray] = field(default_factory=list)

    @property
    def seconds(self) -> float:
        return len(self.samples) / SAMPLE_RATE


class Synthesizer:
    """One voice: deltas to phi (none: phi itself, the average speaker) and the gains of its variance (none: 1)."""

    def __init__(
        self, starter: Starter, deltas: Tree | None = None, vocoder: Vocoder | None = None, gains: Gains | None = None
    ) -> None:
        self.starter, self.gains = starter, gains
        self.params = {k: starter.phi[k] + d for k, d in (deltas or {}).items()}
        self.vocoder = vocoder

    @classmethod
    def of(cls, starter: Starter, voice: Voice, vocoder: Vocoder | None = None) -> Synthesizer:
        """The synthesizer of a loaded voice."""
        return cls(starter, voice.deltas, vocoder, voice.gains)

    @torch.inference_mode()
    def sentence_mel(
        self, text: str, speed: float = 1.0, pitch: float = 0.0, energy: float = 0.0,
        lexicon: dict[str, str] | None = None,
    ) -> tuple[np.ndarray, np.ndarray]:
        """Log-mel `[L, 80]` (nats) and frames a phone `[P]` of one sentence; pitch in semitones, energy in dB."""
        s = self.starter
        ids, stress = s.table.encode(phonemize(text, s.espeak_voice, lexicon, s.table.inventory))
        batch = {"phones": torch.tensor([ids]), "stress": torch.tensor([stress]), "phone_mask": torch.ones(1, len(ids))}
        model, params = s.model, self.params

        def call(fn: str, *args) -> Tensor:
            return functional_call(_Method(model, fn), {f"model.{k}": v for k, v in params.items()}, args)

        h = call("encode", batch["phones"], batch["stress"], batch["phone_mask"])
        log_duration, log_f0, level = call("predict", h, batch["phone_mask"])
        durations = (log_duration.exp() / speed).round().clamp(1, LONGEST_PHONE)
        if self.gains is not None:
            log_f0 = stretch_melody(log_f0, self.gains.pitch)
        log_f0 = log_f0 + pitch * float(np.log(2) / 12) / s.norm.pitch_std
        level = level + energy * float(np.log(10) / 20) / s.norm.energy_std
        frames = int(durations.sum())
        padded = frames + -frames % model.config.reduction
        batch |= {
            "energy": level, "frame_phone": frame_index(durations, padded),
            "frame_features": frame_features(s.norm.hertz(line_through(log_f0, durations, padded)), durations),
            "frame_mask": torch.ones(1, padded),
        }
        mel = call("decode", h, batch)[0, :frames].float().numpy()
        if self.gains is not None:
            mel = restore_variance(mel, self.gains.cepstra)
        return s.norm.mel_inverse(mel), durations[0].int().numpy()

    def speak(
        self, text: str, speed: float = 1.0, pitch: float = 0.0, energy: float = 0.0,
        lexicon: dict[str, str] | None = None,
    ) -> Spoken:
        """Say `text`, sentence by sentence. Raises InputError for text without words and settings out of range."""
        for value, low, high, what in ((speed, 0.25, 4.0, "speed"), (pitch, -24, 24, "pitch (semitones)")):
            if not low <= value <= high:
                raise InputError(f"The {what} is {value}; {low} to {high} is expected.")
        pieces: list[np.ndarray] = []
        mels, durations = [], []
        for sentence in split_sentences(text):
            if not any(c.isalnum() for c in sentence):
                continue
            mel, frames = self.sentence_mel(sentence, speed, pitch, energy, lexicon)
            if pieces:
                pieces.append(np.zeros(int(PAUSE_SECONDS * SAMPLE_RATE / speed), dtype=np.float32))
            pieces.append((self.vocoder or default_vocoder())(mel))
            mels.append(mel)
            durations.append(frames)
        if not pieces:
            raise InputError(f"The text {text.strip()[:60]!r} has nothing to speak; give at least one word.")
        samples = normalise_loudness(np.concatenate(pieces), SAMPLE_RATE)
        return Spoken(samples, np.concatenate(mels), durations)


class _Method(torch.nn.Module):
    """A method of the model as a module, so that functional_call can reach it."""

    def __init__(self, model: torch.nn.Module, name: str) -> None:
        super().__init__()
        self.model = model
        self.name = name

    def forward(self, *args):
        return getattr(self.model, self.name)(*args)

"""Mel to waveform by pulses, noise and filters (tts_meta/nets/source_filter.py), a seventh of HiFi-GAN's time
with bfloat16 and a twenty-fifth of it in float32.

Its network was taught by HiFi-GAN (recipes/vocoder/), whose sound it comes near and does not reach: docs/speed.md has both.
"""

from __future__ import annotations

from importlib.resources import files

import numpy as np
import torch
from safetensors.torch import load

from tts_meta.audio.mel import F_MAX, HOP, LOG_FLOOR, SAMPLE_RATE, band_frequencies, log_mel, mel_bands
from tts_meta.errors import InputError
from tts_meta.nets.eight_bits import unpack
from tts_meta.nets.source_filter import BINS, FFT, STEP, PitchNet, SourceFilter, sources

WEIGHTS = "vocoder.safetensors"
FALL = 0.5
"""Nats a kHz by which the filters' start falls over the highest band, of which the mel says nothing."""

QUIETER = -0.7
"""Nats by which the noise of voiced frames is less than what was learned: a distance of spectra takes it for harmonics that
are not exactly where the truth's are. Chosen on development people, as is CORRECTED."""
CORRECTED, MOST = 0.7, 2.0
"""Share of the difference of the mel that was asked for and the mel of what was made by which the filters are moved once, and the
most of it (nats)."""


def mel_to_bins() -> torch.Tensor:
    """`[BINS, 81]`: the log magnitude at each of a filter's frequencies, between the two bands beside it, and a constant."""
    centres = band_frequencies()[0]
    hertz = np.arange(BINS) * SAMPLE_RATE / FFT
    low = np.clip(np.searchsorted(centres, hertz) - 1, 0, len(centres) - 2)
    part = np.clip((hertz - centres[low]) / (centres[low + 1] - centres[low]), 0, 1)
    found = np.zeros((BINS, len(centres) + 1), dtype=np.float32)
    found[np.arange(BINS), low] = 1 - part
    found[np.arange(BINS), low + 1] += part
    found[:, -1] = -FALL * np.clip(hertz - F_MAX, 0, None) / 1000
    return torch.from_numpy(found)


def empty_vocoder() -> tuple[PitchNet, SourceFilter]:
    """The two networks, untrained."""
    return PitchNet(), SourceFilter(mel_bands(), mel_to_bins(), SAMPLE_RATE, HOP)


class FastVocoder:
    """A `Vocoder`. The same mel gives the same samples: the noise is drawn from one seed."""

    def __init__(self, weights: bytes | None = None) -> None:
        """`weights`: the file's bytes (default: the package's). Raises InputError when they are missing or damaged."""
        path = files("tts_meta") / "assets" / WEIGHTS
        try:
            stored = unpack(load(path.read_bytes() if weights is None else weights))
        except Exception as e:
            raise InputError(f"{path} is missing or damaged ({e}); reinstall tts-meta.") from e
        self.pitch, self.filter = empty_vocoder()
        for prefix, net in (("pitch/", self.pitch), ("filter/", self.filter)):
            net.load_state_dict({k.removeprefix(prefix): v for k, v in stored.items() if k.startswith(prefix)})
            net.eval().requires_grad_(False)

    def __call__(self, mel: np.ndarray) -> np.ndarray:
        wanted = torch.from_numpy(np.ascontiguousarray(mel, dtype=np.float32))[None].clamp(min=float(np.log(LOG_FLOOR)))
        noise = torch.randn(1, wanted.shape[1] * HOP, generator=torch.Generator().manual_seed(0))
        with torch.inference_mode():
            f0 = self.pitch.f0(wanted)
            size, phase = self.filter.filters(wanted, f0)
            size[:, :, 1:] += QUIETER * (f0 > 0).float().repeat_interleave(HOP // STEP, 1)[..., None, None]
            of = sources(f0, noise, SAMPLE_RATE)
            samples = self.filter.sound(size, phase, of)
            if wanted.shape[1] > 1:  # a mel of one frame cannot be measured
                lacking = wanted - torch.from_numpy(log_mel(samples[0].numpy()))[None]
                size += CORRECTED * self.filter.at_bins(lacking).clamp(-MOST, MOST)[:, :, None]
                samples = self.filter.sound(size, phase, of)
            return samples[0].clamp(-1, 1).numpy()

"""HiFi-GAN's log-mel spectrogram: 22.05 kHz, 80 Slaney bands 0-8 kHz, n_fft 1024, hop 256, natural log clamped at 1e-5.

Source: Kong et al. 2020 (HiFi-GAN), configuration V1; the vocoder in `tts_meta.audio.vocoder` was trained on exactly
this, so nothing here is a free parameter.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import torch

SAMPLE_RATE = 22050
N_FFT = 1024
HOP = 256
N_MELS = 80
F_MIN = 0.0
F_MAX = 8000.0
LOG_FLOOR = 1e-5


_KNEE, _HERTZ_A_MEL, _STEP = 1000.0, 200.0 / 3, np.log(6.4) / 27
"""Slaney's scale: a mel is 66.7 Hz under 1 kHz, and a factor of 6.4^(1/27) over it."""


def slaney_edges(low: float, high: float, bands: int) -> np.ndarray:
    """Edges of `bands` bands from `low` to `high` (Hz), `[bands + 2]` (Hz), even in Slaney's mel: band i rises from edge i to
    edge i + 1 and falls to edge i + 2."""
    knee = _KNEE / _HERTZ_A_MEL

    def mel(hertz: float) -> float:
        return hertz / _HERTZ_A_MEL if hertz < _KNEE else knee + np.log(hertz / _KNEE) / _STEP

    mels = np.linspace(mel(low), mel(high), bands + 2)
    return np.where(mels < knee, mels * _HERTZ_A_MEL, _KNEE * np.exp(_STEP * (mels - knee)))


def triangles(edges: np.ndarray, rate: int, n_fft: int, even: bool = True) -> np.ndarray:
    """Filter bank `[bands, n_fft / 2 + 1]` float32 of such edges: triangles of the same area each, or of height one.

    librosa's filters (a test compares), without its import, which compiles for half a second.
    """
    edges, bins = edges[:, None], np.linspace(0, rate / 2, n_fft // 2 + 1)
    rising = (bins - edges[:-2]) / (edges[1:-1] - edges[:-2])
    falling = (edges[2:] - bins) / (edges[2:] - edges[1:-1])
    bank = np.maximum(0, np.minimum(rising, falling)).astype(np.float32)
    if even:
        bank *= 2 / (edges[2:] - edges[:-2])
    return bank


def band_edges() -> np.ndarray:
    """Edges of the mel's own bands, `[82]` (Hz)."""
    return slaney_edges(F_MIN, F_MAX, N_MELS)


@lru_cache(maxsize=1)
def _basis() -> tuple[torch.Tensor, torch.Tensor]:
    return torch.from_numpy(triangles(band_edges(), SAMPLE_RATE, N_FFT)), torch.hann_window(N_FFT)


def mel_bands() -> torch.Tensor:
    """The mel filter bank, `[80, 513]`."""
    return _basis()[0]


def log_mel(samples: np.ndarray) -> np.ndarray:
    """Log-mel of one clip: samples `[N]` at 22.05 kHz -> `[L, 80]` float32 (nats), L = N // 256.

    Frame t is centred on sample 256 t + 128 (reflection padding of 384 on both sides, no further centring).
    Raises ValueError when the clip is shorter than the padding needs (385 samples).
    """
    pad = (N_FFT - HOP) // 2
    if len(samples) <= pad:
        raise ValueError(f"log_mel needs more than {pad} samples, got {len(samples)}")
    basis, window = _basis()
    x = torch.from_numpy(np.asarray(samples, dtype=np.float32))
    x = torch.nn.functional.pad(x[None, None], (pad, pad), mode="reflect")[0, 0]
    spectrum = torch.stft(x, N_FFT, HOP, N_FFT, window, center=False, return_complex=True)
    magnitude = torch.sqrt(spectrum.real**2 + spectrum.imag**2 + 1e-9)
    return torch.log(torch.clamp(basis @ magnitude, min=LOG_FLOOR)).T.contiguous().numpy()


def frame_times(frames: int) -> np.ndarray:
    """Centre of every mel frame, `[L]` (s)."""
    return (np.arange(frames) * HOP + HOP / 2) / SAMPLE_RATE


def frame_energy(mel: np.ndarray) -> np.ndarray:
    """Log of the summed mel magnitude of each frame: `[L, 80]` -> `[L]` (nats)."""
    top = mel.max(axis=-1, keepdims=True)
    return (top[..., 0] + np.log(np.exp(mel - top).sum(axis=-1))).astype(np.float32)


@lru_cache(maxsize=1)
def band_frequencies() -> tuple[np.ndarray, np.ndarray]:
    """Centres and widths (distance between neighbours' centres) of the mel bands, each `[80]` float32 (Hz)."""
    edges = band_edges()
    return edges[1:-1].astype(np.float32), ((edges[2:] - edges[:-2]) / 2).astype(np.float32)

"""Resemblyzer's speaker encoder (GE2E, Wan et al. 2018) from its weights alone: what a recording goes through before and in
the network, as the package does it (a test compares), without its imports of librosa and scipy, which take seconds.
"""

from __future__ import annotations

from functools import lru_cache

import _webrtcvad  # the C module alone: the Python around it imports pkg_resources
import numpy as np
import torch
from torch import Tensor

from tts_meta.audio.mel import slaney_edges, triangles
from tts_meta.package_files import package_folder

RATE = 16000
SIZE = 256
N_FFT, HOP, BANDS = 400, 160, 40
LEVEL = -30.0
"""dB (full scale 0) to which quieter recordings are raised."""
VAD_SAMPLES, SMOOTHED, KEPT = 480, 8, 3
"""A decision every 30 ms, the majority of eight of them, and three more on either side of what they call speech."""
PARTIAL, STEP, COVERED = 160, 77, 0.75
"""Frames of a partial utterance, from one to the next, and the share of the last that has to be there."""
FULL_SCALE = 2**15 - 1


class SpeakerEncoder(torch.nn.Module):
    """Mels `[B, T, 40]` -> unit embeddings `[B, 256]`."""

    def __init__(self) -> None:
        super().__init__()
        self.lstm = torch.nn.LSTM(BANDS, SIZE, 3, batch_first=True)
        self.linear = torch.nn.Linear(SIZE, SIZE)

    def forward(self, mels: Tensor) -> Tensor:
        raw = self.linear(self.lstm(mels)[1][0][-1]).relu()
        return raw / raw.norm(dim=1, keepdim=True)


@lru_cache(maxsize=1)
def encoder() -> SpeakerEncoder:
    """The encoder with the package's weights, loaded once a process."""
    found = SpeakerEncoder()
    stored = torch.load(package_folder("resemblyzer") / "pretrained.pt", map_location="cpu", weights_only=True)["model_state"]
    found.load_state_dict({k: v for k, v in stored.items() if k.startswith(("lstm.", "linear."))})
    return found.eval().requires_grad_(False)


@lru_cache(maxsize=1)
def _basis() -> tuple[Tensor, Tensor]:
    return torch.from_numpy(triangles(slaney_edges(0.0, RATE / 2, BANDS), RATE, N_FFT)), torch.hann_window(N_FFT)


def mel_power(wave: np.ndarray) -> Tensor:
    """Mel power spectrogram of `[N]` samples at 16 kHz: `[1 + N // 160, 40]`, 25 ms windows every 10 ms, silence around."""
    basis, window = _basis()
    x = torch.from_numpy(np.asarray(wave, dtype=np.float32))
    spectrum = torch.stft(x, N_FFT, HOP, N_FFT, window, center=True, pad_mode="constant", return_complex=True)
    return (basis @ (spectrum.real**2 + spectrum.imag**2)).T


def _windows(flags: np.ndarray, before: int, after: int) -> np.ndarray:
    """Sums of `flags` `[N]` from `before` places before to `after` places after each of them: `[N]`."""
    total = np.cumsum(np.concatenate([np.zeros(before + 1, int), flags.astype(int), np.zeros(after, int)]))
    return total[before + after + 1 :] - total[: len(flags)]


def without_silence(wave: np.ndarray) -> np.ndarray:
    """`[N]` samples at 16 kHz, raised to LEVEL where they are quieter, without pauses of more than about a third of a second."""
    wave = np.asarray(wave, dtype=np.float32)
    rms = np.sqrt(np.mean((wave * FULL_SCALE) ** 2)) if len(wave) else 0.0
    if rms:
        change = LEVEL - 20 * np.log10(rms / FULL_SCALE)
        wave = wave * 10 ** (change / 20) if change > 0 else wave
    wave = wave[: len(wave) - len(wave) % VAD_SAMPLES]
    pcm = np.round(wave * FULL_SCALE).astype(np.int16)
    vad = _webrtcvad.create()
    _webrtcvad.init(vad)
    _webrtcvad.set_mode(vad, 3)
    chunks = (pcm[i : i + VAD_SAMPLES].tobytes() for i in range(0, len(pcm), VAD_SAMPLES))
    heard = np.array([_webrtcvad.process(vad, RATE, chunk, VAD_SAMPLES) for chunk in chunks], dtype=bool)
    heard = _windows(heard, (SMOOTHED - 1) // 2, SMOOTHED // 2) > SMOOTHED // 2
    return wave[np.repeat(_windows(heard, KEPT, KEPT) > 0, VAD_SAMPLES)]


def partial_starts(count: int) -> list[int]:
    """First frames of the partial utterances of `count` samples; the last may reach beyond them."""
    frames = -(-(count + 1) // HOP)
    starts = list(range(0, max(1, frames - PARTIAL + STEP + 1), STEP))
    if len(starts) > 1 and count - starts[-1] * HOP < COVERED * PARTIAL * HOP:
        starts.pop()
    return starts


def embed_wave(wave: np.ndarray) -> np.ndarray:
    """Unit embedding `[256]` of `[N]` samples at 16 kHz: of the mean of its partial utterances'."""
    starts = partial_starts(len(wave))
    mel = mel_power(np.pad(wave, (0, max(0, (starts[-1] + PARTIAL) * HOP - len(wave)))))
    with torch.no_grad():
        mean = encoder()(torch.stack([mel[s : s + PARTIAL] for s in starts])).mean(0)
        return (mean / mean.norm()).numpy()

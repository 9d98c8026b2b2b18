"""An inaudible mark in speech, by Resemble AI's Perth (the extra `watermark`); fails loudly where it is asked for and absent.

It survives some processing, not all, and says nothing of who spoke; a sound without it may still be synthetic.
"""

from __future__ import annotations

import hashlib
import warnings
from functools import lru_cache
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from tts_meta.audio.files import read_audio, resample
from tts_meta.errors import InputError, one_line
from tts_meta.package_files import silenced

WEIGHTS = "perth_net_250000.pth.tar"
SHA256 = "a15bce457ebc53ce5e6c9c3f11df78cf7ee2bf9cdab0a798902135b4c4027670"
RATE = 32000
"""Hz; what the network works at. Its own resampling needs a library that it does not install."""
SURE = 0.5  # share of the mark that has to be found


@lru_cache(maxsize=1)
def _marker():
    """Perth's network. Raises InputError when it is not there or its weights are not the known ones."""
    spec = find_spec("perth")
    if spec is None or spec.origin is None:
        raise InputError(
            "The watermark was asked for, but the extra 'watermark' is not installed (pip install 'tts-meta[watermark]'); "
            "install it, or leave the watermark out. Nothing was written."
        )
    found = sorted(Path(spec.origin).parent.rglob(WEIGHTS))
    # It is read by torch.load (weights only): no other file than this one.
    if not found or hashlib.sha256(found[0].read_bytes()).hexdigest() != SHA256:
        raise InputError("The watermark's weights are not those of resemble-perth 1.0.1; install that version again.")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # its import of pkg_resources tells users to mend what they cannot
        try:
            import perth

            if perth.PerthImplicitWatermarker is None:  # its import failed, in silence
                raise ImportError("torchaudio or pkg_resources is missing")
            from perth.perth_net.perth_net_implicit.model import perth_net
        except (ImportError, OSError) as e:  # OSError: a torchaudio that is of another build of torch
            raise InputError(
                f"The watermark cannot be loaded ({one_line(e)}): it needs the torchaudio of the same build "
                "as torch, and setuptools before version 81. Nothing was written; install 'tts-meta[watermark]' again."
            ) from e

        silenced(perth_net)  # it says what it loaded
        return perth.PerthImplicitWatermarker()


def name() -> str:
    """What metadata call the mark."""
    return f"perth {version('resemble-perth')}"


def apply(samples: np.ndarray, rate: int) -> np.ndarray:
    """Mark `[N]` samples. Raises InputError when the extra is missing."""
    marked = _marker().apply_watermark(resample(samples, rate, RATE), sample_rate=RATE)
    out = resample(np.asarray(marked, np.float32), RATE, rate)
    size = len(samples)
    return np.clip(np.pad(out, (0, max(0, size - len(out))))[:size], -1, 1).astype(np.float32)


def detect_file(path: Path) -> dict:
    """{watermark: whether it was found, score: share of it}. Raises InputError as `read_audio` and when it is missing."""
    samples, rate = read_audio(path)
    score = float(np.mean(_marker().get_watermark(resample(samples, rate, RATE), sample_rate=RATE, round=False)))
    return {"file": str(path), "watermark": score > SURE, "score": round(score, 3), "by": name()}

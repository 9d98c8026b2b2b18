"""Read and write audio files through soundfile, resample through soxr, replace files atomically.

torchaudio.load/save need an external decoder since 2.9, soundfile carries its own (wav, flac, mp3, ogg, opus).
"""

from __future__ import annotations

import contextlib
import io
import os
import tempfile
from pathlib import Path

import numpy as np
import soundfile
import soxr

from tts_meta.errors import InputError

SUFFIXES = (".wav", ".flac", ".mp3", ".ogg", ".opus", ".oga", ".aiff", ".aif")
MAX_SECONDS = 600.0
"""Longest clip read at once (s); a longer one is refused before it is decoded, so it cannot exhaust memory."""


def read_audio(path: str | Path) -> tuple[np.ndarray, int]:
    """Decode one file to mono.

    Returns samples `[N]` float32 in [-1, 1] and the rate (Hz). Raises InputError when it is missing, empty, not audio,
    longer than MAX_SECONDS or holds samples that are not numbers.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(f"{path} does not exist; give the path of an audio file ({', '.join(SUFFIXES)}).")
    if path.stat().st_size == 0:
        raise InputError(f"{path} is empty (0 bytes); record it again or leave it out.")
    try:
        info = soundfile.info(str(path))
        if info.samplerate < 4000 or info.samplerate > 384000:
            raise InputError(f"{path} has a sample rate of {info.samplerate} Hz; 4,000 to 384,000 Hz is expected.")
        if info.frames / info.samplerate > MAX_SECONDS:
            raise InputError(f"{path} is longer than {MAX_SECONDS:.0f} s; cut it into clips of 1 to 12 s.")
        data, rate = soundfile.read(str(path), dtype="float32", always_2d=True)
    except (soundfile.LibsndfileError, RuntimeError) as e:
        raise InputError(
            f"{path} could not be read as audio; give a wav, flac, mp3, ogg or opus file (convert it first)."
        ) from e
    if data.shape[0] == 0:
        raise InputError(f"{path} holds no samples; record it again or leave it out.")
    mono = np.ascontiguousarray(data.mean(axis=1))
    if not np.isfinite(mono).all():
        raise InputError(f"{path} holds samples that are not numbers (NaN or infinity); export it again.")
    return mono, int(rate)


def resample(samples: np.ndarray, rate: int, target: int) -> np.ndarray:
    """Resample `[N]` from `rate` to `target` (Hz) with soxr's HQ filter; float32."""
    if rate == target:
        return np.asarray(samples, dtype=np.float32)
    return np.asarray(soxr.resample(samples, rate, target), dtype=np.float32)


def replace_file(path: str | Path, content: bytes) -> None:
    """Write `content` beside `path`, flush it to disk, then rename: a crash leaves the old file or the new, whole.

    Raises InputError when the disk is full or the folder cannot be written; the old file is untouched.
    """
    path = Path(path)
    temporary = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".part")
        with os.fdopen(handle, "wb") as f:
            f.write(content)
            f.flush()
            os.fsync(f.fileno())
        os.chmod(temporary, 0o644)
        os.replace(temporary, path)
    except OSError as e:
        if temporary is not None:
            with contextlib.suppress(OSError):
                os.unlink(temporary)
        raise InputError(
            f"{path} could not be written ({e.strerror or e}); free some disk space or choose another folder. "
            "Nothing that was there before has changed."
        ) from e


def write_wav(path: str | Path, samples: np.ndarray, rate: int) -> None:
    """Write `[N]` float samples as 16-bit wav, atomically."""
    buffer = io.BytesIO()
    soundfile.write(buffer, np.clip(samples, -1.0, 1.0), rate, format="WAV", subtype="PCM_16")
    replace_file(path, buffer.getvalue())

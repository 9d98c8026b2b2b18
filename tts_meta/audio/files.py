"""Read and write audio files, resample through soxr, replace files atomically.

torchaudio.load/save need an external decoder since 2.9; decoding.py has decoders of its own.
"""

from __future__ import annotations

import contextlib
import errno
import io
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import soundfile
import soxr

from tts_meta.audio.decoding import MAX_SAMPLES, MAX_SECONDS, PACKED, PLAIN, SUFFIXES, read_recording
from tts_meta.errors import InputError

__all__ = [
    "MAX_SAMPLES", "MAX_SECONDS", "PACKED", "PLAIN", "SUFFIXES", "read_audio", "read_recording", "replace_file",
    "replacing", "resample", "sound_path", "told", "write_sound", "write_wav",
]


def read_audio(path: str | Path) -> tuple[np.ndarray, int]:
    """Decode one file to mono.

    Returns samples `[N]` float32 in [-1, 1] and the rate (Hz). Raises InputError when it is missing, empty, not audio,
    longer than MAX_SECONDS, holds samples that are not numbers, or needs the extra `formats` where that is not there.
    """
    found = read_recording(path)
    return found.samples, found.rate


def resample(samples: np.ndarray, rate: int, target: int) -> np.ndarray:
    """Resample `[N]` from `rate` to `target` (Hz) with soxr's HQ filter; float32."""
    if rate == target:
        return np.asarray(samples, dtype=np.float32)
    return np.asarray(soxr.resample(samples, rate, target), dtype=np.float32)


FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
"""What a disk says that has no place left."""


@contextlib.contextmanager
def told(path: str | Path) -> Iterator[None]:
    """A disk that is full or a folder that cannot be written is an InputError that names `path`."""
    try:
        yield
    except OSError as e:
        fix = "free some disk space or choose another folder" if e.errno in FULL else "choose another folder"
        raise InputError(
            f"{path} could not be written ({e.strerror or e}); {fix}. Nothing that was there before has changed."
        ) from e


@contextlib.contextmanager
def replacing(path: str | Path) -> Iterator[Path]:
    """An empty file beside `path` to write to, which takes its place when the block ends: a crash leaves the old file or the
    new, whole, and an error leaves nothing behind."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".part")
    os.close(handle)
    try:
        yield Path(name)
        with open(name, "r+b") as f:
            os.fsync(f.fileno())
        os.chmod(name, 0o644)
        os.replace(name, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(name)
        raise


def replace_file(path: str | Path, content: bytes) -> None:
    """Write `content` to `path` as `replacing` does.

    Raises InputError when the disk is full or the folder cannot be written; the old file is untouched.
    """
    with told(path), replacing(path) as new:
        new.write_bytes(content)


WRITTEN = {
    ".wav": ("WAV", "PCM_16"), ".flac": ("FLAC", "PCM_16"), ".mp3": ("MP3", None), ".ogg": ("OGG", "VORBIS"),
    ".opus": ("OGG", "OPUS"), ".aiff": ("AIFF", "PCM_16"), ".au": ("AU", "PCM_16"),
}
"""Endings of the files that speech is written to."""


def sound_path(given: str) -> Path:
    """Where speech that is asked for as `given` goes: without an ending it is a wav. Raises InputError for a folder (one that
    is still to come too, by the `/` at its end) and for an ending that is not in WRITTEN."""
    path = Path(given)
    if path.is_dir() or given.endswith(("/", os.sep)):
        raise InputError(f"{path} is a folder; give the name of a sound file in it, for example {path / 'hello.wav'}.")
    if not path.suffix:
        return path.with_name(f"{path.name}.wav")
    if path.suffix.lower() not in WRITTEN:
        raise InputError(f"{path} ends in {path.suffix}; {', '.join(WRITTEN)} can be written.")
    return path


def write_sound(path: Path, samples: np.ndarray, rate: int, comment: str = "") -> None:
    """Write `[N]` float samples in the format of the file's ending (one of WRITTEN), atomically."""
    form, subtype = WRITTEN[path.suffix.lower()]
    if subtype == "OPUS":  # which knows 48, 24, 16, 12 and 8 kHz
        samples, rate = resample(samples, rate, 24000), 24000
    buffer = io.BytesIO()
    with soundfile.SoundFile(buffer, "w", rate, 1, subtype, format=form) as f:
        if comment and form not in ("MP3", "AU"):
            f.comment = comment
        f.write(np.clip(samples, -1.0, 1.0))
    replace_file(path, buffer.getvalue())


def write_wav(path: str | Path, samples: np.ndarray, rate: int, comment: str = "") -> None:
    """Write `[N]` float samples as 16-bit wav, atomically, with a comment in its metadata."""
    buffer = io.BytesIO()
    with soundfile.SoundFile(buffer, "w", rate, 1, "PCM_16", format="WAV") as f:
        if comment:
            f.comment = comment
        f.write(np.clip(samples, -1.0, 1.0))
    replace_file(path, buffer.getvalue())

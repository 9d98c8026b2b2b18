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

PLAIN = (".wav", ".flac", ".mp3", ".ogg", ".opus", ".oga", ".aiff", ".aif")
PACKED = (".m4a", ".mp4", ".aac", ".webm", ".mka", ".3gp", ".wma")
"""What phones and browsers make; read through PyAV (the extra `formats`)."""
SUFFIXES = (*PLAIN, *PACKED)
MAX_SECONDS = 600.0
"""Longest clip read at once (s); a longer one is refused before it is decoded, so it cannot exhaust memory."""
MAX_SAMPLES = 60_000_000
MAX_CHANNELS = 64
LOUDEST = 100.0
"""A float file may go over 1 a little; what is far over it is not sound."""


def read_audio(path: str | Path) -> tuple[np.ndarray, int]:
    """Decode one file to mono.

    Returns samples `[N]` float32 in [-1, 1] and the rate (Hz). Raises InputError when it is missing, empty, not audio,
    longer than MAX_SECONDS, holds samples that are not numbers, or needs the extra `formats` where that is not there.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(f"{path} does not exist; give the path of an audio file ({', '.join(SUFFIXES)}).")
    if path.stat().st_size == 0:
        raise InputError(f"{path} is empty (0 bytes); record it again or leave it out.")
    try:
        mono, rate = _unpack(path) if path.suffix.lower() in PACKED else _read_plain(path)
    except InputError:
        raise
    except (soundfile.LibsndfileError, RuntimeError, OSError, ValueError, TypeError) as e:
        raise InputError(
            f"{path} could not be read as audio; give a wav, flac, mp3, ogg or opus file (convert it first)."
        ) from e
    if not len(mono):
        raise InputError(f"{path} holds no samples; record it again or leave it out.")
    if not np.isfinite(mono).all():
        raise InputError(f"{path} holds samples that are not numbers (NaN or infinity); export it again.")
    peak = float(np.abs(mono).max())
    if peak > LOUDEST:
        raise InputError(f"{path} holds samples up to {peak:.3g}; -1 to 1 is expected, export it again.")
    return mono, rate


def _check_size(path: Path, frames: int, rate: int, channels: int) -> None:
    if not 4000 <= rate <= 384000:
        raise InputError(f"{path} has a sample rate of {rate:,} Hz; 4,000 to 384,000 Hz is expected.")
    if channels > MAX_CHANNELS:
        raise InputError(f"{path} has {channels} channels; at most {MAX_CHANNELS} are expected, export it as mono.")
    if frames / rate > MAX_SECONDS:
        raise InputError(f"{path} is longer than {MAX_SECONDS:.0f} s; cut it into clips of 1 to 12 s.")
    if frames > MAX_SAMPLES:
        raise InputError(f"{path} holds {frames:,} samples; at most {MAX_SAMPLES:,} are expected, export it at 48 kHz.")


def _read_plain(path: Path) -> tuple[np.ndarray, int]:
    """By soundfile, block by block: a header may lie about the length, and many channels need no memory of their own."""
    with soundfile.SoundFile(str(path)) as f:
        rate, parts, frames = f.samplerate, [], 0
        _check_size(path, f.frames, rate, f.channels)
        for block in f.blocks(blocksize=65536, dtype="float32", always_2d=True):
            parts.append(block.mean(axis=1))
            frames += len(block)
            _check_size(path, frames, rate, f.channels)
    return (np.concatenate(parts) if parts else np.zeros(0, np.float32)), int(rate)


def _unpack(path: Path) -> tuple[np.ndarray, int]:
    """The first sound stream of a container, by PyAV."""
    try:
        import av
    except ImportError as e:
        raise InputError(
            f"{path} is a {path.suffix} file, which needs the extra 'formats' (pip install 'tts-meta[formats]'); "
            "or save it as wav, flac, mp3 or ogg."
        ) from e
    parts: list[np.ndarray] = []
    frames = 0
    try:
        with av.open(str(path), metadata_errors="ignore") as container:
            if not container.streams.audio:
                raise InputError(f"{path} holds no sound; record it again or leave it out.")
            stream = container.streams.audio[0]
            rate = int(stream.rate)
            _check_size(path, 0, rate, stream.channels)
            mono = av.AudioResampler(format="flt", layout="mono", rate=rate)
            for packet in container.decode(stream):
                for out in mono.resample(packet):
                    parts.append(out.to_ndarray().reshape(-1))
                    frames += len(parts[-1])
                    _check_size(path, frames, rate, 1)
    except av.FFmpegError as e:
        raise ValueError(str(e)) from e
    return (np.concatenate(parts) if parts else np.zeros(0, np.float32)), rate


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


def write_wav(path: str | Path, samples: np.ndarray, rate: int, comment: str = "") -> None:
    """Write `[N]` float samples as 16-bit wav, atomically, with a comment in its metadata."""
    buffer = io.BytesIO()
    with soundfile.SoundFile(buffer, "w", rate, 1, "PCM_16", format="WAV") as f:
        if comment:
            f.comment = comment
        f.write(np.clip(samples, -1.0, 1.0))
    replace_file(path, buffer.getvalue())

"""Sound files to one channel of samples, whatever they are called: the content chooses the decoder.

soundfile carries its own decoders (wav, flac, mp3, ogg, opus, aiff, caf, au); PyAV, where the extra `formats` is
installed, reads what phones, browsers and old programs make.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import soundfile

from tts_meta.audio.whole import cut_off, lost_its_index
from tts_meta.errors import InputError

PLAIN = (".wav", ".flac", ".mp3", ".ogg", ".opus", ".oga", ".aiff", ".aif", ".aifc", ".caf", ".au", ".snd", ".w64", ".rf64",
         ".mp2", ".mpga")
PACKED = (".m4a", ".m4b", ".mp4", ".mov", ".aac", ".webm", ".mka", ".mkv", ".3gp", ".wma", ".amr", ".wv", ".ac3", ".spx")
"""What phones and browsers make; read through PyAV (the extra `formats`)."""
SUFFIXES = (*PLAIN, *PACKED)
MAX_SECONDS = 600.0
"""Longest clip read at once (s); a longer one is refused before it is decoded, so it cannot exhaust memory."""
MAX_SAMPLES = 60_000_000
MAX_CHANNELS = 64
LOUDEST = 100.0
"""A float file may go over 1 a little; what is far over it is not sound."""
SILENT_CHANNEL = 0.05
"""Share of the loudest channel's level under which a channel is taken for silent."""
CANCELLED = 0.25
"""Share of the loudest channel's power under which the mean of the channels has cancelled itself out."""
_BLOCK = 65536  # frames
_DEMUXERS = (
    "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,asf,aac,mp3,ogg,flac,wav,caf,au,amr,amrnb,amrwb,w64,aiff,wv,ac3,eac3,avi,flv,mpeg,"
    "mpegts"
)
"""Containers of sound; FFmpeg also knows play lists, which would open other files."""
_PACKED_HEADS = (b"ftyp", b"\x1a\x45\xdf\xa3", b"\x30\x26\xb2\x75", b"#!AMR", b"wvpk")


@dataclass(frozen=True)
class Recording:
    """Samples `[N]` float32 in [-1, 1], their rate (Hz), and (sentence, fix) of what was wrong with the file and mended."""

    samples: np.ndarray
    rate: int
    problems: list[tuple[str, str]] = field(default_factory=list)


class Source:
    """A file that can be decoded in blocks `[n, channels]`, again and again; `ended_early` is known after a whole pass."""

    rate: int
    channels: int
    frames: int  # as the header says; 0 when it does not
    float_samples = False

    def __init__(self, path: Path) -> None:
        self.path, self.ended_early = path, False

    def blocks(self) -> Iterator[np.ndarray]:
        raise NotImplementedError


class PlainSource(Source):
    """By soundfile: a header may lie about the length, and many channels need no memory of their own."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        with soundfile.SoundFile(str(path)) as f:
            self.rate, self.channels = f.samplerate, f.channels
            self.frames = f.frames if f.frames < 2**60 else 0
            self.float_samples = f.subtype in ("FLOAT", "DOUBLE")

    def blocks(self) -> Iterator[np.ndarray]:
        count = 0
        with soundfile.SoundFile(str(self.path)) as f:
            while True:
                try:
                    block = f.read(_BLOCK, dtype="float32", always_2d=True)
                except (soundfile.LibsndfileError, RuntimeError):
                    if not count:
                        raise
                    self.ended_early = True
                    return
                if not len(block):
                    break
                count += len(block)
                yield block
        # An mp3's length is an estimate.
        self.ended_early = self.frames - count > 0.05 * self.rate and count < 0.97 * self.frames or cut_off(self.path)


class PackedSource(Source):
    """The first sound stream of a container, by PyAV; more than two channels are mixed there."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        import av

        with open(path, "rb") as f, av.open(f, metadata_errors="ignore", options=_SAFE) as container:
            if not container.streams.audio:
                raise InputError(f"{path} holds no sound; record it again or leave it out.")
            stream = container.streams.audio[0]
            self.rate, count = int(stream.rate), int(stream.channels)
            self.channels = count if count in (1, 2) else 1
            self.given_channels = count
            length = getattr(container, "duration", None) or 0
            seconds = float(stream.duration * (stream.time_base or 0)) if stream.duration else length / 1e6
            self.frames = int(seconds * self.rate)

    def blocks(self) -> Iterator[np.ndarray]:
        import av

        count = 0
        layout = {1: "mono", 2: "stereo"}[self.channels]
        with open(self.path, "rb") as f, av.open(f, metadata_errors="ignore", options=_SAFE) as container:
            stream = container.streams.audio[0]
            resampler = av.AudioResampler(format="fltp", layout=layout, rate=self.rate)
            try:
                for packet in container.decode(stream):  # type: ignore[union-attr]
                    for out in resampler.resample(packet):
                        block = out.to_ndarray().T
                        count += len(block)
                        yield block
            except av.FFmpegError as e:
                if not count:
                    raise ValueError(str(e)) from e
                self.ended_early = True
                return
        self.ended_early = self.frames - count > 0.5 * self.rate and count < 0.9 * self.frames or cut_off(self.path)


_SAFE = {"format_whitelist": _DEMUXERS, "protocol_whitelist": "file"}


def open_source(path: Path) -> Source:
    """The decoder that can read `path`. Raises InputError when none can, with what to do."""
    if not path.is_file():
        raise InputError(f"{path} does not exist; give the path of an audio file ({', '.join(SUFFIXES)}).")
    if path.stat().st_size == 0:
        raise InputError(f"{path} is empty (0 bytes); record it again or leave it out.")
    with open(path, "rb") as f:
        head = f.read(16)
    packed = path.suffix.lower() in PACKED or any(m in head for m in _PACKED_HEADS)
    try:
        return _to_its_end(PlainSource(path))
    except (soundfile.LibsndfileError, RuntimeError, OSError, ValueError, TypeError) as e:
        plain = e
    try:
        import av
    except ImportError as e:
        if packed:
            kind = path.suffix if path.suffix.lower() in PACKED else "packed sound (m4a, webm or the like)"
            raise InputError(
                f"{path} is a {kind} file, which needs the extra 'formats' (pip install 'tts-meta[formats]'); "
                "or save it as wav, flac, mp3 or ogg."
            ) from e
        raise unreadable(path) from plain
    try:
        return PackedSource(path)
    except InputError:
        if packed:
            raise
        raise unreadable(path) from plain
    except (av.FFmpegError, OSError, ValueError, TypeError, RuntimeError, AttributeError) as e:  # no codec: no attributes
        if lost_its_index(path):
            raise InputError(f"{path} is cut off: the index that such a file has at its end is not there; copy or export it "
                             "again.") from e
        raise unreadable(path) from e


def _to_its_end(source: PlainSource) -> Source:
    """`source`, or, for a wav of a recorder that crashed before it wrote the length (0), all that follows the header, where
    PyAV is there to read it."""
    if source.frames or source.path.stat().st_size < _BLOCK // 16:
        return source
    with contextlib.suppress(ImportError, InputError, OSError, ValueError):
        packed = PackedSource(source.path)
        if next(packed.blocks(), None) is not None:
            return packed
    return source


_NO_SOUND = {
    b"version https://git-lfs": "a pointer of Git LFS; fetch the sound itself (git lfs pull)",
    b"<": "a web page or XML; download the sound itself",
    b"{": "JSON; give the sound itself",
}


def unreadable(path: Path) -> InputError:
    """What is said of a file that no decoder reads."""
    with contextlib.suppress(OSError), open(path, "rb") as f:
        head = f.read(200).lstrip()
        for begin, what in _NO_SOUND.items():
            if head.startswith(begin) and b"\0" not in head:
                return InputError(f"{path} could not be read as audio: it is {what}.")
    return InputError(f"{path} could not be read as audio; give a wav, flac, mp3, ogg or opus file (convert it first).")


def check_size(path: Path, frames: int, rate: int, channels: int, longest: float = MAX_SECONDS) -> None:
    """Raises InputError for a rate, a number of channels or a length (`longest`, s) that no recording of speech has."""
    if not 4000 <= rate <= 384000:
        raise InputError(f"{path} has a sample rate of {rate:,} Hz; 4,000 to 384,000 Hz is expected.")
    if channels > MAX_CHANNELS:
        raise InputError(f"{path} has {channels} channels; at most {MAX_CHANNELS} are expected, export it as mono.")
    if frames / rate > longest:
        raise InputError(f"{path} is longer than {longest:.0f} s; cut it into clips of 1 to 12 s.")
    if frames > MAX_SAMPLES:
        raise InputError(f"{path} holds {frames:,} samples; at most {MAX_SAMPLES:,} are expected, export it at 48 kHz.")


def mix(blocks: Iterator[np.ndarray], channels: int) -> np.ndarray:
    """Weights `[channels]` that make one channel of them: silent ones have none, and where the mean cancels itself out
    (one channel is the other upside down) the loudest has all."""
    if channels == 1:
        return np.ones(1, np.float32)
    total, product, count = np.zeros(channels), np.zeros((channels, channels)), 0
    for block in blocks:
        wide = block.astype(np.float64)
        total += wide.sum(0)
        product += wide.T @ wide
        count += len(wide)
    if not count:
        return np.full(channels, 1 / channels, np.float32)
    mean = total / count
    covariance = product / count - np.outer(mean, mean)  # a constant is no sound
    power = covariance.diagonal()
    live = power >= SILENT_CHANNEL**2 * power.max()
    weights = live / live.sum()
    if weights @ covariance @ weights < CANCELLED * power.max() / live.sum() ** (live.sum() > 2):
        weights = (np.arange(channels) == power.argmax()).astype(float)
    return weights.astype(np.float32)


def read_recording(path: str | Path, longest: float = MAX_SECONDS) -> Recording:
    """Decode one file to mono, its constant offset taken away, a float file over 1 scaled down.

    Raises InputError when it is missing, empty, not audio, longer than `longest` (s), holds samples that are not numbers,
    or needs the extra `formats` where that is not there.
    """
    path = Path(path)
    source = open_source(path)
    given = getattr(source, "given_channels", source.channels)
    check_size(path, source.frames, source.rate, given, longest)
    parts: list[np.ndarray] = []
    try:
        weights = mix(_limited(source, longest), source.channels)
        for block in _limited(source, longest):
            parts.append((block @ weights).astype(np.float32))
    except InputError:
        raise
    except (soundfile.LibsndfileError, RuntimeError, OSError, ValueError, TypeError) as e:
        raise unreadable(path) from e
    samples = np.concatenate(parts) if parts else np.zeros(0, np.float32)
    if not len(samples):
        raise InputError(f"{path} holds no samples; record it again or leave it out.")
    if not np.isfinite(samples).all():
        raise InputError(f"{path} holds samples that are not numbers (NaN or infinity); export it again.")
    peak = float(np.abs(samples).max())
    if peak > LOUDEST:
        raise InputError(f"{path} holds samples up to {peak:.3g}; -1 to 1 is expected, export it again.")
    offset = float(samples.mean())
    if abs(offset) > 1e-4:
        samples = samples - np.float32(offset)
    if source.float_samples and (peak := float(np.abs(samples).max())) > 1:
        samples = samples * np.float32(0.99 / peak)
    problems = []
    if source.ended_early:
        whole = f" of {source.frames / source.rate:.1f} s" if source.frames > len(samples) else ""
        problems.append((
            f"It is cut off: the file ends before its own header says ({len(samples) / source.rate:.1f} s{whole} are there).",
            "Copy or export it again, and check that its text is all said.",
        ))
    return Recording(samples, source.rate, problems)


def _limited(source: Source, longest: float) -> Iterator[np.ndarray]:
    frames = 0
    for block in source.blocks():
        frames += len(block)
        check_size(source.path, frames, source.rate, source.channels, longest)
        yield block

"""Speech to the formats of the API, sentence by sentence: what is encoded so far can be sent at once."""

from __future__ import annotations

import io

import numpy as np
import soundfile
import soxr

from tts_meta.audio.mel import SAMPLE_RATE
from tts_meta.errors import InputError

PCM_RATE = 24_000
"""Hz of `pcm`, which has no header to say it: OpenAI's, 16 bit, little-endian, mono."""
FORMATS = {
    "mp3": "audio/mpeg", "opus": "audio/ogg", "aac": "audio/aac", "flac": "audio/flac", "wav": "audio/wav", "pcm": "audio/pcm",
}
_SOUNDFILE = {"mp3": ("MP3", None, SAMPLE_RATE), "opus": ("OGG", "OPUS", 24_000), "flac": ("FLAC", "PCM_16", SAMPLE_RATE)}


def pcm(samples: np.ndarray) -> bytes:
    """16-bit little-endian samples."""
    return (np.clip(samples, -1, 1) * 32767).astype("<i2").tobytes()


def wav_head(size: int | None = None) -> bytes:
    """The header of a wav of `size` bytes of samples; None: of a length that is not known yet."""
    rate = SAMPLE_RATE
    riff = 0xFFFFFFFF if size is None else 36 + size
    data = 0xFFFFFFFF if size is None else size
    return (b"RIFF" + riff.to_bytes(4, "little") + b"WAVEfmt " + (16).to_bytes(4, "little") + (1).to_bytes(2, "little")
            + (1).to_bytes(2, "little") + rate.to_bytes(4, "little") + (2 * rate).to_bytes(4, "little") + (2).to_bytes(2,
                "little")
            + (16).to_bytes(2, "little") + b"data" + data.to_bytes(4, "little"))


_BITRATES = (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160, 0)  # kbit/s of MPEG-2 layer III


def _info_frame(mp3: bytes) -> int:
    """Bytes of the first frame, kept free for the length of all: a stream has none to tell."""
    if len(mp3) < 100 or mp3[0] != 0xFF or any(mp3[4:40]):
        return 0
    return 72_000 * _BITRATES[mp3[2] >> 4] // SAMPLE_RATE + (mp3[2] >> 1 & 1)


class Encoder:
    """`[N]` samples at SAMPLE_RATE in, bytes out. `whole` is the file that all of them make."""

    def feed(self, samples: np.ndarray) -> bytes:
        raise NotImplementedError

    def end(self) -> bytes:
        """The last bytes; call it once, also when the speech ends early."""
        return b""

    def whole(self, sent: bytes) -> bytes:
        """The file for a client that waits for all of it; `sent` is what `feed` and `end` gave."""
        return sent


class Wav(Encoder):
    """A wav whose length is not known when it begins."""

    def __init__(self) -> None:
        self._begun = False

    def feed(self, samples: np.ndarray) -> bytes:
        head, self._begun = b"" if self._begun else wav_head(), True
        return head + pcm(samples)

    def whole(self, sent: bytes) -> bytes:
        return wav_head(len(sent) - 44) + sent[44:]


class Pcm(Encoder):
    """16 bit at PCM_RATE (Hz), as OpenAI's clients play it."""

    def __init__(self) -> None:
        self._stream = soxr.ResampleStream(SAMPLE_RATE, PCM_RATE, 1, dtype="float32")

    def feed(self, samples: np.ndarray) -> bytes:
        return pcm(self._stream.resample_chunk(samples.astype(np.float32)))

    def end(self) -> bytes:
        return pcm(self._stream.resample_chunk(np.zeros(0, np.float32), last=True))


class Sound(Encoder):
    """By soundfile into memory; a header that is written again at the end is right only in `whole`."""

    def __init__(self, name: str) -> None:
        form, subtype, rate = _SOUNDFILE[name]
        self._name, self._begun = name, False
        self._buffer, self._sent = io.BytesIO(), 0
        self._resampler = soxr.ResampleStream(SAMPLE_RATE, rate, 1, dtype="float32") if rate != SAMPLE_RATE else None
        # Players guess the length of a stream from the bit rate of its first frame, so it stays the same.
        even = {"bitrate_mode": "CONSTANT", "compression_level": 0.6} if name == "mp3" else {}
        self._file = soundfile.SoundFile(self._buffer, "w", rate, 1, subtype, format=form, **even)

    def _new(self) -> bytes:
        data = self._buffer.getbuffer()[self._sent :].tobytes()
        self._sent += len(data)
        return data

    def feed(self, samples: np.ndarray) -> bytes:
        wide = samples.astype(np.float32)
        self._file.write(self._resampler.resample_chunk(wide) if self._resampler else wide)
        self._file.flush()
        data = self._new()
        if self._begun or not data:
            return data
        self._begun = True
        return data[_info_frame(data) :] if self._name == "mp3" else data

    def end(self) -> bytes:
        if self._resampler:
            self._file.write(self._resampler.resample_chunk(np.zeros(0, np.float32), last=True))
        self._file.close()
        return self._new()

    def whole(self, sent: bytes) -> bytes:
        return self._buffer.getvalue()


class Aac(Encoder):
    """By PyAV, in frames that need no container (ADTS). Raises InputError without the extra `formats`."""

    def __init__(self) -> None:
        try:
            import av
        except ImportError as e:
            raise InputError(
                "The response_format 'aac' needs the extra 'formats' (pip install 'tts-meta[formats]'); mp3,"
                " opus, flac, wav and pcm do not."
            ) from e
        self._av, self._buffer, self._sent = av, io.BytesIO(), 0
        self._container = av.open(self._buffer, "w", format="adts")
        self._stream = self._container.add_stream("aac", rate=PCM_RATE, layout="mono")
        self._stream.bit_rate = 96_000
        self._resampler = av.AudioResampler(format="fltp", layout="mono", rate=PCM_RATE, frame_size=1024)

    def _encode(self, frame: object) -> bytes:
        for out in self._resampler.resample(frame):
            self._container.mux(self._stream.encode(out))
        data = self._buffer.getbuffer()[self._sent :].tobytes()
        self._sent += len(data)
        return data

    def feed(self, samples: np.ndarray) -> bytes:
        frame = self._av.AudioFrame.from_ndarray(samples.astype(np.float32)[None], format="fltp", layout="mono")
        frame.sample_rate = SAMPLE_RATE
        return self._encode(frame)

    def end(self) -> bytes:
        last = self._encode(None)
        self._container.mux(self._stream.encode(None))
        self._container.close()
        rest = self._buffer.getvalue()[self._sent :]
        return last + rest


def encoder(name: str) -> Encoder:
    """The encoder of a format of FORMATS. Raises InputError when a part of it is not installed."""
    if name == "aac":
        return Aac()
    return Wav() if name == "wav" else Pcm() if name == "pcm" else Sound(name)

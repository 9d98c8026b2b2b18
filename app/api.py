"""The HTTP API, in OpenAI's shape: POST /v1/audio/speech, GET /v1/voices. All logic is in tts_meta.voices.

A voice is named, never given as a path; one sentence is spoken at a time, and `stream` sends each as it is ready.
"""

from __future__ import annotations

import io
import secrets
import threading
from collections.abc import Iterator
from typing import Annotated, Literal

import numpy as np
import soundfile
import uvicorn
from fastapi import Depends, FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response, StreamingResponse
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from pydantic import BaseModel, Field

from tts_meta.audio.mel import SAMPLE_RATE
from tts_meta.errors import InputError
from tts_meta.voices.library import describe_voices, named_voice
from tts_meta.voices.networks import default_starter
from tts_meta.voices.synthesize import Spoken, Synthesizer, check_settings
from tts_meta.voices.voice_file import load_voice

LONGEST_INPUT = 20_000  # characters
FORMATS = {
    "wav": ("audio/wav", "WAV", "PCM_16"), "flac": ("audio/flac", "FLAC", "PCM_16"), "mp3": ("audio/mpeg", "MP3", None),
    "opus": ("audio/ogg", "OGG", "OPUS"), "pcm": ("audio/pcm", "", ""),
}


BEARER = HTTPBearer(auto_error=False)


class Refused(Exception):
    """The key is missing or wrong."""


class Speech(BaseModel):
    """What to say. `pitch` (semitones), `energy` (dB) and `stream` are additions to OpenAI's fields."""

    input: str = Field(min_length=1, max_length=LONGEST_INPUT)
    voice: str
    model: str = "tts-meta"
    response_format: Literal["wav", "flac", "mp3", "opus", "pcm"] = "wav"
    speed: float = Field(1.0, ge=0.25, le=4.0)
    pitch: float = Field(0.0, ge=-24, le=24)
    energy: float = Field(0.0, ge=-20, le=20)
    stream: bool = False


class Speakers:
    """Voices that are loaded, by name and time of their file; at most KEPT of them. One sentence at a time is spoken."""

    KEPT = 8

    def __init__(self, watermark: bool = False) -> None:
        self.watermark = watermark
        self.lock = threading.Lock()
        self.loaded: dict[tuple[str, int], Synthesizer] = {}

    def get(self, name: str) -> Synthesizer:
        path = named_voice(name)
        key = (name, path.stat().st_mtime_ns)
        with self.lock:
            if key not in self.loaded:
                starter = default_starter()
                self.loaded = {k: v for k, v in self.loaded.items() if k[0] != name}
                if len(self.loaded) >= self.KEPT:
                    self.loaded.pop(next(iter(self.loaded)))
                self.loaded[key] = Synthesizer.of(starter, load_voice(path, starter), watermark=self.watermark)
            return self.loaded[key]

    def stream(self, request: Speech) -> Iterator[Spoken]:
        parts = self.get(request.voice).stream(request.input, request.speed, request.pitch, request.energy)
        while True:
            with self.lock:
                part = next(parts, None)
            if part is None:
                return
            yield part


def error(status: int, message: str, kind: str = "invalid_request_error", param: str | None = None) -> JSONResponse:
    """An error in OpenAI's shape."""
    return JSONResponse({"error": {"message": message, "type": kind, "param": param, "code": None}}, status)


def pcm(samples: np.ndarray) -> bytes:
    """16-bit little-endian samples."""
    return (np.clip(samples, -1, 1) * 32767).astype("<i2").tobytes()


def wav_head() -> bytes:
    """The header of a wav whose length is not known yet."""
    size, rate = b"\xff\xff\xff\xff", SAMPLE_RATE
    return (b"RIFF" + size + b"WAVEfmt " + (16).to_bytes(4, "little") + (1).to_bytes(2, "little") + (1).to_bytes(2, "little")
            + rate.to_bytes(4, "little") + (2 * rate).to_bytes(4, "little") + (2).to_bytes(2, "little")
            + (16).to_bytes(2, "little") + b"data" + size)


def build(key: str | None = None, watermark: bool = False) -> FastAPI:
    """The application; with `key` every request needs it as a bearer token, with `watermark` all speech is marked."""
    app = FastAPI(title="tts-meta", docs_url=None, redoc_url=None, openapi_url=None)
    speakers = Speakers(watermark)

    def allowed(given: Annotated[HTTPAuthorizationCredentials | None, Depends(BEARER)]) -> None:
        if key is not None and (given is None or not secrets.compare_digest(given.credentials.encode(), key.encode())):
            raise Refused

    @app.exception_handler(Refused)
    def refused(_: Request, __: Exception) -> JSONResponse:
        return error(401, "The key is missing or wrong; send it as `Authorization: Bearer KEY`.", "authentication_error")

    @app.exception_handler(InputError)
    def bad_input(_: Request, e: Exception) -> JSONResponse:
        return error(404 if "There is no voice" in str(e) else 400, str(e))

    @app.exception_handler(RequestValidationError)
    def bad_request(_: Request, e: Exception) -> JSONResponse:
        first = e.errors()[0]  # type: ignore[attr-defined]
        field = ".".join(str(x) for x in first["loc"][1:])
        return error(400, f"{field or 'The body'}: {first['msg']}.", param=field or None)

    @app.get("/health")
    def health() -> dict:
        return {"status": "ok"}

    @app.get("/v1/models", dependencies=[Depends(allowed)])
    def models() -> dict:
        return {"object": "list", "data": [{"id": "tts-meta", "object": "model", "owned_by": "tts-meta"}]}

    @app.get("/v1/voices", dependencies=[Depends(allowed)])
    def voices() -> dict:
        rows = [r for r in describe_voices(example=True) if not r["problem"]]
        keys = ("name", "clips", "seconds", "created", "note")
        return {"object": "list", "data": [{"id": r["name"], "object": "voice", **{k: r[k] for k in keys}} for r in rows]}

    @app.post("/v1/audio/speech", dependencies=[Depends(allowed)])
    def speech(request: Speech) -> Response:
        check_settings(request.input, request.speed, request.pitch, request.energy)
        kind, container, subtype = FORMATS[request.response_format]
        parts = speakers.stream(request)
        first = next(parts)  # a refusal is an answer of its own, not a broken stream
        if request.stream and request.response_format in ("wav", "pcm"):
            def sound() -> Iterator[bytes]:
                yield (wav_head() if request.response_format == "wav" else b"") + pcm(first.samples)
                for part in parts:
                    yield pcm(part.samples)

            return StreamingResponse(sound(), media_type=kind)
        samples = np.concatenate([first.samples, *(p.samples for p in parts)])
        if request.response_format == "pcm":
            return Response(pcm(samples), media_type=kind)
        buffer = io.BytesIO()
        rate = SAMPLE_RATE
        if request.response_format == "opus":  # which knows 48, 24, 16, 12 and 8 kHz
            from tts_meta.audio.files import resample

            samples, rate = resample(samples, SAMPLE_RATE, 24000), 24000
        soundfile.write(buffer, samples, rate, format=container, subtype=subtype)
        return Response(buffer.getvalue(), media_type=kind)

    return app


def serve(host: str, port: int, key: str | None, watermark: bool = False) -> None:
    """Serve until interrupted. Raises InputError when the port is taken."""
    import socket

    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as e:
            raise InputError(f"The API could not be served on {host}:{port} ({e}); choose another --port.") from e
    default_starter()
    uvicorn.run(build(key, watermark), host=host, port=port, log_level="warning")

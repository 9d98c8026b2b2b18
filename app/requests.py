"""What a client asks for: OpenAI's fields as its clients send them, nulls and all, and some of ours."""

from __future__ import annotations

import json
from typing import Any, Literal

from pydantic import BaseModel, Field, ValidationError, field_validator, model_validator

from tts_meta.text.textfile import MARKS

LONGEST_INPUT = 20_000  # characters
LARGEST_BODY = 512 * 2**10  # bytes


class Refusal(Exception):
    """An answer of its own: HTTP status, sentence, the field it is about."""

    def __init__(self, status: int, message: str, param: str | None = None) -> None:
        super().__init__(message)
        self.status, self.message, self.param = status, message, param


class Speech(BaseModel):
    """What to say. `pitch` (semitones), `energy` (dB) and `stream` are additions to OpenAI's fields; a null is the default,
    and a field that is not known is ignored."""

    input: str = Field(min_length=1, max_length=LONGEST_INPUT, description="The text; [[phonemes]] and *emphasis*.")
    voice: str = Field(description="A voice of GET /v1/voices, or an alias; also as {\"id\": NAME}.")
    model: str = "tts-meta"
    response_format: Literal["mp3", "opus", "aac", "flac", "wav", "pcm"] = "mp3"
    stream_format: Literal["audio", "sse"] = "audio"
    speed: float = Field(1.0, ge=0.25, le=4.0)
    pitch: float = Field(0.0, ge=-24, le=24)
    energy: float = Field(0.0, ge=-20, le=20)
    stream: bool = Field(False, description="Send every sentence as it is ready.")
    instructions: str = Field("", description="Ignored: a voice speaks as its clips do.")

    @model_validator(mode="before")
    @classmethod
    def _defaults(cls, data: Any) -> Any:
        """Nulls and empty strings are what was not said."""
        if isinstance(data, dict):
            return {k: v for k, v in data.items() if v is not None and (v != "" or k == "input")}
        return data

    @field_validator("voice", mode="before")
    @classmethod
    def _voice(cls, value: Any) -> Any:
        if isinstance(value, dict):
            return value.get("id") or value.get("name") or value
        return value

    @field_validator("response_format", "stream_format", mode="before")
    @classmethod
    def _small(cls, value: Any) -> Any:
        return value.strip().lower() if isinstance(value, str) else value

    @property
    def streamed(self) -> bool:
        return self.stream or self.stream_format == "sse"


def read_speech(body: bytes, content_type: str) -> Speech:
    """The request in `body`. Raises Refusal: 413 too large, 415 no JSON by its type, 400 for what is wrong in it."""
    if len(body) > LARGEST_BODY:
        raise Refusal(413, f"The body has {len(body):,} bytes; at most {LARGEST_BODY:,} are expected.")
    json_type = "json" in content_type.lower()
    mark = next((encoding for m, encoding in MARKS if body.startswith(m)), "utf-8")
    try:
        text = body.decode(mark)
    except UnicodeDecodeError as e:
        raise Refusal(400, "The body is not UTF-8 text (Latin-1, perhaps); encode the JSON as UTF-8.") from e
    try:
        data = json.loads(text)
    except (ValueError, RecursionError) as e:
        if content_type and not json_type:
            raise Refusal(415, f"The body is {content_type.split(';')[0]}; JSON is expected (Content-Type: "
                          f"application/json).") from e
        raise Refusal(400, f"The body is no JSON ({e}); an object with input and voice is expected.") from e
    if not isinstance(data, dict):
        raise Refusal(400, "The body is no JSON object; one with input and voice is expected.")
    try:
        return Speech.model_validate(data)
    except ValidationError as e:
        first = e.errors()[0]
        name = ".".join(str(x) for x in first["loc"])
        raise Refusal(400, wrong_field(name or "The body", first["type"], first["msg"], first["input"]), name or None) from e


def wrong_field(name: str, kind: str, message: str, given: Any) -> str:
    """What was given for a field and what is expected."""
    if kind == "missing":
        return f"The field {name} is missing or null; an object with input (the text) and voice is expected."
    shown = repr(given)
    size = f" ({len(given):,} characters)" if isinstance(given, str) and len(shown) > 60 else ""
    return f"The field {name} is {shown[:60]}{'...' * (len(shown) > 60)}{size}: {message[:1].lower()}{message[1:]}."

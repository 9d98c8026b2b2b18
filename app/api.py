"""The HTTP API, in OpenAI's shape: POST /v1/audio/speech, GET /v1/voices. All logic is in tts_meta.voices.

A voice is named, never given as a path; one sentence is spoken at a time, and `stream` sends each as it is ready.
"""

from __future__ import annotations

import base64
import html
import json
import logging
import secrets
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import aclosing
from typing import Annotated

import uvicorn
from fastapi import Depends, FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.middleware.cors import CORSMiddleware
from fastapi.responses import HTMLResponse, JSONResponse, Response, StreamingResponse
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from tts_meta.audio.vocoder import prepare_vocoder
from tts_meta.errors import InputError
from tts_meta.starters.chosen_starter import default_starter
from tts_meta.voices.library import describe_voices

from .encoders import FORMATS, encoder
from .requests import LARGEST_BODY, Refusal, Speech, read_speech
from .speakers import Gone, Speakers
from .turns import Busy

BEARER = HTTPBearer(auto_error=False)
MODELS = ("tts-meta", "tts-1", "tts-1-hd", "gpt-4o-mini-tts")  # one model, by the names that clients ask for
RETRY = 5  # s that a client is asked to wait when the queue is full
KINDS = {401: "authentication_error", 503: "server_error", 500: "server_error"}
log = logging.getLogger("tts_meta.api")


def error(status: int, message: str, param: str | None = None, headers: Mapping[str, str] | None = None) -> JSONResponse:
    """An error in OpenAI's shape."""
    kind = KINDS.get(status, "invalid_request_error")
    content = {"error": {"message": message, "type": kind, "param": param, "code": None}}
    return JSONResponse(content, status, headers=dict(headers or {}))


def _answer_errors(app: FastAPI) -> None:
    """Every refusal, the router's own included, in OpenAI's shape."""

    @app.exception_handler(Refusal)
    def refused(_: Request, e: Refusal) -> JSONResponse:
        return error(e.status, e.message, e.param, {"WWW-Authenticate": "Bearer"} if e.status == 401 else None)

    @app.exception_handler(InputError)
    def bad_input(_: Request, e: InputError) -> JSONResponse:
        return error(400, str(e))

    @app.exception_handler(Busy)
    def busy(_: Request, __: Exception) -> JSONResponse:
        return error(503, f"Too many requests wait to be spoken; try again in {RETRY} s.", headers={"Retry-After": str(RETRY)})

    @app.exception_handler(RequestValidationError)
    def bad_request(_: Request, e: RequestValidationError) -> JSONResponse:
        first = e.errors()[0]
        field = ".".join(str(x) for x in first["loc"][1:])
        return error(400, f"{field or 'The body'}: {first['msg']}.", field or None)

    @app.exception_handler(HTTPException)
    def of_the_router(request: Request, e: HTTPException) -> Response:
        if request.method == "OPTIONS" and e.status_code == 405:
            here = [r for r in app.routes if getattr(r, "path", None) == request.url.path]
            allowed = sorted({m for r in here for m in getattr(r, "methods", None) or ()})
            return Response(status_code=204, headers={"Allow": ", ".join([*allowed, "OPTIONS"])})
        said = {404: f"There is nothing at {request.url.path}; /docs lists what there is.",
                405: f"{request.method} is not what {request.url.path} answers; /docs lists what there is."}
        return error(e.status_code, said.get(e.status_code, str(e.detail)), headers=e.headers)

    @app.exception_handler(Exception)
    def bug(_: Request, e: Exception) -> JSONResponse:
        return error(500, f"Something went wrong here ({type(e).__name__}); the server's log says what.")


def _model(name: str) -> dict:
    return {"id": name, "object": "model", "created": 0, "owned_by": "tts-meta"}


def build(
    key: str | None = None, watermark: bool = False, aliases: Mapping[str, str] | None = None, cors: Iterable[str] = (),
) -> FastAPI:
    """The application. With `key` every request needs it as a bearer token, with `watermark` all speech is marked;
    `aliases` are other names of voices, `cors` the origins whose pages may ask (none: no page of another origin may)."""
    app = FastAPI(title="tts-meta", docs_url=None, redoc_url=None)
    speakers = Speakers(watermark, aliases)
    if origins := list(cors):
        app.add_middleware(CORSMiddleware, allow_origins=origins, allow_methods=["*"], allow_headers=["*"])
    _answer_errors(app)

    def allowed(given: Annotated[HTTPAuthorizationCredentials | None, Depends(BEARER)]) -> None:
        if key is not None and (given is None or not secrets.compare_digest(given.credentials.encode(), key.encode())):
            raise Refusal(401, "The key is missing or wrong; send it as `Authorization: Bearer KEY`.")

    @app.get("/health")
    @app.head("/health", include_in_schema=False)
    def health() -> dict:
        return {"status": "ok"}

    @app.head("/docs", include_in_schema=False)
    @app.get("/docs", include_in_schema=False)
    def docs() -> HTMLResponse:
        return HTMLResponse(_page(app))

    @app.head("/v1/models", include_in_schema=False, dependencies=[Depends(allowed)])
    @app.get("/v1/models", dependencies=[Depends(allowed)])
    def models() -> dict:
        return {"object": "list", "data": [_model(n) for n in MODELS]}

    @app.get("/v1/models/{name}", dependencies=[Depends(allowed)])
    def model(name: str) -> dict:
        if name not in MODELS:
            raise Refusal(404, f"There is no model {name[:60]!r}; any of {', '.join(MODELS)} is the one there is.", "model")
        return _model(name)

    @app.head("/v1/voices", include_in_schema=False, dependencies=[Depends(allowed)])
    @app.get("/v1/voices", dependencies=[Depends(allowed)])
    def voices() -> dict:
        rows = [r for r in describe_voices(example=True) if not r["problem"]]
        keys = ("name", "clips", "seconds", "created", "note")
        data = [{"id": r["name"], "object": "voice", **{k: r[k] for k in keys}} for r in rows]
        return {"object": "list", "data": data, "aliases": speakers.aliases}

    schema = {"requestBody": {"required": True, "content": {"application/json": {"schema": Speech.model_json_schema()}}}}

    @app.post("/v1/audio/speech", dependencies=[Depends(allowed)], openapi_extra=schema)
    async def speech(request: Request) -> Response:
        try:
            body = await _body(request)
        except ClientDisconnect:
            log.info("a client left before it had sent its request")
            return Response(status_code=499)
        return await _spoken(speakers, request, read_speech(body, request.headers.get("content-type", "")))

    return app


async def _body(request: Request) -> bytes:
    """The body as it was sent, in chunks or with its length told before. Raises Refusal for one that is too large or packed,
    ClientDisconnect when the client leaves."""
    packed = request.headers.get("content-encoding", "identity")
    if packed.lower() != "identity":
        raise Refusal(415, f"The body is packed ({packed}); send it as it is, without Content-Encoding.")
    too_large = Refusal(413, f"The body is larger than {LARGEST_BODY:,} bytes.")
    if int(request.headers.get("content-length") or 0) > 4 * LARGEST_BODY:
        raise too_large
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > 4 * LARGEST_BODY:
            raise too_large
    return bytes(body)


async def _spoken(speakers: Speakers, request: Request, asked: Speech) -> Response:
    """The answer: all of the speech, or a stream of its sentences. What is wrong is told before the first byte."""
    synthesizer, warnings = await run_in_threadpool(speakers.check, asked)
    made = encoder(asked.response_format)
    speakers.turns.enter()
    kind = FORMATS[asked.response_format]
    note = {"X-Note": " ".join(warnings).encode("ascii", "backslashreplace").decode()[:500]} if warnings else {}

    async def sound() -> AsyncIterator[bytes]:
        try:
            async with aclosing(speakers.speak(synthesizer, asked, request.is_disconnected)) as parts:
                async for part in parts:
                    yield await run_in_threadpool(made.feed, part.samples)
            yield made.end()
        finally:
            speakers.turns.exit()

    chunks = sound()

    async def streamed(first: bytes) -> AsyncIterator[bytes]:
        """The chunks; what happens in the middle ends a clean, shorter answer and is logged."""
        try:
            async with aclosing(chunks):
                chunk = first
                while True:
                    if chunk:
                        yield _event("speech.audio.delta", audio=base64.b64encode(chunk).decode()) if sse else chunk
                    if (chunk := await anext(chunks, None)) is None:  # type: ignore[assignment]
                        break
            if sse:
                yield _event("speech.audio.done")
        except Gone:
            log.info("a client left; its speech was stopped between two sentences")
        except Exception:
            log.exception("a streamed answer ended early")
            yield made.end()

    sse = asked.stream_format == "sse"
    try:
        if asked.streamed:
            # The first sentence comes before the head of the answer: what fails in it has a status of its own.
            return StreamingResponse(streamed(await anext(chunks)), media_type="text/event-stream" if sse else kind, headers=note)
        data = b"".join([chunk async for chunk in chunks])
    except Gone:
        log.info("a client left; its speech was stopped between two sentences")
        return Response(status_code=499)
    return Response(made.whole(data), media_type=kind, headers=note)


def _event(name: str, **fields: object) -> bytes:
    return f"data: {json.dumps({'type': name, **fields})}\n\n".encode()


def _page(app: FastAPI) -> str:
    """The schema as a page that needs nothing from elsewhere."""
    rows = "".join(
        f"<tr><td>{html.escape(' '.join(m.upper() for m in methods))}</td><td>{html.escape(path)}</td></tr>"
        for path, methods in app.openapi()["paths"].items()
    )
    fields = "".join(
        f"<tr><td>{html.escape(name)}</td><td>{html.escape(', '.join(map(str, f.get('enum', []))) or f.get('type', ''))}</td>"
        f"<td>{html.escape(str(f.get('default', '')))}</td><td>{html.escape(f.get('description', ''))}</td></tr>"
        for name, f in Speech.model_json_schema()["properties"].items()
    )
    return (
        "<!doctype html><html lang=en><meta charset=utf-8><title>tts-meta API</title><style>body{font:16px/1.5 "
        "sans-serif;max-width:50em;"
        "margin:2em auto;padding:0 1em}td,th{text-align:left;padding:.2em 1em .2em 0;vertical-align:top}</style>"
        f"<h1>tts-meta API</h1><table>{rows}</table><h2>POST /v1/audio/speech</h2><table><tr><th>field<th>values<th>default<th></tr>{fields}</table>"  # noqa: E501
        "<p>The whole schema: <a href='/openapi.json'>/openapi.json</a></p>"
    )


def serve(
    host: str, port: int, key: str | None, watermark: bool = False, aliases: Mapping[str,
        str] | None = None, cors: Iterable[str] = (),
) -> None:
    """Serve until interrupted. Raises InputError when the port is taken or an alias names no voice."""
    import socket

    from tts_meta.voices.library import named_voice

    for name in (aliases or {}).values():
        named_voice(name)
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as e:
            raise InputError(f"The API could not be served on {host}:{port} ({e}); choose another --port.") from e
    default_starter()
    prepare_vocoder()
    uvicorn.run(build(key, watermark, aliases, cors), host=host, port=port, log_level="warning")

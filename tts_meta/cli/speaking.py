"""say, batch, serve, app: text to speech in a voice."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from tts_meta.cli.common import Json, edge, emit, starter
from tts_meta.cli.common import say as tell
from tts_meta.errors import InputError

Watermark = Annotated[bool, typer.Option("--watermark", help="Mark the speech inaudibly (extra `watermark`).")]
Lexicon = Annotated[Path | None, typer.Option(help="File of `word IPA` lines.")]


def say(
    text: Annotated[str, typer.Argument(help="What to say; [[phonemes]], *emphasis*; - reads stdin.")],
    voice: Annotated[str, typer.Option(help="A name in your library, or a .voice file.")],
    out: Annotated[Path, typer.Option(help="The wav file to write.")],
    speed: Annotated[float, typer.Option(help="1 is normal, 2 twice as fast.")] = 1.0,
    pitch: Annotated[float, typer.Option(help="Semitones up or down.")] = 0.0,
    energy: Annotated[float, typer.Option(help="dB of effort, up or down.")] = 0.0,
    lexicon: Lexicon = None,
    watermark: Watermark = False,
    as_json: Json = False,
) -> None:
    """Speak text in a voice. Example: tts-meta say "Good morning." --voice me --out hello.wav"""
    from tts_meta.audio.files import write_wav
    from tts_meta.audio.mel import SAMPLE_RATE
    from tts_meta.audio.watermark import name
    from tts_meta.text.phonemes import read_lexicon
    from tts_meta.voices.library import find_voice
    from tts_meta.voices.synthesize import Synthesizer, comment
    from tts_meta.voices.voice_file import load_voice

    base = starter()
    loaded = load_voice(find_voice(voice), base)
    words = sys.stdin.read() if text == "-" else text
    synthesizer = Synthesizer.of(base, loaded, watermark=watermark)
    spoken = synthesizer.speak(words, speed, pitch, energy, read_lexicon(lexicon) if lexicon else None)
    mark = name() if watermark else None
    write_wav(out, spoken.samples, SAMPLE_RATE, comment(loaded.name, mark))
    for sentence in spoken.suspect:
        tell(f"listen to this sentence, its length is unusual: {sentence}")
    result = {
        "out": str(out), "seconds": round(spoken.seconds, 3), "sample_rate": SAMPLE_RATE, "voice": loaded.name,
        "sentences": len(spoken.sentences), "suspect": spoken.suspect, "watermark": mark,
    }
    emit(result, as_json, str(out))


def batch(
    file: Annotated[Path, typer.Argument(help="txt (a wav a line), csv or tsv (id,text,voice,speed), epub (a wav a chapter).")],
    out: Annotated[Path, typer.Option(help="Folder for the wavs and manifest.csv.")],
    voice: Annotated[str | None, typer.Option(help="For texts that name none.")] = None,
    lexicon: Lexicon = None,
    watermark: Watermark = False,
    as_json: Json = False,
) -> None:
    """Speak many texts; run it again to go on. Example: tts-meta batch book.epub --voice me --out book/"""
    from tts_meta.text.phonemes import read_lexicon
    from tts_meta.voices.batch import MANIFEST, read_lines, run_batch

    lines = read_lines(file, voice)
    rows = []
    for row in run_batch(starter(), lines, out, read_lexicon(lexicon) if lexicon else None, watermark):
        rows.append(row)
        tell(f"{len(rows)}/{len(lines)} {row['file']} {row['status']} {row['reason'] or row['seconds']}")
    failed = [r for r in rows if r["status"] == "failed"]
    made = len(rows) - len(failed)
    text = f"{out / MANIFEST}\n{made} of {len(rows)} made"
    emit({"manifest": str(out / MANIFEST), "made": made, "failed": failed}, as_json, text)
    if failed:
        raise InputError(f"{len(failed)} of {len(rows)} texts could not be spoken (the first: {failed[0]['reason']})")


def detect(file: Path, as_json: Json = False) -> None:
    """Whether a sound carries the mark of --watermark. Example: tts-meta detect hello.wav"""
    from tts_meta.audio.watermark import detect_file

    found = detect_file(file)
    text = "marked" if found["watermark"] else "no mark found (which does not mean that a person spoke)"
    emit(found, as_json, f"{file}: {text}, score {found['score']}")


def serve(
    host: str = "127.0.0.1", port: int = 8000, watermark: Watermark = False,
    key: Annotated[str | None, typer.Option(envvar="TTS_META_KEY", help="Bearer token that every request needs.")] = None,
) -> None:
    """Serve POST /v1/audio/speech and GET /v1/voices (OpenAI's shape). Example: tts-meta serve --port 8000"""
    _warn(host, "API", key is not None)
    starter()
    tell(f"http://{host}:{port}/v1/audio/speech")
    edge("api").serve(host, port, key, watermark)


def page(
    host: str = "127.0.0.1", port: int = 7860,
    password: Annotated[str | None, typer.Option(envvar="TTS_META_PASSWORD", help="Of the user `me`.")] = None,
) -> None:
    """Open the page in a browser. Example: tts-meta app"""
    _warn(host, "page", password is not None)
    starter()
    edge("page").serve(host, port, password=password)


def _warn(host: str, what: str, guarded: bool) -> None:
    if host not in ("127.0.0.1", "localhost", "::1"):
        guard = "whoever knows the password can use it" if guarded else "there is no password"
        tell(f"Warning: {host} lets other machines reach this {what} and its voices; {guard}.")




VERBS = {"say": say, "batch": batch, "detect": detect, "serve": serve, "app": page}

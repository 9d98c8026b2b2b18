"""say, batch, serve, app: text to speech in a voice."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tts_meta.cli.common import Json, Vocoder, edge, emit, starter
from tts_meta.cli.common import say as tell
from tts_meta.errors import InputError
from tts_meta.places import choose_vocoder

if TYPE_CHECKING:
    from tts_meta.starters.interface import Network

Watermark = Annotated[bool, typer.Option("--watermark", help="Mark the speech inaudibly (extra `watermark`).")]
Lexicon = Annotated[Path | None, typer.Option(help="File of `word IPA` lines.")]


def say(
    text: Annotated[str, typer.Argument(help="What to say; [\\[phonemes]], *emphasis*; - reads stdin.")],
    voice: Annotated[str, typer.Option(help="A name in your library, or a .voice file.")],
    out: Annotated[str, typer.Option(help="The sound file to write: wav, flac, mp3, ogg or opus by its ending.")],
    speed: Annotated[float, typer.Option(help="1 is normal, 2 twice as fast.")] = 1.0,
    pitch: Annotated[float, typer.Option(help="Semitones up or down.")] = 0.0,
    energy: Annotated[float, typer.Option(help="dB of effort, up or down.")] = 0.0,
    lexicon: Lexicon = None,
    watermark: Watermark = False,
    vocoder: Vocoder = None,
    as_json: Json = False,
) -> None:
    """Speak text in a voice. Example: tts-meta say "Good morning." --voice me --out hello.wav"""
    from tts_meta.audio.files import sound_path, write_sound
    from tts_meta.voices.library import find_voice
    from tts_meta.voices.voice_header import read_header

    target, path, words = sound_path(out), find_voice(voice), _text(text)
    choose_vocoder(vocoder)
    read_header(path)  # what is wrong with the request is said before anything heavy is imported

    from tts_meta.audio.mel import SAMPLE_RATE
    from tts_meta.audio.vocoder import prepare_vocoder

    prepare_vocoder()

    from tts_meta.audio.watermark import name
    from tts_meta.speaking.synthesize import Synthesizer, comment
    from tts_meta.text.reading import notes
    from tts_meta.voices.voice_file import load_voice

    base = starter()
    loaded = load_voice(path, base)
    synthesizer = Synthesizer.of(base, loaded, watermark=watermark)
    spoken = synthesizer.speak(words, speed, pitch, energy, read_lexicon_of(lexicon, base))
    for warning in notes(words):
        tell(warning)
    mark = name() if watermark else None
    write_sound(target, spoken.samples, SAMPLE_RATE, comment(loaded.name, mark))
    for sentence in spoken.suspect:
        tell(f"listen to this sentence, its length is unusual: {sentence}")
    result = {
        "out": str(target), "seconds": round(spoken.seconds, 3), "sample_rate": SAMPLE_RATE, "voice": loaded.name,
        "sentences": len(spoken.sentences), "suspect": spoken.suspect, "watermark": mark,
    }
    emit(result, as_json, str(target))


def phonemes(
    texts: Annotated[list[str] | None, typer.Argument(metavar="TEXT...", help="Texts; - reads stdin.")] = None,
    file: Annotated[Path | None, typer.Option(help="A text a line; \\n in a line is a line break.")] = None,
    lexicon: Lexicon = None,
    voice: Annotated[str | None, typer.Option(help="As this voice reads them: its accent.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object a text, a line each.")] = False,
) -> None:
    """How texts will be read: spoken words and phones. Example: tts-meta phonemes "It costs $3.50." """
    from tts_meta.text.preview import preview

    base = starter()
    if voice is not None:
        from tts_meta.voices.library import find_voice
        from tts_meta.voices.voice_file import load_voice

        base = load_voice(find_voice(voice), base).network(base)
    known = read_lexicon_of(lexicon, base)
    given = [_text(t) for t in texts or []]
    if file is not None:
        from tts_meta.text.textfile import read_text

        content, _ = read_text(file, "file", "give a text a line")
        given += [line.replace("\\n", "\n") for line in content.split("\n") if line.strip()]
    if not given:
        raise InputError("No text was given; give one or more texts, or --file FILE.")
    problems: list[str] = []
    for text in given:
        try:
            row = preview(text, known, base.espeak_voice, base.inventory)
        except InputError as e:
            if len(given) == 1:
                raise
            problems.append(str(e))
            row = {"text": text, "spoken": "", "sentences": [], "phones": "", "warnings": [str(e)]}
        for warning in row["warnings"]:
            tell(warning)
        emit(row, as_json, f"{row['spoken']}\n    {row['phones']}")
    if problems:
        raise InputError(f"{len(problems)} of {len(given)} texts cannot be read aloud (the first: {problems[0]})")


def _text(given: str) -> str:
    """A text argument, or what stdin holds for `-`. An option that does not exist is no text."""
    if given == "-":
        from tts_meta.text.textfile import decode

        return decode(sys.stdin.buffer.read(), "Standard input", "give text")[0]
    if re.fullmatch(r"--[a-z][a-z-]+(?:=.*)?", given):
        raise InputError(f"There is no option {given.partition('=')[0]}; `tts-meta COMMAND --help` lists those there are.")
    if re.fullmatch(r"\S+\.(?:txt|md|csv|epub|docx|pdf)", given) and Path(given).is_file():
        tell(f"{given} is a file, and its name is what is read. For what is in it: tts-meta say - < {given}, or tts-meta batch.")
    return given


def read_lexicon_of(lexicon: Path | None, base: Network) -> dict[str, str] | None:
    """The user's lexicon, its phones checked against the starter's."""
    from tts_meta.text.lexicon_file import read_lexicon

    return read_lexicon(lexicon, base.inventory) if lexicon else None


def batch(
    file: Annotated[Path, typer.Argument(help="txt (a wav a line), csv or tsv (id,text,voice,speed), epub (a wav a chapter).")],
    out: Annotated[Path, typer.Option(help="Folder for the wavs and manifest.csv.")],
    voice: Annotated[str | None, typer.Option(help="For texts that name none.")] = None,
    lexicon: Lexicon = None,
    watermark: Watermark = False,
    vocoder: Vocoder = None,
    as_json: Json = False,
) -> None:
    """Speak many texts; run it again to go on. Example: tts-meta batch book.epub --voice me --out book/"""
    from tts_meta.speaking.spoken_batch import MANIFEST, read_lines, run_batch

    choose_vocoder(vocoder)
    lines = read_lines(file, voice, tell)
    rows = []
    base = starter()
    for row in run_batch(base, lines, out, read_lexicon_of(lexicon, base), watermark):
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
    alias: Annotated[list[str] | None, typer.Option(help="Another name of a voice, as alloy=me; may be given again.")] = None,
    cors: Annotated[list[str] | None, typer.Option(help="An origin whose pages may ask; may be given again.")] = None,
    vocoder: Vocoder = None,
) -> None:
    """Serve POST /v1/audio/speech and GET /v1/voices (OpenAI's shape). Example: tts-meta serve --port 8000"""
    choose_vocoder(vocoder)
    _warn(host, "API", key is not None)
    starter()
    tell(f"http://{host}:{port}/v1/audio/speech")
    pairs = [a.partition("=") for a in alias or []]
    if wrong := next((a for a in pairs if not a[0].strip() or not a[2].strip()), None):
        raise InputError(f"The alias {''.join(wrong)!r} is no NAME=VOICE; write for example --alias alloy=me.")
    edge("api").serve(host, port, key, watermark, {a.strip(): v.strip() for a, _, v in pairs}, cors or ())


def page(
    host: str = "127.0.0.1", port: int = 7860,
    password: Annotated[str | None, typer.Option(envvar="TTS_META_PASSWORD", help="Of the user `me`.")] = None,
    vocoder: Vocoder = None,
) -> None:
    """Open the page in a browser. Example: tts-meta app"""
    from tts_meta.places import chosen_network

    chosen_network()
    choose_vocoder(vocoder)
    _warn(host, "page", password is not None)
    edge("page").serve(host, port, password=password)


def _warn(host: str, what: str, guarded: bool) -> None:
    if host not in ("127.0.0.1", "localhost", "::1"):
        guard = "whoever knows the password can use it" if guarded else "there is no password"
        tell(f"Warning: {host} lets other machines reach this {what} and its voices; {guard}.")




VERBS = {"say": say, "phonemes": phonemes, "batch": batch, "detect": detect, "serve": serve, "app": page}
TAKE_TEXT = ("say", "phonemes")
"""Verbs whose arguments are texts, which may begin with a dash."""

"""Many texts to numbered wavs with a manifest: txt (a wav a line), csv (id,text,voice,speed), epub (a wav a chapter).

Resumable: a row whose wav exists and was made from the same text, voice file and settings is not made again.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
import re
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from tts_meta.audio.files import replace_file, write_wav
from tts_meta.audio.mel import SAMPLE_RATE
from tts_meta.audio.watermark import name as watermark_name
from tts_meta.clips.table_columns import TEXT_NAMES, name_of
from tts_meta.clips.text_tables import read_table
from tts_meta.errors import InputError
from tts_meta.places import chosen_vocoder
from tts_meta.speaking.books import read_epub
from tts_meta.speaking.synthesize import Synthesizer, comment
from tts_meta.starters.interface import Network
from tts_meta.text.textfile import read_text
from tts_meta.voices.library import find_voice
from tts_meta.voices.voice_file import load_voice

MANIFEST = "manifest.csv"
_COLUMNS = ("number", "id", "file", "voice", "speed", "seconds", "status", "reason", "watermark", "digest", "text")


@dataclass(frozen=True)
class Line:
    """One text to speak, or the `problem` why it cannot be."""

    id: str
    text: str
    voice: str
    speed: float = 1.0
    problem: str = ""


def read_lines(path: Path, voice: str | None, say: Callable[[str], None] = lambda message: None) -> list[Line]:
    """The texts of a txt, csv, tsv, jsonl or epub file; `say` is told what was guessed or left out.

    Raises InputError for what is missing or not to be read.
    """
    suffix = path.suffix.lower()
    if not path.is_file():
        what = "is a folder" if path.is_dir() else "does not exist"
        raise InputError(f"{path} {what}; give a txt, csv, tsv, jsonl or epub file.")
    if suffix == ".epub":
        return [Line(name, text, _voice(voice, path)) for name, text in read_epub(path)]
    if suffix == ".txt":
        content, encoding = read_text(path, "file", "give a txt, csv, tsv or epub file")
        if encoding not in ("utf-8", "utf-16"):
            say(f"{path.name} is read as {encoding.replace('_', '-')} text.")
        found = [line.strip() for line in content.split("\n") if line.strip()]
        lines = [Line(str(i + 1), text, _voice(voice, path)) for i, text in enumerate(found)]
    elif suffix in (".csv", ".tsv", ".jsonl"):
        lines = _table_lines(path, voice, say)
    else:
        raise InputError(f"{path} is a {suffix or 'file without a suffix'}; a txt, csv, tsv, jsonl or epub file is expected.")
    if not lines:
        raise InputError(f"{path} holds no text; write a sentence a line.")
    return lines


def _table_lines(path: Path, voice: str | None, say: Callable[[str], None]) -> list[Line]:
    """Rows with the columns text and, if there, id, voice and speed, in any order and case."""
    table = read_table(path, "file", least=1, columns="text (and id, voice, speed)")
    for note in table.notes:
        say(note)
    head = [name_of(c) for c in table.rows[0].cells]
    at = {n: head.index(n) for n in ("id", "voice", "speed") if n in head}
    text = next((head.index(n) for n in TEXT_NAMES if n in head), None)
    if text is None:
        raise InputError(f"The first line of {path} is {', '.join(table.rows[0].cells)[:200]}; the names of its columns are "
                         "expected there: id,text,voice,speed, of which text is needed.")
    lines, empty = [], []
    for number, row in enumerate(table.rows[1:], 1):
        cells = {n: row.cells[i].strip() for n, i in at.items()}
        if not row.cells[text].strip():
            empty.append(row.line)
            continue
        problem = ""
        try:
            speed = float((cells.get("speed") or "1").replace(",", "."))
        except ValueError:
            speed, problem = 1.0, f"The speed on line {row.line} is {cells['speed']!r}; a number is expected."
        lines.append(Line(cells.get("id") or str(number), row.cells[text].strip(), cells.get("voice") or _voice(voice, path),
                          speed, problem))
    if empty:
        rows = f"The row on line {empty[0]} has" if len(empty) == 1 else f"{len(empty)} rows (the first on line {empty[0]}) have"
        say(f"{rows} no text, and no sound is made there.")
    return lines


def _voice(voice: str | None, path: Path) -> str:
    if voice is None:
        raise InputError(f"{path} names no voice for its texts; give --voice.")
    return voice


def run_batch(
    starter: Network, lines: list[Line], out: Path, lexicon: dict[str, str] | None = None, watermark: bool = False,
) -> Iterator[dict]:
    """Speak the lines into `out`; yields the manifest's row of each when it is written. A line that cannot be spoken has
    status `failed` and says why."""
    if out.exists() and not out.is_dir():
        raise InputError(f"{out} is a file; give a folder for the wavs and {MANIFEST}.")
    known = read_manifest(out / MANIFEST)
    width = len(str(len(lines)))
    synthesizers: dict[str, tuple[Synthesizer, str]] = {}
    rows: list[dict] = []
    mark = watermark_name() if watermark else None
    for number, line in enumerate(lines, 1):
        plain = re.sub(r"[^A-Za-z0-9_-]+", "-", line.id).strip("-")[:40]
        file = f"{number:0{width}d}{'-' + plain if plain and plain != str(number) else ''}.wav"
        row: dict = {"number": number, **asdict(line), "file": file, "seconds": "", "reason": "", "watermark": mark or "none"}
        try:
            if line.problem:
                raise InputError(line.problem)
            if line.voice not in synthesizers:
                path = find_voice(line.voice)
                digest = hashlib.sha256(path.read_bytes()).hexdigest()
                synthesizers[line.voice] = Synthesizer.of(starter, load_voice(path, starter), watermark=watermark), digest
            synthesizer, voice_digest = synthesizers[line.voice]
            asked = [line.text, line.speed, voice_digest, starter.identity, lexicon, mark, chosen_vocoder()]
            row["digest"] = hashlib.sha256(json.dumps(asked, sort_keys=True).encode()).hexdigest()[:16]
            old = known.get(file)
            if old and old["digest"] == row["digest"] and old["status"] in ("made", "check") and (out / file).is_file():
                row |= {k: old[k] for k in ("seconds", "status", "reason")}
            else:
                spoken = synthesizer.speak(line.text, line.speed, lexicon=lexicon)
                write_wav(out / file, spoken.samples, SAMPLE_RATE, comment(line.voice, mark))
                row |= {"seconds": round(spoken.seconds, 2), "status": "check" if spoken.suspect else "made",
                        "reason": f"listen to: {spoken.suspect[0][:60]}" if spoken.suspect else ""}
        except InputError as e:
            row |= {"status": "failed", "reason": str(e), "digest": ""}
        rows.append(row)
        _write_manifest(out / MANIFEST, rows, known)
        yield row


def _write_manifest(path: Path, rows: list[dict], known: dict[str, dict]) -> None:
    """The rows so far; those of files that are still to come are kept, so that a killed run knows them."""
    names = {r["file"] for r in rows}
    buffer = io.StringIO()
    writer = csv.DictWriter(buffer, _COLUMNS, extrasaction="ignore")
    writer.writeheader()
    writer.writerows([*rows, *(r for f, r in known.items() if f not in names)])
    replace_file(path, buffer.getvalue().encode())


def read_manifest(path: Path) -> dict[str, dict]:
    """{file: row} of a manifest; empty when there is none."""
    if not path.is_file():
        return {}
    with open(path, encoding="utf-8", newline="") as f:
        return {r["file"]: r for r in csv.DictReader(f) if r.get("file")}

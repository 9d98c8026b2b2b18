"""Find the text of every clip: `clip.txt` beside it, a csv/tsv table, LJSpeech's metadata.csv, or this project's manifest."""

from __future__ import annotations

import csv
from pathlib import Path

from tts_meta.audio.files import SUFFIXES
from tts_meta.errors import InputError

_FILE_COLUMNS = ("file", "path", "filename", "clip", "wav")
_TEXT_COLUMNS = ("text", "transcript", "sentence")


def find_clips(given: list[Path]) -> list[Path]:
    """Audio files among `given` files and folders (folders are searched through), in a stable order, no duplicates."""
    found: list[Path] = []
    for path in given:
        if path.is_dir():
            inside = sorted(p for p in path.rglob("*") if p.suffix.lower() in SUFFIXES and p.is_file())
            if not inside:
                raise InputError(f"The folder {path} holds no clips; put {', '.join(SUFFIXES)} files in it.")
            found += inside
        elif path.exists():
            found.append(path)
        else:
            raise InputError(f"{path} does not exist; give audio files or folders that hold them.")
    return list(dict.fromkeys(found))


def _key(name: str) -> str:
    return Path(name.replace("\\", "/")).name.rsplit(".", 1)[0] if "." in Path(name).name else Path(name).name


def read_table(path: Path) -> dict[str, str]:
    """A transcript table -> {clip name without folder and suffix: text}."""
    try:
        content = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as e:
        raise InputError(f"The transcripts {path} could not be read as UTF-8 text; give a csv or tsv table.") from e
    lines = [line for line in content.splitlines() if line.strip()]
    if not lines:
        raise InputError(f"The transcripts {path} are empty; give a table with the columns file and text.")
    delimiter = "\t" if "\t" in lines[0] else "|" if "|" in lines[0] else ","
    rows = list(csv.reader(lines)) if delimiter == "," else list(csv.reader(lines, delimiter=delimiter, quoting=csv.QUOTE_NONE))
    header = [c.strip().lower() for c in rows[0]]
    file_at = next((header.index(c) for c in _FILE_COLUMNS if c in header), None)
    text_at = next((header.index(c) for c in _TEXT_COLUMNS if c in header), None)
    if file_at is None or text_at is None:
        if delimiter != "|":
            raise InputError(f"{path} has the columns {', '.join(header)}; the columns file and text are expected.")
        return {_key(r[0]): r[-1].strip() for r in rows if len(r) >= 2}  # LJSpeech: id|text|normalised text
    return {_key(r[file_at]): r[text_at].strip() for r in rows[1:] if len(r) > max(file_at, text_at)}


def read_tables(paths: list[Path]) -> dict[str, str]:
    """{clip name without suffix: text} of given tables and of .txt files that are named like their clip."""
    known: dict[str, str] = {}
    for path in paths:
        if path.suffix.lower() == ".txt":
            known[path.stem] = " ".join(path.read_text(encoding="utf-8-sig", errors="replace").split())
        else:
            known |= read_table(path)
    return known


def find_transcripts(clips: list[Path], table: Path | None) -> dict[Path, str]:
    """The text of every clip that has one. Raises InputError when a text is there but empty."""
    texts: dict[Path, str] = {}
    rows = read_table(table) if table else {}
    folders: dict[Path, dict[str, str]] = {}
    for clip in clips:
        beside = clip.with_suffix(".txt")
        text = rows.get(_key(clip.name))
        if text is None and beside.is_file():
            text = beside.read_text(encoding="utf-8-sig", errors="replace")
        if text is None and table is None:
            if clip.parent not in folders:
                named = [clip.parent / n for n in ("transcripts.csv", "transcripts.tsv", "metadata.csv", "manifest.tsv")]
                tables = [read_table(p) for p in named if p.is_file()]
                folders[clip.parent] = {k: v for t in tables for k, v in t.items()}
            text = folders[clip.parent].get(_key(clip.name))
        if text is None:
            continue
        if not text.strip():
            raise InputError(f"The transcript of {clip} is empty; write what is said in it.")
        texts[clip] = " ".join(text.split())
    return texts


def complete_transcripts(clips: list[Path], table: Path | None, say=lambda message: None) -> dict[Path, str]:
    """Texts of all clips; what has none is transcribed when the `asr` extra is there, and `say` is told so."""
    texts = find_transcripts(clips, table)
    missing = [c for c in clips if c not in texts]
    if missing:
        from tts_meta.evaluation.intelligibility import load_recogniser

        recogniser = load_recogniser()
        if recogniser is None:
            raise InputError(
                f"{missing[0]} has no transcript; put {missing[0].stem}.txt beside it or give --transcripts FILE "
                "(or install the extra: pip install 'tts-meta[asr]')."
            )
        say(f"{len(missing)} clip(s) have no transcript: transcribing them with {recogniser.name}; check the result.")
        for clip in missing:
            text = recogniser.transcribe_file(clip)
            if not text:
                raise InputError(f"No words were recognised in {clip}; give its transcript or leave it out.")
            texts[clip] = text
    return texts

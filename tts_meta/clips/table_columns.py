"""Which column of a table holds the clips and which their texts: by its name, else by what is in it."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import PurePosixPath

from tts_meta.audio.files import SUFFIXES
from tts_meta.clips.text_tables import Row, Table
from tts_meta.errors import InputError

FILE_NAMES = (
    "file", "file_name", "filename", "path", "file_path", "filepath", "audio_file", "audio_filepath", "audio_path",
    "audio", "wav", "wav_file", "wav_path", "wav_filename", "clip",
    "clip_id", "clip_name", "recording", "sound", "fname", "item_name", "segment_id", "utterance_id", "utt_id",
    "uttid", "utt", "name", "id",
)
TEXT_NAMES = (
    "text", "transcript", "transcription", "transcripts", "sentence", "normalized_text", "normalised_text",
    "normalized_transcription", "normalized_transcript", "text_normalized",
    "raw_text", "raw_transcription", "original_text", "utterance", "content", "script", "prompt", "line", "label",
    "target_text", "phrase", "caption", "subtitle",
)
"""Synonyms in the order they are preferred, in small letters, words joined by `_`."""


@dataclass(frozen=True)
class Columns:
    """Positions of the two columns, the rows that hold data, and a sentence where they were guessed."""

    file: int
    text: int
    rows: list[Row]
    note: str = ""


def name_of(cell: str) -> str:
    """A column's name as it is compared: small letters, one underscore for what parts words."""
    return re.sub(r"[\s-]+", "_", cell.strip().lower())


def _looks_like_file(cell: str) -> bool:
    return PurePosixPath(cell.replace("\\", "/")).suffix.lower() in SUFFIXES


def _words(rows: list[Row], column: int) -> float:
    return sum(len(r.cells[column].split()) for r in rows) / max(1, len(rows))


_IPA = re.compile("[ˈˌəɛɪʊʌæɔɹðθʃʒŋɑɚ]")


def _phones(rows: list[Row], column: int) -> bool:
    """Whether a column holds phones, as some toolkits write them beside the text."""
    return sum(bool(_IPA.search(r.cells[column])) for r in rows) > len(rows) / 2


def choose_columns(table: Table, is_clip: Callable[[str], bool] = lambda name: False) -> Columns:
    """The columns of `table`; `is_clip` says whether a cell names one of the clips.

    A header is known by its names. Without one the first column of clips and the column of the longest texts are taken;
    of two such columns (LJSpeech's text and normalised text) the last, unless it says the same in every row (a speaker's
    name). Raises InputError when there is no column of clips or no column of texts.
    """
    head = [name_of(c) for c in table.rows[0].cells]
    file = next((head.index(n) for n in FILE_NAMES if n in head), None)
    text = next((head.index(n) for n in TEXT_NAMES if n in head), None)
    rows = table.rows[1:]
    if file is not None and text is not None and file != text and not is_clip(table.rows[0].cells[file]):
        return Columns(file, text, rows)
    if table.named:
        raise InputError(f"{table.path} has the names {', '.join(head)}; file and text are expected.")
    headless = is_clip_in(table.rows[0], is_clip) or not any(is_clip_in(r, is_clip) for r in rows)
    rows = table.rows if headless else rows
    file = next((i for i in range(table.width) if any(is_clip(r.cells[i]) for r in rows)), None)
    if file is None:
        file = next((i for i in range(table.width) if sum(_looks_like_file(r.cells[i]) for r in rows) > len(rows) / 2), None)
    if file is None and table.delimiter == "|":
        file = 0  # LJSpeech: id|text|normalised text
    others = [i for i in range(table.width) if i != file and not _phones(rows, i)]
    if file is None or not others:
        raise InputError(f"{table.path} has the columns {', '.join(head)[:200]}; the columns file and text are expected.")
    longest = max(others, key=lambda i: (_words(rows, i), -i))
    varied = [
        i for i in others if i > longest and _words(rows, i) > 0.6 * _words(rows, longest) and _words(rows, i) > 1.5
        and (len({r.cells[i] for r in rows}) > 1 or len(rows) == 1)
    ]
    text = varied[-1] if varied else longest
    if len(rows) > 1 and len({r.cells[text] for r in rows}) == 1:
        raise InputError(f"Column {text + 1} of {table.path} is the same in every row, which no texts are; name the columns "
                         f"file and text.")
    guessed = "" if table.width == 2 and headless else (
        f"{table.path.name} names no columns: column {file + 1} is read as the clips and column {text + 1} as their texts."
    )
    if not headless:
        guessed = (f"{table.path.name} has the columns {', '.join(head)}: {head[file]} is read as the clips and {head[text]} as "
                   "their texts.")
    return Columns(file, text, rows, guessed)


def is_clip_in(row: Row, is_clip: Callable[[str], bool]) -> bool:
    """Whether a cell of the row names a clip, or looks like a sound file."""
    return any(is_clip(c) or _looks_like_file(c) for c in row.cells)

"""Find the text of every clip: a text file beside it, or a table of any of the layouts that corpora and programs have.

Whatever was guessed or left out is said, in a sentence, through the `say` that the callers give.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from tts_meta.audio.files import SUFFIXES, read_audio
from tts_meta.clips.clip_text import clip_text, note_marks
from tts_meta.clips.recordings import find_clips
from tts_meta.clips.table_columns import choose_columns
from tts_meta.clips.text_tables import read_table as read_rows
from tts_meta.errors import InputError
from tts_meta.text.textfile import read_text

__all__ = ["complete_transcripts", "find_clips", "find_transcripts", "texts_in"]

Say = Callable[[str], None]
BESIDE = (".txt", ".lab", ".normalized.txt", ".original.txt", ".transcript.txt", ".text", ".srt", ".vtt")
"""Endings of a text beside its clip, the best first: after the clip's name without its ending, or with it."""
TABLES = re.compile(r".*\.(?:csv|tsv|list|jsonl|psv)|"
                    r"[\w.-]*(?:metadata|transcript|manifest|filelist|index)[\w.-]*\.(?:txt|json)|"
                    r"(?:text|train|val|valid|dev|test)[\w-]*\.txt|text|.*\.trans\.txt", re.I)
"""Files that may be a table of a folder's clips."""
NO_TEXT = ("nan", "n/a", "#n/a", "<na>", "null")
"""What programs write in a cell that is empty."""
TEXT_FILES = (".txt", ".text", ".lab", ".srt", ".vtt", ".csv", ".tsv", ".psv", ".list", ".jsonl", ".json")
"""Endings of everything that a text is read from."""


def _silent(message: str) -> None:
    del message


def _key(name: str) -> str:
    """A clip's name without its folders and without the ending of a sound file: `a/spk1.utt01.wav` -> `spk1.utt01`. Accents
    are composed: macOS writes them apart in names, tables do not."""
    plain = unicodedata.normalize("NFC", PurePosixPath(name.strip().replace("\\", "/")).name)
    suffix = PurePosixPath(plain).suffix
    return plain[: -len(suffix)] if suffix.lower() in SUFFIXES else plain


def _folders(name: str) -> tuple[str, ...]:
    """The folders of a path, from the innermost."""
    return tuple(PurePosixPath(name.strip().replace("\\", "/")).parts[:-1][::-1])


@dataclass
class Entry:
    """A text for a clip, and where it stands."""

    name: str
    text: str
    where: str


@dataclass
class Texts:
    """The rows of one or more tables, looked up by a clip's path: the folders decide where names are the same, and the
    case of letters does not."""

    source: str
    entries: list[Entry] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._index: dict[str, list[Entry]] = {}
        for e in self.entries:
            self._index.setdefault(_key(e.name).lower(), []).append(e)

    def find(self, clip: Path) -> Entry | None:
        """The entry of `clip`. Raises InputError when the table gives it two different texts."""
        found = self._index.get(_key(clip.name).lower(), [])
        exact = [e for e in found if _key(e.name) == _key(clip.name)]
        found = exact or found
        if len({e.text for e in found}) > 1:
            mine = _folders(str(clip))

            def shared(e: Entry) -> int:
                theirs = _folders(e.name)
                return next((i for i, (a, b) in enumerate(zip(theirs, mine, strict=False)) if a != b), min(len(theirs),
                    len(mine)))

            best = max(map(shared, found))
            found = [e for e in found if shared(e) == best]
        if len({e.text for e in found}) > 1:
            raise InputError(
                f"{self.source} gives {clip.name} different texts ({found[0].where} and {found[1].where}); keep the one that "
                "is said."
            )
        return found[0] if found else None

    def unused(self, clips: Sequence[Path]) -> int:
        """Rows that name none of the clips."""
        known = {_key(c.name).lower() for c in clips}
        return sum(_key(e.name).lower() not in known for e in self.entries)


_LINE = re.compile(r"\s*(?P<name>\S+?)(?:\s*[:=]\s+|\s+-\s+|\s+)(?P<words>\S.*)")


def _read_lines(path: Path) -> Texts:
    """LibriSpeech's `id TEXT` lines, or Kaldi's; a colon, a dash or a tab may stand between."""
    text, _ = read_text(path, "transcripts", "give one `name text` a line")
    entries = [Entry(m["name"], " ".join(m["words"].split()), f"line {number}")
               for number, line in enumerate(text.split("\n"), 1) if (m := _LINE.fullmatch(line))]
    return Texts(path.name, entries)


def _read(path: Path, clips: Iterable[Path]) -> Texts:
    if path.name.lower().endswith(".trans.txt"):
        return _read_lines(path)
    known = {_key(c.name).lower() for c in clips}
    if path.suffix.lower() in (".txt", ""):
        lines = _read_lines(path)
        ends = lines.entries[:1] + lines.entries[-1:]
        if ends and all(_key(e.name).lower() in known for e in ends):
            return lines
    table = read_rows(path, "transcripts")
    columns = choose_columns(table, lambda cell: _key(cell).lower() in known)
    entries = [Entry(r.cells[columns.file], r.cells[columns.text], f"line {r.line}") for r in columns.rows
               if r.cells[columns.file]]
    return Texts(path.name, entries, [*table.notes, *([columns.note] if columns.note else [])])


def _named_like(name: str) -> set[str]:
    """Clips that a text file called `name` may belong to: `a.wav.txt` and `a.normalized.txt` to `a`."""
    return {_key(name[: -len(ending)]).lower() for ending in BESIDE if name.lower().endswith(ending)}


def texts_in(files: Sequence[Path], clips: Sequence[Path], say: Say = _silent) -> dict[Path, str]:
    """Texts of `clips` in `files` (tables, and texts that are named like their clip) wherever these lie, as uploads do.

    `say` is told what was guessed and what belongs to no clip. Raises InputError for what cannot be read.
    """
    texts: dict[Path, str] = {}
    for path in files:
        named = _named_like(path.name)
        if not named & {_key(c.name).lower() for c in clips} and (not named or TABLES.fullmatch(path.name)):
            source = _read(path, clips)
            for note in source.notes:
                say(note)
            found = {c: e.text for c in clips if (e := source.find(c)) is not None}
            rest = source.unused(clips)
            if rest:
                say(f"{rest} of {len(source.entries)} rows of {path.name} {'names' if rest == 1 else 'name'} no clip.")
        else:
            mine = [c for c in clips if _key(c.name).lower() in named]
            words = clip_text(path, say) if mine else None
            found = {c: words for c in mine if words}
            if not mine:
                say(f"{path.name} has the name of none of the clips and is not used.")
        texts |= {c: text for c, text in found.items() if text.strip()}
    return texts


def _composed(path: Path) -> str:
    return unicodedata.normalize("NFC", path.name.lower())


class _Folder:
    """The files of one folder by their names in small letters, and its tables."""

    def __init__(self, path: Path, clips: list[Path]) -> None:
        self.path, self.clips = path, clips
        try:
            self.files = {_composed(p): p for p in sorted(path.iterdir()) if p.is_file() and not p.name.startswith(".")}
        except OSError:
            self.files = {}
        self._tables: list[Texts] | None = None

    def beside(self, clip: Path) -> Path | None:
        stem = _key(clip.name).lower()
        names = (f"{base}{ending}" for ending in BESIDE for base in (stem, _composed(clip)))
        return next((self.files[n] for n in names if n in self.files and self.files[n] != clip), None)

    def tables(self, say: Say) -> list[Texts]:
        """Those that name a clip. One that cannot be read is said, where it has the name of a table of transcripts."""
        if self._tables is None:
            self._tables = []
            wanted = {_key(c.name).lower() for c in self.clips}
            for name, path in self.files.items():
                if not TABLES.fullmatch(name) or _named_like(name) & wanted:  # "test.txt" beside "test.wav" is its text
                    continue
                try:
                    found = _read(path, self.clips)
                except InputError as e:
                    if re.match(r"metadata|transcript|manifest", name):
                        raise
                    say(f"{path.name} is not used: {e}")
                    continue
                if any(_key(e.name).lower() in wanted for e in found.entries):
                    self._tables.append(found)
                elif any(c.parent == self.path for c in self.clips):
                    say(f"{path.name} names none of the clips and is not used.")
        return self._tables


def find_transcripts(clips: list[Path], table: Path | None, say: Say = _silent) -> dict[Path, str]:
    """The text of every clip that has one: of the `table` that is given, else of a file beside the clip, else of a table in
    the clip's folder or in the one above.

    Raises InputError when a text is there but empty, when a table cannot be read, and when it gives one clip two texts.
    """
    texts: dict[Path, str] = {}
    places: dict[Path, str] = {}
    folders: dict[Path, _Folder] = {}
    used: dict[str, tuple[Texts, int]] = {}
    given = _given(table, clips) if table else None

    def folder(path: Path) -> _Folder:
        if path not in folders:
            folders[path] = _Folder(path, clips)
        return folders[path]

    def take(source: Texts, clip: Path) -> str | None:
        entry = source.find(clip)
        if entry is None:
            return None
        used[source.source] = (source, used.get(source.source, (source, 0))[1] + 1)
        return entry.text

    for clip in clips:
        text = take(given, clip) if given else None
        if text is None and (beside := folder(clip.parent).beside(clip)):
            text = clip_text(beside, say)
            places |= {clip: beside.name} if text is not None else {}
        if text is None and given is None:
            for place in (clip.parent, clip.parent.parent):
                source = next((s for s in folder(place).tables(say) if s.find(clip) is not None), None)
                if source is not None:
                    text, places[clip] = take(source, clip), source.source
                    break
        if text is None:
            continue
        if not text.strip() or text.strip().lower() in NO_TEXT:
            raise InputError(f"The transcript of {clip} is empty; write what is said in it.")
        texts[clip] = " ".join(text.split())
    for sentence in note_marks(texts.values()):
        say(sentence)
    if given is None:
        for sentence in _other_texts({c: (texts[c], p) for c, p in places.items()}, folder):
            say(sentence)
    if given and given.source not in used:
        used[given.source] = (given, 0)
    for source, count in used.values():
        for note in source.notes:
            say(note)
        rest = source.unused(clips)
        if count < len(clips) or rest:
            said = f"{count} of {len(clips)} clips have a text in {source.source}"
            say(f"{said}; {rest} {'row names' if rest == 1 else 'rows name'} no clip." if rest else f"{said}.")
    missing = [c for c in clips if c not in texts]
    if missing and texts:
        names = ", ".join(c.name for c in missing[:5]) + (" ..." if len(missing) > 5 else "")
        say(f"{len(missing)} of {len(clips)} clips {'has' if len(missing) == 1 else 'have'} no text: {names}.")
    return texts


def _other_texts(chosen: dict[Path, tuple[str, str]], folder: Callable[[Path], _Folder]) -> list[str]:
    """Sentences for clips that have a text in one file (`chosen`: the text, the file) and other words in a table beside it."""

    def words(text: str) -> list[str]:
        return re.findall(r"\w+", text.lower())

    found: dict[tuple[str, str], list[str]] = {}
    for clip, (text, place) in chosen.items():
        try:
            tables = folder(clip.parent).tables(_silent)
            others = [(t.source, e.text) for t in tables if t.source != place and (e := t.find(clip)) is not None]
        except InputError:  # a table that was not needed
            continue
        for source, other in others:
            if words(other) and words(other) != words(text):
                named = place if place in [t.source for t in tables] else "the file beside"
                found.setdefault((source, named), []).append(clip.name)
    return [
        f"{len(names)} {'clip has' if len(names) == 1 else 'clips have'} another text in {source} than in "
        f"{place}, which is used: {', '.join(names[:5])}{' ...' * (len(names) > 5)}."
        for (source, place), names in found.items()
    ]


def _given(table: Path, clips: list[Path]) -> Texts:
    if table.is_dir():
        raise InputError(f"{table} is a folder; give a table of the columns file and text (csv, tsv, list, jsonl).")
    return _read(table, clips)


def complete_transcripts(clips: list[Path], table: Path | None, say: Say = _silent) -> dict[Path, str]:
    """Texts of all clips that can be read; what has none is transcribed when the `asr` extra is there, and `say` is told so.

    A file without a text that is no sound, or in which no words are heard, is left out, and `say` is told so. Raises
    InputError when a readable clip has no text and there is no recogniser, and when nothing is left.
    """
    texts = find_transcripts(clips, table, say)
    missing: list[Path] = []
    unreadable: InputError | None = None
    for clip in (c for c in clips if c not in texts):
        try:
            read_audio(clip)
            missing.append(clip)
        except InputError as e:
            unreadable = unreadable or e
            say(f"left out: {e}")
    if missing:
        from tts_meta.measures.intelligibility import load_recogniser

        recogniser = load_recogniser()
        if recogniser is None:
            from tts_meta.clips.long_recordings import cut_from

            if (whole := cut_from(missing[0])) is not None:
                raise InputError(
                    f"{whole} is a long recording: its clips have no transcripts of their own. Install the extra that recognises "
                    "them (pip install 'tts-meta[asr]'), or cut it into clips of 1 to 12 s and put a text beside each (clip.txt)."
                )
            raise InputError(
                f"{missing[0]} has no transcript; put {_key(missing[0].name)}.txt beside it or give --transcripts FILE "
                "(or install the extra: pip install 'tts-meta[asr]')."
            )
        say(f"{len(missing)} clip(s) have no transcript: transcribing them with {recogniser.name}; check the result.")
        for clip in missing:
            text = recogniser.transcribe_file(clip)
            if text:
                texts[clip] = text
            else:
                say(f"left out: no words were recognised in {clip}; give its transcript.")
    if not texts and unreadable and len(clips) == 1:
        raise unreadable
    if not texts:
        raise InputError(f"None of the {len(clips)} files can be used: none is a recording in which words are heard.")
    return texts

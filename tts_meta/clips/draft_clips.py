"""The clips and texts that someone is still putting together, kept in the library's folder: a reload, a closed page or a
crash loses no recording. Each window has a draft of its own; one whose window is gone is taken over by the next."""

from __future__ import annotations

import contextlib
import json
import re
import shutil
from collections.abc import Collection, Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from tts_meta.audio.files import SUFFIXES, replace_file, told
from tts_meta.errors import InputError
from tts_meta.places import library_folder

EXAMPLE = "example"
_WINDOW = re.compile(r"[0-9a-f]{32}")


@dataclass(frozen=True)
class Row:
    """A clip's file name, what is said in it, and where that is known from."""

    clip: str
    text: str = ""
    note: str = ""


class Draft:
    """Sound files and draft.json with their texts, in one folder."""

    def __init__(self, folder: Path | None = None) -> None:
        self.folder = folder or library_folder() / "draft"

    @staticmethod
    def of(window: str) -> Draft:
        """The draft of a window, by its random name. Raises InputError for what is no such name."""
        if not _WINDOW.fullmatch(window or ""):
            raise InputError("The page has not loaded yet; wait a second and press again.")
        return Draft(library_folder() / "drafts" / window)

    @staticmethod
    def adopt(window: str, taken: Collection[str]) -> Draft:
        """The draft of a new window: the newest of those whose window is not among the `taken`, where there is one."""
        mine, home = Draft.of(window), library_folder()
        left = [Draft(p) for p in (home / "draft", *(home / "drafts").glob("*")) if p.is_dir() and p.name not in taken]
        found = sorted((d for d in left if d.rows or d.job), key=lambda d: d.folder.stat().st_mtime)
        if found and not mine.folder.exists():
            with told(mine.folder):
                mine.folder.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            # A window that was opened at the same time may have been quicker.
            with contextlib.suppress(FileNotFoundError):
                found[-1].folder.rename(mine.folder)
        return mine

    @property
    def job(self) -> str:
        """The id of the clone that was planned of it last, or nothing."""
        return str(self._kept("job.json", dict).get("job", ""))

    @property
    def planned(self) -> str:
        """What was shown when that clone was planned, as `plan` was told."""
        return str(self._kept("job.json", dict).get("shown", ""))

    def plan(self, job: str, shown: str = "") -> None:
        """Remember the clone that was planned of it, and what was shown then."""
        self._make()
        replace_file(self.folder / "job.json", json.dumps({"job": job, "shown": shown}).encode())

    @property
    def verdicts(self) -> list[dict]:
        """What the clip doctor said, as `judge` was told."""
        return self._kept("verdicts.json", list)

    def judge(self, verdicts: list[dict]) -> None:
        """Remember what the clip doctor said of the clips."""
        self._make()
        replace_file(self.folder / "verdicts.json", json.dumps(verdicts).encode())

    def _kept(self, name: str, kind: type) -> Any:
        try:
            found = json.loads((self.folder / name).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return kind()
        return found if isinstance(found, kind) else kind()

    def path(self, clip: str) -> Path:
        return self.folder / Path(clip).name

    @property
    def rows(self) -> list[Row]:
        """One for every clip that is there, in the order they came; a sound that is not in the list comes last."""
        try:
            listed = [Row(**r) for r in json.loads((self.folder / "draft.json").read_text(encoding="utf-8"))]
        except (FileNotFoundError, NotADirectoryError, ValueError, TypeError):
            listed = []
        known = {r.clip for r in listed}
        unlisted = [p.name for p in sorted(self.folder.glob("*")) if p.suffix.lower() in SUFFIXES and p.name not in known]
        return [r for r in listed if self.path(r.clip).is_file()] + [Row(name) for name in unlisted]

    @property
    def clips(self) -> list[Path]:
        return [self.path(r.clip) for r in self.rows]

    @property
    def texts(self) -> dict[Path, str]:
        """Of the clips that have one."""
        return {self.path(r.clip): r.text for r in self.rows if r.text}

    def add(self, sound: Path, text: str = "", note: str = "", name: str | None = None) -> str:
        """Copy a sound in and return the name it has there: the same sound is kept once, another of the same name gets a
        number, and a recording called `name` takes the place of the one before it. Examples give way to one's own."""
        rows = self.rows
        if note != EXAMPLE and any(r.note == EXAMPLE for r in rows):
            for r in rows:
                if r.note == EXAMPLE:
                    self.path(r.clip).unlink()
            rows = [r for r in rows if r.note != EXAMPLE]
        content = Path(sound).read_bytes()
        clip = Path(name or sound).name
        count = 1
        while name is None and self.path(clip).exists() and self.path(clip).read_bytes() != content:
            count += 1
            clip = f"{Path(sound).stem}-{count}{Path(sound).suffix}"
        self._make()
        replace_file(self.path(clip), content)
        old = next((r for r in rows if r.clip == clip), None)
        if old is None:
            rows.append(Row(clip, text, note))
        elif name is not None or not old.text:
            rows[rows.index(old)] = Row(clip, text, note)
        self._write(rows)
        return clip

    def fill(self, found: dict[str, tuple[str, str]]) -> None:
        """Texts and their notes for clips that have none; what is there is not overwritten."""
        self._write([Row(r.clip, *found[r.clip]) if r.clip in found and not r.text else r for r in self.rows])

    def edit(self, texts: Iterable[tuple[str, str]]) -> None:
        """Texts as someone typed them; one that was changed is noted as typed."""
        typed = {clip: (text or "").strip() for clip, text in texts}
        self._write([
            r if typed.get(r.clip, r.text) == r.text else Row(r.clip, typed[r.clip], "typed" if typed[r.clip] else "")
            for r in self.rows
        ])

    def remove(self, clip: str) -> None:
        """Remove one clip and its text."""
        self.path(clip).unlink(missing_ok=True)
        self._write([r for r in self.rows if r.clip != clip])

    def clear(self) -> None:
        """Remove all of it."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def _make(self) -> None:
        with told(self.folder):
            self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)

    def _write(self, rows: list[Row]) -> None:
        self._make()
        replace_file(self.folder / "draft.json", json.dumps([asdict(r) for r in rows]).encode())

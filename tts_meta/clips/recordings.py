"""Which files of what was given are recordings; what is passed over is said once."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

from tts_meta.audio.files import SUFFIXES
from tts_meta.errors import InputError

_TEXTS = (".txt", ".lab", ".csv", ".tsv", ".list", ".json", ".jsonl", ".md", ".text", ".psv", ".voice", ".textgrid", ".srt",
          ".vtt")
"""What lies beside recordings and is no recording: not worth a sentence."""
SPREADSHEETS = (".xlsx", ".xls", ".ods", ".numbers")


def _walk(folder: Path, hidden: list[Path]) -> Iterator[Path]:
    """Files under `folder` in a stable order; hidden ones are put into `hidden`, links that go round are not followed."""
    for root, folders, files in os.walk(folder):
        here = Path(root)
        hidden += [here / f for f in folders if f.startswith(".") or f == "__MACOSX"]
        folders[:] = sorted(f for f in folders if not f.startswith(".") and f != "__MACOSX")
        for name in sorted(files):
            if name.startswith("."):
                hidden.append(here / name)
            else:
                yield here / name


def _names(paths: list[Path]) -> str:
    return ", ".join(p.name for p in paths[:5]) + (f" and {len(paths) - 5} more" if len(paths) > 5 else "")


def find_clips(given: list[Path], say: Callable[[str], None] = lambda message: None) -> list[Path]:
    """Audio files among `given` files and folders (folders are searched through), in a stable order, no duplicates.

    Hidden files and folders (macOS's `._` files among them), links that lead nowhere and files that are no audio by
    their name are passed over, and `say` is told so. Raises InputError for what does not exist and folders without clips.
    """
    found: list[Path] = []
    hidden: list[Path] = []
    other: list[Path] = []
    dead: list[Path] = []
    for path in given:
        if path.is_dir():
            inside = []
            for p in sorted(_walk(path, hidden)):
                if p.is_symlink() and not p.exists():
                    dead.append(p)
                elif p.suffix.lower() in SUFFIXES and p.is_file():
                    inside.append(p)
                elif p.suffix.lower() not in _TEXTS:
                    other.append(p)
            if not inside:
                raise InputError(f"The folder {path} holds no clips; put {', '.join(SUFFIXES)} files in it.")
            found += inside
        elif path.exists():
            found.append(path)
        elif path.is_symlink():
            raise InputError(f"{path} is a link to {os.readlink(path)}, which does not exist; give audio files or folders that "
                             f"hold them.")
        else:
            raise InputError(f"{path} does not exist; give audio files or folders that hold them.")
    if dead:
        say(f"{len(dead)} {'link leads' if len(dead) == 1 else 'links lead'} nowhere and {'is' if len(dead) == 1 else 'are'} "
            f"passed over: {_names(dead)}.")
    if other:
        tables = [p for p in other if p.suffix.lower() in SPREADSHEETS]
        more = f" Texts are read from .csv: save {_names(tables)} as one (columns file, text)." if tables else ""
        said = "file is" if len(other) == 1 else "files are"
        say(f"{len(other)} {said} no audio by name and passed over: {_names(other)}.{more}")
    if hidden:
        say(f"{len(hidden)} hidden {'file or folder is' if len(hidden) == 1 else 'files or folders are'} passed "
            f"over: {_names(hidden)}.")
    return list(dict.fromkeys(found))

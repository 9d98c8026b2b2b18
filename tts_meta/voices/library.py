"""The folder of voices: list, find, rename, duplicate, note, delete, export, import. One more comes with the package."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING

from tts_meta.errors import InputError
from tts_meta.places import check_name, chosen_network, library_folder
from tts_meta.voices.voice_header import change_header, read_header

if TYPE_CHECKING:
    from tts_meta.starters.interface import Network

EXAMPLE = "example"
"""The voice that can be spoken with before anything was cloned: VCTK p225 (CC BY 4.0), of the clips in app/examples."""


class NoVoice(InputError):
    """There is no voice of that name."""


def voice_path(name: str, folder: Path | None = None) -> Path:
    """Where a voice of this name lies. Raises InputError for what is no name."""
    return (folder or library_folder()) / f"{check_name(name)}.voice"


def find_voice(name_or_file: str) -> Path:
    """The file of a voice given by path, or by name as `named_voice`. Raises InputError when there is none."""
    as_path = Path(name_or_file)
    if as_path.suffix.lower() != ".voice" and len(as_path.parts) < 2:
        return named_voice(name_or_file)
    if as_path.is_file():
        return as_path
    raise NoVoice(f"There is no voice file {name_or_file!r}; give a .voice file that exists or one of {_known()}.")


def named_voice(name: str) -> Path:
    """The file of a voice in the library, or of the example. Raises InputError when there is none of that name."""
    path = voice_path(name)
    if path.is_file():
        return path
    if (other := _in_another_case(path.stem)) is not None:
        return other
    if name.lower() == EXAMPLE:
        kind = chosen_network()
        return Path(str(files("tts_meta") / "assets" / (f"{EXAMPLE}.voice" if kind == "small" else f"{EXAMPLE}-{kind}.voice")))
    raise NoVoice(f"There is no voice {name!r}; give a .voice file or one of {_known()}.")


def _in_another_case(name: str) -> Path | None:
    """The one voice of the library that differs from `name` in small and capital letters alone."""
    found = [p for p in list_voices() if p.stem.casefold() == name.casefold()]
    return found[0] if len(found) == 1 else None


def _known() -> str:
    return f"the voices there are ({', '.join(voice_names())})"


def list_voices() -> list[Path]:
    """The files of the library."""
    return sorted(library_folder().glob("*.voice"))


def voice_names() -> list[str]:
    """What can be spoken with: the library, and the example last."""
    names = [p.stem for p in list_voices()]
    return names if EXAMPLE in names else [*names, EXAMPLE]


def own_voice(name: str) -> Path:
    """The file of a voice in the library, to change it. Raises InputError when there is none of that name."""
    path = voice_path(name)
    if path.is_file():
        return path
    if (other := _in_another_case(path.stem)) is not None:
        return other
    if name == EXAMPLE:
        raise InputError(f"The voice {EXAMPLE!r} comes with the package and cannot be changed; copy it first.")
    raise NoVoice(f"There is no voice {name!r}; `tts-meta voices list` shows the voices there are.")


def delete_voice(name: str) -> Path:
    """Delete it for good; returns the file that is gone."""
    path = own_voice(name)
    path.unlink()
    return path


AWAY_SECONDS = 86400.0
"""A voice that was put away can be brought back for so long at least."""


def put_away(name: str) -> Path:
    """Take a voice out of the library so that it can be brought back; returns where it lies. What was put away a day ago or
    earlier is deleted."""
    path = own_voice(name)
    folder = library_folder() / ".away"
    for old in folder.glob("*.voice"):
        if time.time() - old.stat().st_mtime > AWAY_SECONDS:
            old.unlink()
    target = folder / f"{time.time_ns()}-{path.name}"
    _replace(target, path.read_bytes())
    path.unlink()
    return target


def bring_back(away: Path) -> Path:
    """Undo `put_away`. Raises InputError where a voice of that name was made meanwhile."""
    target = library_folder() / away.name.partition("-")[2]
    if not away.is_file():
        raise InputError(f"The voice {target.stem!r} was deleted more than a day ago and cannot be brought back.")
    if target.exists():
        raise InputError(f"A voice {target.stem!r} was made meanwhile; rename it first, then undo.")
    _replace(target, away.read_bytes())
    away.unlink()
    return target


def copy_voice(name: str, new: str, force: bool = False) -> Path:
    """A second voice like the first, under a new name. Raises InputError when that name is taken."""
    return _copy(named_voice(name), new, force)


def _copy(source: Path, new: str, force: bool, replaces: Path | None = None) -> Path:
    target = voice_path(new)
    # Some file systems do not tell "Me" from "me", and nobody hears the difference.
    taken = target if target.exists() else _in_another_case(target.stem)
    if taken is not None and taken != replaces and not force:
        raise InputError(f"A voice {taken.stem!r} exists already; choose another name or add --force.")
    change_header(source, target, name=target.stem)
    return target


def rename_voice(name: str, new: str, force: bool = False) -> Path:
    """Give a voice another name; the old file goes once the new one is whole."""
    source = own_voice(name)
    target = _copy(source, new, force, replaces=source)
    if target != source and not (source.exists() and target.samefile(source)):
        source.unlink()
    return target


def note_voice(name: str, note: str) -> Path:
    """Write a note of at most 1,000 characters into a voice (an empty one takes it away)."""
    if len(note) > 1000:
        raise InputError(f"The note has {len(note)} characters; at most 1,000 are expected.")
    path = own_voice(name)
    change_header(path, path, note=note)
    return path


def export_voice(name: str, out: Path, force: bool = False) -> Path:
    """Copy a voice of the library to `out` (a file or a folder)."""
    source = find_voice(name)
    target = out / source.name if out.is_dir() else out if out.suffix.lower() == ".voice" else out.with_name(f"{out.name}.voice")
    if target.exists() and not force:
        raise InputError(f"{target} exists; choose another file or add --force.")
    _replace(target, source.read_bytes())
    return target


def import_voice(file: Path, starter: Network, force: bool = False) -> Path:
    """Check a voice file against the starter, then copy it into the library under the name in its header."""
    from tts_meta.voices.voice_file import load_voice

    load_voice(file, starter)
    target = voice_path(read_header(file)["name"])
    if target.exists() and not force:
        raise InputError(f"A voice {target.stem!r} exists already; rename or delete that one first, or add --force.")
    _replace(target, file.read_bytes())
    return target


def _replace(path: Path, content: bytes) -> None:
    from tts_meta.audio.files import replace_file

    replace_file(path, content)


def facts(header: dict) -> list[str]:
    """What a voice file says of itself, a line each, for people."""
    made = (
        f"{read_date(header['created'])} UTC, by {header.get('made_by', 'an unknown program')}, from {header['clips']} clips "
        f"({header['seconds']:.0f} s); step {header['best_step']} of {header['steps']}, method {header['method']}"
    )
    rows = {k: header.get(k) for k in ("name", "accent", "consent", "purpose", "note")} | {"made": made}
    return [f"{k}: {v}" for k, v in rows.items() if v not in (None, "")]


def read_date(iso: str) -> str:
    """Day and minute (UTC) of a time in ISO 8601; what is no such time stays as it is (a file may say anything)."""
    try:
        at = datetime.fromisoformat(iso)
        return (at.astimezone(UTC) if at.tzinfo else at).strftime("%Y-%m-%d %H:%M")
    except ValueError:
        return iso


def describe_voices(example: bool = False) -> list[dict]:
    """A row for every voice of the library, and for the example if asked; `problem` is a sentence where a file cannot be read."""
    rows = []
    # The example's file is called after its network; people know the voice as "example".
    found = {name: named_voice(name) for name in voice_names()} if example else {p.stem: p for p in list_voices()}
    for name, path in found.items():
        row = {"name": name, "path": str(path), "bytes": path.stat().st_size, "problem": ""}
        try:
            header = read_header(path)
        except InputError as e:
            header, row["problem"] = {}, str(e)
        rows.append({**row, **{k: header.get(k) for k in ("clips", "seconds", "created", "consent")},
                     "note": header.get("note", "")})
    return rows

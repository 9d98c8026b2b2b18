"""The folder of voices: `TTS_META_HOME` or the user's data folder; names are checked once, here."""

from __future__ import annotations

from pathlib import Path

from tts_meta.audio.files import replace_file
from tts_meta.errors import InputError
from tts_meta.voices.places import check_name, library_folder
from tts_meta.voices.starter import Starter
from tts_meta.voices.voice_file import load_voice, read_header


def voice_path(name: str, folder: Path | None = None) -> Path:
    return (folder or library_folder()) / f"{check_name(name)}.voice"


def find_voice(name_or_file: str) -> Path:
    """The file of a voice given by path or by name in the library. Raises InputError when there is none."""
    as_path = Path(name_or_file)
    if as_path.suffix == ".voice" and as_path.is_file():
        return as_path
    if as_path.suffix != ".voice" and (path := voice_path(name_or_file)).is_file():
        return path
    known = ", ".join(p.stem for p in list_voices()) or "none yet"
    raise InputError(
        f"There is no voice {name_or_file!r}; give a .voice file or one of the voices in the library ({known})."
    )


def list_voices() -> list[Path]:
    return sorted(library_folder().glob("*.voice"))


def delete_voice(name: str) -> Path:
    path = voice_path(name)
    if not path.is_file():
        raise InputError(f"There is no voice {name!r} to delete; `tts-meta voices list` shows the voices there are.")
    path.unlink()
    return path


def export_voice(name: str, out: Path, force: bool = False) -> Path:
    """Copy a voice of the library to `out` (a file or a folder)."""
    source = find_voice(name)
    target = out / source.name if out.is_dir() else out
    if target.exists() and not force:
        raise InputError(f"{target} exists; choose another file or add --force.")
    replace_file(target, source.read_bytes())
    return target


def import_voice(file: Path, starter: Starter, force: bool = False) -> Path:
    """Check a voice file against the starter, then copy it into the library under the name in its header."""
    load_voice(file, starter)
    target = voice_path(read_header(file)["name"])
    if target.exists() and not force:
        raise InputError(f"A voice {target.stem!r} exists already; delete it first or add --force.")
    replace_file(target, file.read_bytes())
    return target

"""The header of a voice file: read, and changed, without what computes with the tensors (a list of voices imports no torch)."""

from __future__ import annotations

import json
import struct
from pathlib import Path

from tts_meta.errors import InputError
from tts_meta.voices.voice_schema import FORMAT, check_header

MAX_BYTES = 64 * 2**20
_MAX_HEADER = 2**20


def change_header(path: Path, target: Path, **changes: object) -> None:
    """Write the voice at `path` to `target` with some keys of its header changed; the tensors stay what they are."""
    from safetensors import SafetensorError
    from safetensors.numpy import load, save

    from tts_meta.audio.files import replace_file

    header = {**read_header(path), **changes}
    try:
        tensors = load(path.read_bytes())
    except (SafetensorError, ValueError) as e:
        raise InputError(f"{path} is damaged (its tensors cannot be read); copy it again or clone the voice again.") from e
    replace_file(target, save(tensors, metadata={"voice": json.dumps(header)}))


def read_header(path: Path) -> dict:
    """The header alone. Raises InputError when the file is not a voice."""
    try:
        size = path.stat().st_size
        with open(path, "rb") as f:
            start = f.read(8)
            length = struct.unpack("<Q", start)[0] if len(start) == 8 else 0
            if not 2 <= length <= min(_MAX_HEADER, size - 8) or size > MAX_BYTES:
                raise ValueError("not a safetensors file of a voice's size")
            meta = json.loads(f.read(length))
        header = json.loads(meta["__metadata__"]["voice"])
        if not isinstance(header, dict):
            raise ValueError("no voice header")
    except FileNotFoundError as e:
        raise InputError(f"The voice file {path} does not exist; `tts-meta voices list` shows the voices there are.") from e
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as e:
        raise InputError(f"{path} is not a voice file; a .voice file made by `tts-meta clone` is expected.") from e
    if header.get("format") != FORMAT:
        raise InputError(f"{path} has voice format {str(header.get('format'))[:20]}; this version reads format {FORMAT}.")
    return check_header(str(path), header)

"""The voice file `NAME.voice`: safetensors with the adapted modules as deltas to phi, and a JSON header. No pickle.

Header (string `voice` of the safetensors metadata): format, name, starter (digest), modules, sample_rate, clips
(number), seconds (of the clips), steps, best_step, method, heldout_loss (list of [step, nats per frame]), consent,
created (UTC), clip_digests (SHA-256 of the support files, so that an evaluation can leave them out).
"""

from __future__ import annotations

import json
import struct
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save

from tts_meta.audio.files import replace_file
from tts_meta.errors import InputError
from tts_meta.meta.tree import Tree
from tts_meta.voices.starter import Starter

FORMAT = 1
MAX_BYTES = 64 * 2**20
_MAX_HEADER = 2**20


@dataclass(frozen=True)
class Voice:
    """Deltas `{parameter: [...]}` float32 and the header."""

    deltas: Tree
    header: dict

    @property
    def name(self) -> str:
        return self.header["name"]


def save_voice(path: Path, deltas: Tree, header: dict) -> int:
    """Write a voice in half precision; returns its bytes. The old file survives a failed write."""
    tensors = {k: v.detach().to(torch.float16).contiguous() for k, v in deltas.items()}
    blob = save(tensors, metadata={"voice": json.dumps({**header, "format": FORMAT})})
    replace_file(path, blob)
    return len(blob)


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
        if not isinstance(header, dict) or not isinstance(header["name"], str):
            raise ValueError("no voice header")
    except FileNotFoundError as e:
        raise InputError(f"The voice {path} does not exist; `tts-meta voices list` shows the voices there are.") from e
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as e:
        raise InputError(f"{path} is not a voice file; a .voice file made by `tts-meta clone` is expected.") from e
    if header.get("format") != FORMAT:
        raise InputError(f"{path} has voice format {header.get('format')}; this version reads format {FORMAT}.")
    return header


def load_voice(path: Path, starter: Starter) -> Voice:
    """Read a voice for `starter`. Raises InputError for a file that is damaged or does not fit, naming both sides."""
    header = read_header(path)
    if header.get("starter") != starter.digest:
        raise InputError(
            f"{path} was made with the starter {str(header.get('starter'))[:12]}, this installation has "
            f"{starter.digest[:12]}; clone the voice again or install the version it was made with."
        )
    try:
        tensors = load(path.read_bytes())
    except (SafetensorError, ValueError) as e:
        raise InputError(f"{path} is damaged (its tensors cannot be read); copy it again or clone the voice again.") from e
    free = set(starter.partition.free())
    for name, value in tensors.items():
        if name not in free:
            raise InputError(f"{path} holds {name!r}, which the starter has no module for; clone the voice again.")
        if value.shape != starter.phi[name].shape or value.dtype != torch.float16:
            raise InputError(
                f"{path} holds {name} as {value.dtype} {tuple(value.shape)}; the starter has "
                f"torch.float16 {tuple(starter.phi[name].shape)}."
            )
        if not torch.isfinite(value).all():
            raise InputError(f"{path} holds numbers in {name} that are not finite; clone the voice again.")
    return Voice({k: v.float() for k, v in tensors.items()}, header)

"""The voice file `NAME.voice`: safetensors with the adapted modules as deltas to phi, and a JSON header. No pickle.

A weight `W` `[N, ...]` is two tensors: `W` in int8 and `W#scale` `[N]` in float32, one scale an output row; a vector is
float16. Rounding moves a delta by at most 1/254 of the largest of its row.

Header: the string `voice` of the safetensors metadata, JSON with the keys of `tts_meta.voices.voice_schema`.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load, save

from tts_meta.audio.files import replace_file
from tts_meta.errors import InputError
from tts_meta.meta.tree import Tree
from tts_meta.starters.gains import Gains
from tts_meta.starters.interface import Network
from tts_meta.voices.voice_header import read_header
from tts_meta.voices.voice_schema import FORMAT

SCALE = "#scale"
LARGEST = 50.0
"""No delta of a voice comes near; a larger one is damage or mischief."""


@dataclass(frozen=True)
class Voice:
    """Deltas `{parameter: [...]}` float32, the header, and the gains of the variance."""

    deltas: Tree
    header: dict
    gains: Gains

    @property
    def name(self) -> str:
        return self.header["name"]

    def network(self, starter: Network) -> Network:
        """The starter, which reads in the accent of the voice: its own where the file names none."""
        return starter.in_accent(self.header.get("accent"))


def pack(deltas: Tree) -> Tree:
    """Deltas as the file holds them: int8 with a scale a row for weights, float16 for vectors."""
    out: Tree = {}
    for name, value in deltas.items():
        value = value.detach().float()
        if value.ndim < 2:
            out[name] = value.to(torch.float16).contiguous()
            continue
        scale = value.flatten(1).abs().amax(1).clamp(min=1e-12) / 127
        out[name] = (value / scale.view(-1, *[1] * (value.ndim - 1))).round().to(torch.int8).contiguous()
        out[name + SCALE] = scale.contiguous()
    return out


def save_voice(path: Path, deltas: Tree, header: dict) -> int:
    """Write a voice; returns its bytes. The old file survives a failed write."""
    tensors = pack(deltas)
    blob = save(tensors, metadata={"voice": json.dumps({**header, "format": FORMAT})})
    replace_file(path, blob)
    return len(blob)


def network_of(digest: str) -> str | None:
    """The network whose starter in the package has this digest; None for neither."""
    for kind, name in (("small", "starter"), ("kokoro", "kokoro")):
        header = files("tts_meta") / "assets" / f"{name}.json"
        info = json.loads(header.read_text()) if header.is_file() else {}
        if info.get("digest", info.get("sha256")) == digest:
            return kind
    return None


def load_voice(path: Path, starter: Network) -> Voice:
    """Read a voice for `starter`. Raises InputError for a file that is damaged or does not fit, naming both sides."""
    header = read_header(path)
    if header.get("starter") != starter.digest:
        other = network_of(str(header.get("starter")))
        if other:
            raise InputError(
                f"{path} was made on the network {other!r} and this is {starter.kind!r}; set TTS_META_NETWORK={other} to use it, "
                "or clone the voice again."
            )
        raise InputError(
            f"{path} was made with the starter {str(header.get('starter'))[:12]}, this installation has "
            f"{starter.digest[:12]}; clone the voice again or install the version it was made with."
        )
    try:
        tensors = load(path.read_bytes())
    except (SafetensorError, ValueError) as e:
        raise InputError(f"{path} is damaged (its tensors cannot be read); copy it again or clone the voice again.") from e
    free = set(starter.partition.free())
    deltas: Tree = {}
    for name, value in tensors.items():
        base = name.removesuffix(SCALE)
        if base not in free or base not in tensors:
            raise InputError(f"{path} holds {name!r}, which the starter has no module for; clone the voice again.")
        if name != base:
            continue
        shape = starter.phi[name].shape
        scale = tensors.get(name + SCALE)
        kind = torch.float16 if len(shape) < 2 else torch.int8
        if value.shape != shape or value.dtype != kind:
            raise InputError(
                f"{path} holds {name} as {value.dtype} {tuple(value.shape)}; the starter has {kind} {tuple(shape)}."
            )
        if kind == torch.int8:
            if scale is None or scale.shape != shape[:1] or scale.dtype != torch.float32:
                raise InputError(f"{path} lacks the scales of {name}, torch.float32 ({shape[0]},); clone the voice again.")
            value = value.float() * scale.view(-1, *[1] * (len(shape) - 1))
        if not torch.isfinite(value).all():
            raise InputError(f"{path} holds numbers in {name} that are not finite; clone the voice again.")
        if float(value.abs().max()) > LARGEST:
            raise InputError(f"{path} holds {float(value.abs().max()):.3g} in {name}; at most {LARGEST} is expected of a voice.")
        deltas[name] = value.float()
    modules = starter.partition.modules
    unknown = [m for m in header["modules"] if m not in modules]
    if unknown:
        raise InputError(f"{path} names the module {unknown[0]!r}, which the starter does not have; clone the voice again.")
    told = {n for m in header["modules"] for n in starter.partition.members(m)}
    if told != deltas.keys():
        wrong = sorted(told ^ deltas.keys())[0]
        raise InputError(f"{path} {'lacks' if wrong in told else 'has'} {wrong}, against its header; clone the voice again.")
    gains = Gains(np.array(header["variance_gains"], dtype=np.float32), float(header["pitch_gain"]))
    return Voice(deltas, header, gains)

"""Clips as an adaptation needs them, in one safetensors file: what a job keeps, so that it checks and aligns once."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import safe_open
from safetensors.torch import save

from tts_meta.audio.files import replace_file
from tts_meta.audio.mel import SAMPLE_RATE
from tts_meta.clips.whole_clips import UsedClip
from tts_meta.errors import InputError
from tts_meta.measures.similarity import embed
from tts_meta.starters.interface import Network


@dataclass(frozen=True)
class Prepared:
    """One aligned clip: its file's name and SHA-256, text, seconds, and the embedding `[256]` of its speaker."""

    name: str
    digest: str
    text: str
    seconds: float
    speech_seconds: float
    item: Any
    embedding: np.ndarray


def prepare(clips: Sequence[UsedClip], network: Network) -> list[Prepared]:
    """What `check_clips` found usable, ready to adapt `network`."""
    return [
        Prepared(c.path.name, c.digest, c.text, c.features.seconds, c.features.speech_seconds, network.item(c),
                 embed(c.features.samples, SAMPLE_RATE) if c.embedding is None else c.embedding)
        for c in clips
    ]


def save_prepared(path: Path, clips: Sequence[Prepared], network: Network) -> None:
    """Write the clips, prepared for `network`, to `path`."""
    tensors, rows = {}, []
    for i, c in enumerate(clips):
        for key, array in network.item_tensors(c.item).items():
            tensors[f"{i}/{key}"] = torch.from_numpy(np.ascontiguousarray(array))
        tensors[f"{i}/embedding"] = torch.from_numpy(np.ascontiguousarray(c.embedding))
        rows.append({
            "name": c.name, "digest": c.digest, "text": c.text, "seconds": c.seconds, "speech_seconds": c.speech_seconds,
            "network": network.kind,
        })
    replace_file(path, save(tensors, metadata={"json": json.dumps(rows)}))


def load_prepared(path: Path, network: Network) -> list[Prepared]:
    """The clips of `save_prepared`. Raises InputError when they were prepared for another network."""
    with safe_open(str(path), framework="np") as f:
        rows = json.loads(f.metadata()["json"])
        arrays = {k: np.array(f.get_tensor(k)) for k in f.keys()}  # noqa: SIM118
    found = []
    for i, r in enumerate(rows):
        kind = r.pop("network", "small")
        if kind != network.kind:
            raise InputError(
                f"{path} holds clips prepared for the network {kind!r}, and this is {network.kind!r}; "
                f"set TTS_META_NETWORK={kind}, or clone again."
            )
        own = {k.split("/", 1)[1]: v for k, v in arrays.items() if k.startswith(f"{i}/")}
        embedding = own.pop("embedding")
        found.append(Prepared(item=network.item_of(own), embedding=embedding, **r))
    return found

"""Clips as an adaptation needs them, in one safetensors file: what a job keeps, so that it checks and aligns once."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from safetensors import safe_open
from safetensors.torch import save

from tts_meta.audio.files import replace_file
from tts_meta.audio.mel import SAMPLE_RATE
from tts_meta.data.batch import Item
from tts_meta.evaluation.similarity import embed
from tts_meta.voices.clips import UsedClip

_ARRAYS = ("mel", "contour", "f0", "energy", "energy_nats", "durations")


@dataclass(frozen=True)
class Prepared:
    """One aligned clip: its file's name and SHA-256, text, seconds, and the embedding `[256]` of its speaker."""

    name: str
    digest: str
    text: str
    seconds: float
    speech_seconds: float
    item: Item
    embedding: np.ndarray


def prepare(clips: Sequence[UsedClip]) -> list[Prepared]:
    """What `check_clips` found usable, ready to adapt."""
    return [
        Prepared(c.path.name, c.digest, c.text, c.features.seconds, c.features.speech_seconds, c.item,
                 embed(c.features.samples, SAMPLE_RATE) if c.embedding is None else c.embedding)
        for c in clips
    ]


def save_prepared(path: Path, clips: Sequence[Prepared]) -> None:
    """Write the clips to `path`."""
    tensors, rows = {}, []
    for i, c in enumerate(clips):
        for key in _ARRAYS:
            tensors[f"{i}/{key}"] = torch.from_numpy(np.ascontiguousarray(getattr(c.item, key)))
        tensors[f"{i}/embedding"] = torch.from_numpy(np.ascontiguousarray(c.embedding))
        rows.append({
            "name": c.name, "digest": c.digest, "text": c.text, "seconds": c.seconds, "speech_seconds": c.speech_seconds,
            "phones": c.item.phones, "stress": c.item.stress,
        })
    replace_file(path, save(tensors, metadata={"json": json.dumps(rows)}))


def load_prepared(path: Path) -> list[Prepared]:
    """The clips of `save_prepared`."""
    with safe_open(str(path), framework="np") as f:
        rows = json.loads(f.metadata()["json"])
        arrays = {k: np.array(f.get_tensor(k)) for k in f.keys()}  # noqa: SIM118
    found = []
    for i, r in enumerate(rows):
        mel, contour, f0, energy, energy_nats, durations = (arrays[f"{i}/{k}"] for k in _ARRAYS)
        item = Item(r.pop("phones"), r.pop("stress"), mel, contour, f0, energy, energy_nats, durations=durations)
        found.append(Prepared(item=item, embedding=arrays[f"{i}/embedding"], **r))
    return found

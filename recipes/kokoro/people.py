"""The people of `people*.xz` (recipes/kokoro/pack.py) as the product's items, by speaker."""

from __future__ import annotations

import json
import lzma
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from safetensors.numpy import load

from tts_meta.kokoro.clips import ENERGY_OFFSET, KokoroItem


@dataclass
class Person:
    """`pieces` are (name of the recording it was cut from, item); `fold` is phase1, sigma or dev."""

    name: str
    fold: str
    pieces: list[tuple[str, KokoroItem]] = field(default_factory=list)

    @property
    def seconds(self) -> float:
        return sum(i.seconds for _, i in self.pieces)

    def split(self, support: int, query: int, rng: np.random.Generator) -> tuple[list[KokoroItem], list[KokoroItem]]:
        """Random support pieces, and query pieces of other recordings than theirs. Raises ValueError for too few."""
        order = rng.permutation(len(self.pieces))
        first = [self.pieces[i] for i in order[:support]]
        met = {name for name, _ in first}
        others = [item for name, item in (self.pieces[i] for i in order[support:]) if name not in met][:query]
        if len(first) < support or len(others) < query:
            raise ValueError(f"{self.name} has too few recordings for {support} and {query} pieces.")
        return [item for _, item in first], others


def people(folder: Path, folds: tuple[str, ...]) -> list[Person]:
    """Those in `folds`, sorted by name."""
    found: dict[str, Person] = {}
    for path in sorted(folder.glob("people*.xz")):
        blob = load(lzma.decompress(path.read_bytes()))
        mel = np.cumsum(blob["mel"], axis=1, dtype=np.uint8)  # differences, modulo 256
        a = b = c = 0
        for speaker, name, fold, tokens, features, frames in json.loads(bytes(blob["pieces"])):
            if fold in folds:
                item = KokoroItem(
                    blob["ids"][a : a + tokens].astype(np.int64), blob["fr"][a : a + tokens].astype(np.int64),
                    blob["f0"][b : b + features].astype(np.float32) / 10,
                    blob["N"][b : b + features].astype(np.float32) / 10 + ENERGY_OFFSET,
                    mel[:, c : c + frames].T.astype(np.float32) / 10 - 11.6,
                )
                found.setdefault(speaker, Person(speaker, fold)).pieces.append((name, item))
            a, b, c = a + tokens, b + features, c + frames
    return [found[n] for n in sorted(found)]


WITH_MINUTES = 150
"""Seconds of recordings from which a person is one of those with minutes: native readers."""


def sigma_people(folder: Path, support: int, query: int) -> list[Person]:
    """Those that sigma is learned on, with pieces enough for tasks of so many."""
    return [q for q in people(folder, ("sigma",)) if len(q.pieces) >= support + query + 4]


def pool(crowd: Sequence[Person], rng: np.random.Generator) -> Sequence[Person]:
    """Whom a task is drawn from: for three tasks of four those with minutes, else all."""
    return [q for q in crowd if q.seconds > WITH_MINUTES] if rng.random() < 0.75 else crowd

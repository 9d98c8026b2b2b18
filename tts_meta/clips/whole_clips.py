"""Clips as they are, whole: what an evaluation takes. What a clone takes is checked and cut by clips/checkup."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from tts_meta.audio.features import ClipFeatures, clip_features
from tts_meta.audio.files import read_audio
from tts_meta.audio.measures import clipped_share
from tts_meta.data.batch import Item, make_item
from tts_meta.data.tasks import align_items
from tts_meta.errors import InputError
from tts_meta.starters.interface import Network
from tts_meta.text.phonemes import phonemize

SHORTEST = 0.6  # s
LONGEST = 20.0  # s
ENOUGH_SPEECH = 5.0  # s in all
CLIPPED = 0.005  # share of samples at full scale


@dataclass(frozen=True)
class UsedClip:
    """One clip that will be learned from. `digest` is the SHA-256 of its file."""

    path: Path
    text: str
    features: ClipFeatures
    item: Item
    digest: str
    embedding: np.ndarray | None = None  # [256], where the clip doctor has made it


def check_clip(path: Path) -> ClipFeatures:
    """Features of one clip. Raises InputError when it is not audio, empty, silent, too short, too long or clipped."""
    samples, rate = read_audio(path)
    seconds = len(samples) / rate
    if seconds < SHORTEST:
        raise InputError(f"{path} lasts {seconds:.2f} s; clips of at least {SHORTEST} s are expected.")
    if seconds > LONGEST:
        raise InputError(f"{path} lasts {seconds:.0f} s; clips of at most {LONGEST:.0f} s are expected, cut it at pauses.")
    if float(np.abs(samples).max()) < 1e-3:
        raise InputError(f"{path} is silent; record it again or leave it out.")
    if clipped_share(samples) >= CLIPPED:
        raise InputError(f"{path} is clipped (too loud for its recording); record it again at a lower level.")
    found = clip_features(samples, rate)
    if found is None or found.speech_seconds < 0.3:
        raise InputError(f"No speech was found in {path}; record it again or leave it out.")
    return found


def whole_clips(paths: Sequence[Path], texts: dict[Path, str], network: Network) -> dict[Path, UsedClip]:
    """Files with their texts, aligned, none cut; a file too short for its text is left out. Raises as check_clip."""
    starter = network.checker
    used: dict[Path, UsedClip] = {}
    for path in paths:
        features = check_clip(path)
        ids, stress = starter.table.encode(phonemize(texts[path], starter.espeak_voice, inventory=starter.table.inventory))
        if len(features.mel) >= 2 * len(ids):
            item = make_item(ids, stress, features.mel, features.f0, starter.norm)
            used[path] = UsedClip(path, texts[path], features, item, hashlib.sha256(path.read_bytes()).hexdigest())
    items = align_items(starter.model, [c.item for c in used.values()])
    return {p: replace(c, item=i) for (p, c), i in zip(used.items(), items, strict=True)}

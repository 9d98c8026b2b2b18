"""Check a person's clips and turn them into aligned utterances; every refusal is one clear sentence."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tts_meta.audio.features import ClipFeatures, clip_features
from tts_meta.audio.files import read_audio
from tts_meta.data.batch import Item, make_item
from tts_meta.data.tasks import align_items
from tts_meta.errors import InputError
from tts_meta.text.phonemes import phonemize
from tts_meta.voices.starter import Starter

SHORTEST = 0.6  # s
LONGEST = 20.0  # s
ENOUGH_SPEECH = 5.0  # s in all
CLIPPED = 0.005  # share of samples at full scale


@dataclass(frozen=True)
class UsedClip:
    """One clip that will be learned from."""

    path: Path
    text: str
    features: ClipFeatures
    item: Item
    digest: str


def is_clipped(samples: np.ndarray) -> bool:
    """Whether the peaks are cut: at least CLIPPED of the samples sit on the clip's own largest value, in runs."""
    peak = float(np.abs(samples).max(initial=0.0))
    if peak < 0.1:
        return False
    top = np.abs(samples) >= 0.999 * peak
    runs = np.diff(np.concatenate([[0], top.astype(np.int8), [0]]))
    lengths = np.flatnonzero(runs == -1) - np.flatnonzero(runs == 1)
    return float(lengths[lengths >= 3].sum()) >= CLIPPED * len(samples)


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
    if is_clipped(samples):
        raise InputError(f"{path} is clipped (too loud for its recording); record it again at a lower level.")
    found = clip_features(samples, rate)
    if found is None or found.speech_seconds < 0.3:
        raise InputError(f"No speech was found in {path}; record it again or leave it out.")
    return found


def load_clips(clips: list[Path], texts: dict[Path, str], starter: Starter) -> tuple[list[UsedClip], list[dict]]:
    """(usable clips, a report row {file, seconds, used, reason} for each given one).

    A clip whose text cannot fit its length is left out with the reason. Raises InputError for a clip that cannot be
    read as speech at all, and when less than ENOUGH_SPEECH s of speech is left.
    """
    used: list[UsedClip] = []
    report: list[dict] = []
    seen: set[str] = set()
    for path in clips:
        features = check_clip(path)
        ids, stress = starter.table.encode(phonemize(texts[path], starter.espeak_voice, inventory=starter.table.inventory))
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        row = {"file": str(path), "seconds": round(features.seconds, 2), "used": True, "reason": ""}
        if digest in seen:
            row |= {"used": False, "reason": "the same recording as another clip"}
        elif len(features.mel) < 2 * len(ids):
            row |= {"used": False, "reason": "its transcript is too long to be said in that time"}
        elif features.speech_seconds > 0.6 * len(ids):
            row |= {"used": False, "reason": "its transcript is too short for that much speech"}
        else:
            item = make_item(ids, stress, features.mel, features.f0, starter.norm)
            used.append(UsedClip(path, texts[path], features, item, digest))
        seen.add(digest)
        report.append(row)
    speech = sum(c.features.speech_seconds for c in used)
    if speech < ENOUGH_SPEECH:
        left_out = [r for r in report if not r["used"]]
        why = f" ({left_out[0]['file']}: {left_out[0]['reason']})" if left_out else ""
        raise InputError(
            f"The clips hold {speech:.1f} s of usable speech{why}; at least {ENOUGH_SPEECH:.0f} s is expected, "
            "record some more."
        )
    items = align_items(starter.model, [c.item for c in used])
    used = [UsedClip(c.path, c.text, c.features, i, c.digest) for c, i in zip(used, items, strict=True)]
    return used, report

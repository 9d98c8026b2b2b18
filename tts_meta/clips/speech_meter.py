"""How much there is, and what it may be worth: seconds of usable speech, sounds covered, the similarity to expect."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files

import numpy as np

from tts_meta.clips.sound_coverage import SOUNDS


@dataclass(frozen=True)
class Meter:
    """`missing` sounds are None where no text is known.

    `expected`: (low, middle, high) position between other people (0) and the speaker's own recordings (1); `speakers`: how
    many that was measured on.
    """

    clips: int
    speech_seconds: float
    missing: list[str] | None
    expected: tuple[float, float, float] | None
    speakers: int = 0

    @property
    def sentence(self) -> str:
        covered = "" if self.missing is None else f", {len(SOUNDS) - len(self.missing)} of {len(SOUNDS)} sounds"
        start = f"{self.clips} clip{'s' * (self.clips != 1)}, {self.speech_seconds:.0f} s of usable speech{covered}."
        if self.expected is None:
            return start
        low, middle, high = (round(100 * v) for v in self.expected)
        return (
            f"{start} With so much speech the voices of {self.speakers} measured speakers came {middle} % of the way "
            f"from other people to their own recordings (half of them {low} to {high} %)."
        )

    def to_dict(self) -> dict:
        return {
            "clips": self.clips, "speech_seconds": round(self.speech_seconds, 2), "missing_sounds": self.missing,
            "covered_sounds": None if self.missing is None else len(SOUNDS) - len(self.missing),
            "expected_position": self.expected, "sentence": self.sentence,
        }


@lru_cache(maxsize=1)
def _curves() -> dict[str, dict]:
    return json.loads((files("tts_meta") / "assets" / "expected_similarity.json").read_text())


def _measured(kind: str) -> dict:
    return _curves().get(kind, {"speakers": 0, "points": []})


def measured_speakers(kind: str) -> int:
    """How many speakers the curve of a network (`kokoro`, `small`) was measured on."""
    return _measured(kind)["speakers"]


def expected(seconds: float, kind: str) -> tuple[float, float, float] | None:
    """Position to expect of a clone on the network `kind` from so many seconds of clips, by a curve that was measured
    (quartiles over speakers; docs/how-many-clips.md); None well under its first point, or where none was measured."""
    points = _measured(kind)["points"]
    if not points or seconds < 0.7 * points[0]["seconds"]:
        return None
    at = [p["seconds"] for p in points]
    low, middle, high = (float(np.interp(seconds, at, [p[k] for p in points])) for k in ("low", "middle", "high"))
    return round(low, 3), round(middle, 3), round(high, 3)

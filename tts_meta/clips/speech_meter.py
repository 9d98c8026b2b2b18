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

    `expected`: (low, middle, high) position between other people (0) and the speaker's own recordings (1).
    """

    clips: int
    speech_seconds: float
    missing: list[str] | None
    expected: tuple[float, float, float] | None

    @property
    def sentence(self) -> str:
        covered = "" if self.missing is None else f", {len(SOUNDS) - len(self.missing)} of {len(SOUNDS)} sounds"
        start = f"{self.clips} clip{'s' * (self.clips != 1)}, {self.speech_seconds:.0f} s of usable speech{covered}."
        if self.expected is None:
            return start
        low, middle, high = (round(100 * v) for v in self.expected)
        return (
            f"{start} With so much speech the voices of {_measured()['speakers']} measured speakers came {middle} % of the way "
            f"from other people to their own recordings (half of them {low} to {high} %)."
        )

    def to_dict(self) -> dict:
        return {
            "clips": self.clips, "speech_seconds": round(self.speech_seconds, 2), "missing_sounds": self.missing,
            "covered_sounds": None if self.missing is None else len(SOUNDS) - len(self.missing),
            "expected_position": self.expected, "sentence": self.sentence,
        }


@lru_cache(maxsize=1)
def _measured() -> dict:
    path = files("tts_meta") / "assets" / "expected_similarity.json"
    return json.loads(path.read_text()) if path.is_file() else {"points": [], "speakers": 0}


def expected(seconds: float) -> tuple[float, float, float] | None:
    """Position to expect from so many seconds of clips, by the measured curve of docs/evidence.md (quartiles over
    speakers); None well under its first point."""
    points = _measured()["points"]
    if not points or seconds < 0.7 * points[0]["seconds"]:
        return None
    at = [p["seconds"] for p in points]
    low, middle, high = (float(np.interp(seconds, at, [p[k] for p in points])) for k in ("low", "middle", "high"))
    return round(low, 3), round(middle, 3), round(high, 3)

"""What was found about clips: of each its measures and findings, and of all together what can be learned from."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from tts_meta.clips.findings import Finding, worst
from tts_meta.clips.speech_meter import Meter
from tts_meta.clips.whole_clips import UsedClip
from tts_meta.errors import InputError


@dataclass
class ClipCheck:
    """One clip, or one piece of a long recording: measures, findings, and what a clone would learn from (None: nothing)."""

    path: Path
    start: float
    end: float
    text: str
    measures: dict[str, float | None] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)
    used: UsedClip | None = None
    samples: np.ndarray | None = None

    @property
    def level(self) -> str:
        return worst(self.findings)

    def to_dict(self) -> dict:
        reasons = [f.sentence for f in self.findings if f.level == "red"]
        return {
            "file": str(self.path), "start": round(self.start, 2), "seconds": round(self.end - self.start, 2), "text": self.text,
            "used": self.used is not None, "reason": "; ".join(reasons), "level": self.level,
            **{k: None if v is None else round(v, 3) for k, v in self.measures.items()},
            "findings": [f.to_dict() for f in self.findings],
        }


@dataclass
class Checkup:
    """All clips, findings about the set, the meter, and what was said of files that were passed over and texts that were
    guessed."""

    clips: list[ClipCheck]
    findings: list[Finding]
    meter: Meter
    notes: list[str] = field(default_factory=list)

    @property
    def used(self) -> list[UsedClip]:
        return [c.used for c in self.clips if c.used is not None]

    def require(self) -> list[UsedClip]:
        """What a clone learns from. Raises InputError when that is too little."""
        for f in self.findings:
            if f.level == "red":
                raise InputError(f"{f.sentence} {f.fix}")
        return self.used

    @property
    def level(self) -> str:
        """Red when nothing can be cloned from it, amber when something is doubtful or left out."""
        doubtful = any(c.level != "green" for c in self.clips)
        return max((worst(self.findings), "amber" if doubtful else "green"), key=("green", "amber", "red").index)

    def to_dict(self) -> dict:
        return {
            "level": self.level, "meter": self.meter.to_dict(), "findings": [f.to_dict() for f in self.findings],
            "clips": [c.to_dict() for c in self.clips], "notes": self.notes,
        }

"""A finding: a level (green, amber, red), what it is about, a sentence, and the fix. Red: the clip is left out."""

from __future__ import annotations

from dataclasses import dataclass

LEVELS = ("green", "amber", "red")


@dataclass(frozen=True)
class Finding:
    """What is wrong or doubtful, and what to do about it."""

    level: str
    about: str  # a short key: clipping, noise, text, ...
    sentence: str
    fix: str = ""

    def to_dict(self) -> dict[str, str]:
        return dict(self.__dict__)


def worst(findings: list[Finding]) -> str:
    """The level of the whole: green for no findings."""
    return max((f.level for f in findings), key=LEVELS.index, default="green")

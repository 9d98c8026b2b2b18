"""What the caller of a clone chooses."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from importlib.resources import files

from tts_meta.errors import InputError
from tts_meta.places import check_name, chosen_network
from tts_meta.text.accents import AUTO, check_accent

METHODS = ("sigma", "learned", "embedding", "all")
"""`sigma` and `learned` go on under a prior: the first is nearer to the speaker, the second better to hear."""


@dataclass(frozen=True)
class Settings:
    """What the caller chooses. `stop`: end early on a plateau of loss and likeness (measured every CHECK steps). `accent`: one of
    `tts_meta.text.accents`, or the one that is heard in the clips."""

    name: str
    steps: int
    method: str = "sigma"
    consent: str = ""
    purpose: str = ""
    seed: int = 0
    stop: bool = False
    accent: str = AUTO

    @property
    def shrinks(self) -> bool:
        """Whether a prior holds the clone."""
        return self.method in ("sigma", "learned")

    def check(self) -> Settings:
        """Itself, its name composed. Raises InputError for what cannot be done."""
        name = check_name(self.name)
        if self.method not in METHODS:
            raise InputError(f"The method is {self.method!r}; one of {', '.join(METHODS)} is expected.")
        check_accent(self.accent)
        if not 1 <= self.steps <= 1_000_000:
            raise InputError(f"The number of steps is {self.steps}; 1 to 1,000,000 is expected.")
        return replace(self, name=name)


def usual_steps() -> int:
    """The steps of a clone that is not told otherwise, of the package's starter on the chosen network, which is not loaded."""
    name = "starter" if chosen_network() == "small" else chosen_network()
    found = json.loads((files("tts_meta") / "assets" / f"{name}.json").read_text(encoding="utf-8"))
    return int(found["adaptation"]["steps"])

"""How a clone adapts a starter: what moves, how far, for how long. The part `adaptation` of the starter's JSON, checked."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from tts_meta.errors import InputError


def _names(v: Any) -> bool:
    return isinstance(v, list | tuple) and all(isinstance(m, str) for m in v)


def _whole(v: Any) -> bool:
    return isinstance(v, int) and not isinstance(v, bool) and v >= 1


def _positive(v: Any) -> bool:
    return isinstance(v, int | float) and not isinstance(v, bool) and 0 < v < math.inf


def _factors(v: Any) -> bool:
    return isinstance(v, dict) and all(map(_positive, v.values()))


CHECKS: dict[str, tuple[Callable[[Any], bool], str]] = {
    "clips": (_whole, "a whole number of 1 or more"),
    "solver": (lambda v: isinstance(v, dict) and all(isinstance(k, str) for k in v), "an object"),
    "frozen": (_names, "a list of names"),
    "moved": (_names, "a list of names"),
    "embedding": (_names, "a list of names"),
    "widths": (_factors, "an object of numbers above 0"),
    "learned": (_factors, "an object of numbers above 0"),
    "steps": (_whole, "a whole number of 1 or more"),
    "embedding_rate": (_positive, "a number above 0"),
    "all_rate": (_positive, "a number above 0"),
    "together": (_whole, "a whole number of 1 or more"),
    "long": (_names, "a list of names"),
}


@dataclass(frozen=True)
class Adaptation:
    """`clips` utterances enter a step of `solver` (a part of the learning core: its `kind` and options).

    `moved` are the modules that a clone moves (recipes/starter/choose_modules.py), None for all but those that match `frozen`;
    `embedding` are those that say who speaks and nothing else; `widths` are factors of their sigma
    (recipes/starter/widen_sigma.py), 1 where a module has none; with those in `learned` it is what was learned where clones go
    on (recipes/kokoro/rewrite.py). `steps` is what a clone does unless it is told otherwise; after `together` of them only the
    modules that match `long` go on, where that is said. The rates are those of the methods without a prior. A starter that is
    made to be compared with may leave steps, rates and solver out.
    """

    clips: int
    solver: Mapping[str, Any] | None = None
    frozen: tuple[str, ...] = ()
    moved: tuple[str, ...] | None = None
    embedding: tuple[str, ...] = ("speaker",)
    widths: Mapping[str, float] = field(default_factory=dict)
    learned: Mapping[str, float] = field(default_factory=dict)
    steps: int | None = None
    embedding_rate: float | None = None
    all_rate: float | None = None
    together: int | None = None
    long: tuple[str, ...] = ()

    @staticmethod
    def read(where: str, found: Any) -> Adaptation:
        """Of the JSON `found` in the file `where`. Raises InputError that says what was found and what was expected."""
        if not isinstance(found, dict):
            raise InputError(f"{where} has the adaptation {str(found)[:40]!r}; an object is expected, reinstall tts-meta.")
        unknown = sorted(set(found) - {f.name for f in fields(Adaptation)})
        if unknown:
            raise InputError(f"{where} has adaptation.{unknown[0]}, which this version does not know; reinstall tts-meta.")
        if "clips" not in found:
            raise InputError(f"{where} has no adaptation.clips; {CHECKS['clips'][1]} is expected, reinstall tts-meta.")
        for key, value in found.items():
            fits, shape = CHECKS[key]
            if not fits(value):
                raise InputError(
                    f"{where} has {str(value)[:40]!r} as adaptation.{key}; {shape} is expected, reinstall tts-meta."
                )
        lists = {k: tuple(found[k]) for k in ("frozen", "moved", "embedding", "long") if k in found}
        return Adaptation(**{**found, **lists})

    def need(self, key: str) -> Any:
        """The value of a key. Raises InputError when the starter leaves it out."""
        value = getattr(self, key)
        if value is None:
            raise InputError(f"The starter does not say its {key}; one made by recipes/starter/export_starter.py is expected.")
        return value

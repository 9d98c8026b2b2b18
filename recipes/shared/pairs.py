"""Ways of adapting Kokoro beside the package's, person by person, after as many steps as a clone takes."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from shared.markdown import table

OURS, STEP = "sigma_reptile", "120"
MEASURES = {"position": 2, "p808": 2, "distillmos": 2, "wer": 1}
DRAWS = 10_000


def scores(*files: Mapping[str, dict]) -> dict[str, dict[str, dict]]:
    """{method: {person: scores at STEP}} of cells `method|person|steps`; the first file's of a person that several have."""
    found: dict[str, dict[str, dict]] = {}
    for cells in files:
        for key, cell in cells.items():
            method, person, *_ = key.split("|")
            if STEP in cell["sounds"]:
                found.setdefault(method, {}).setdefault(person, cell["sounds"][STEP])
    return found


def interval(differences: np.ndarray) -> tuple[float, float]:
    """95 % of the means of people drawn again."""
    rows = np.random.default_rng(0).integers(len(differences), size=(DRAWS, len(differences)))
    low, high = np.quantile(differences[rows].mean(1), (0.025, 0.975))
    return float(low), float(high)


def paired(found: Mapping[str, Mapping[str, dict]], methods: list[str]) -> str:
    """Means over the people whom all of `methods` and OURS have cloned, and each method's differences from OURS."""
    people = sorted(set.intersection(*(set(found[m]) for m in [OURS, *methods])))

    def of(method: str, measure: str) -> np.ndarray:
        return np.array([found[method][p][measure] for p in people]) * (100 if measure == "wer" else 1)

    rows = [[OURS, str(len(people)), *(f"{of(OURS, k).mean():{'' if k in ('position', 'wer') else '+'}.{d}f}"
                                      for k, d in MEASURES.items())]]
    for m in methods:
        cells = []
        for k, d in MEASURES.items():
            apart = of(m, k) - of(OURS, k)
            low, high = interval(apart)
            cells.append(f"{apart.mean():+.{d}f} [{low:+.{d}f}, {high:+.{d}f}]")
        rows.append([f"{m}, less that", str(len(people)), *cells])
    return table(["", "people", "position", "P.808", "distillmos", "WER, points"], rows)

"""Likeness against quality as ways of adapting Kokoro go on: docs/kokoro_walks.png.

    python recipes/kokoro/walks.py

Left of docs/kokoro_evidence.json: means over the speakers that all methods have cloned, after 60, 120 and 300 steps. Right of
docs/kokoro_long.json: one speaker, up to 3,000.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

import matplotlib
import numpy as np

matplotlib.use("Agg")
from matplotlib import pyplot as plt  # noqa: E402
from matplotlib.axes import Axes  # noqa: E402

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "recipes")]

from tables import METHODS, everybody  # noqa: E402

COLOURS = {
    "sigma_reptile": "#be123c", "sigma_together": "#fb7185", "sigma_imaml": "#7c3aed", "no_prior": "#b45309",
    "finetune_all": "#111827", "head_all": "#6b7280", "handpicked": "#0369a1", "lora": "#15803d", "weight_change": "#65a30d",
    "adain": "#0f766e", "sea_emb": "#a16207", "reptile": "#2563eb", "fomaml": "#0891b2",
}
STRONG = ("sigma_reptile", "sigma_imaml")
"""What the package has."""
Walk = dict[int, tuple[float, float]]
"""Position and distillmos by step."""


def sounds(cell: dict) -> Walk:
    return {int(s): (a["position"], a["distillmos"]) for s, a in cell["sounds"].items() if s != "0"}


def means(walks: list[Walk]) -> Walk:
    shared = set.intersection(*(set(w) for w in walks))
    found = {s: np.mean([w[s] for w in walks], axis=0) for s in sorted(shared)}
    return {s: (float(p), float(d)) for s, (p, d) in found.items()}


def draw(axis: Axes, walks: dict[str, Walk], title: str) -> None:
    for method, walk in walks.items():
        strong = method in STRONG
        steps = list(walk)
        at = np.array([walk[s] for s in steps])
        axis.plot(*at.T, color=COLOURS[method], lw=2.4 if strong else 1.1, marker="o", ms=3, zorder=3 if strong else 2)
        axis.plot(*at[0], color=COLOURS[method], marker="o", ms=7, mfc="white", zorder=4)
    axis.axhline(0, color="#a1a1aa", lw=0.8)
    axis.axvline(1, color="#a1a1aa", lw=0.8)
    axis.set_xlabel("position (1: the person's own recordings)")
    axis.set_ylabel("distillmos, clone less recordings through the vocoder")
    axis.set_title(title, fontsize=10)
    axis.margins(x=0.15)
    named: list[np.ndarray] = []  # where names stand, in pixels: one under another where walks end together
    for method, walk in sorted(walks.items(), key=lambda w: -w[1][max(w[1])][1]):
        at = end = axis.transData.transform(walk[max(walk)])
        while any(abs(x - at[0]) < 100 and abs(y - at[1]) < 13 for x, y in named):
            at = at - (0, 1)
        named.append(at)
        low = (at - end) * 72 / axis.figure.dpi
        axis.annotate(method, walk[max(walk)], (4, low[1] - 3), textcoords="offset points", color=COLOURS[method], fontsize=8,
                      weight="bold" if method in STRONG else "normal")


def main() -> None:
    p = argparse.ArgumentParser()
    p.add_argument("--docs", type=Path, default=ROOT / "docs")
    p.add_argument("--speaker", default="p225", help="of the long walks")
    args = p.parse_args()
    grid = json.loads((args.docs / "kokoro_evidence.json").read_text())
    people = everybody(grid)
    walks = {m: means([sounds(grid[f"{m}|{s}|300"]) for s in people]) for m in METHODS if f"{m}|{people[0]}|300" in grid}
    cells = {key.split("|")[0]: sounds(c) for key, c in json.loads((args.docs / "kokoro_long.json").read_text()).items()
             if key.split("|")[1] == args.speaker}
    figure, (left, right) = plt.subplots(1, 2, figsize=(14, 6), dpi=110, layout="constrained")
    draw(left, walks, f"{', '.join(people)}: 60 steps (ring), 120, 300")
    last = max(s for w in cells.values() for s in w)
    draw(right, {m: cells[m] for m in METHODS if m in cells}, f"{args.speaker}: 60 steps (ring), 120, 300, 1,000 to {last:,}")
    figure.savefig(args.docs / "kokoro_walks.png")


if __name__ == "__main__":
    main()

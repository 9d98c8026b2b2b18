"""The picture of the module table: what σ-Reptile found to be speaker-specific, and what a clone moves.

    python recipes/evidence/module_picture.py docs/evidence/module_table.png
"""

from __future__ import annotations

import argparse
import io
from pathlib import Path

import matplotlib
import numpy as np

from tts_meta.audio.files import replace_file
from tts_meta.starters.small_starter import load_starter

matplotlib.use("Agg")
from matplotlib import pyplot
from matplotlib.patches import Patch, Rectangle

TAILS = ("film.weight", "film.bias", "conv", "out", "norm", "inp", "head", "symbol", "stress", "energy", "features")


def split(name: str) -> tuple[str, str]:
    """Where a module is, and its own name there."""
    tail = next((t for t in TAILS if name.endswith("." + t)), "")
    return (name[: -len(tail) - 1], tail) if tail else (name, "embedding")


def module_table(path: Path) -> None:
    """A row for every block, a cell for every module: its sigma over the RMS of its weights, and whether a clone moves it."""
    groups: dict[str, list[dict]] = {}
    for m in load_starter().module_table():
        groups.setdefault(split(m["name"])[0], []).append(m)
    columns = max(map(len, groups.values()))
    figure, axis = pyplot.subplots(figsize=(1.9 + 1.55 * columns, 0.36 * len(groups) + 0.9), layout="constrained")
    colours = pyplot.get_cmap("viridis")
    for y, modules in enumerate(groups.values()):
        for x, m in enumerate(modules):
            # From 0.01 to 1, on a log scale: what is under hardly moves, what is over moves like a fresh weight.
            value = float(np.clip((np.log10(m["sigma_relative"]) + 2) / 2, 0, 1))
            edge = {"edgecolor": "#dc2626", "linewidth": 2.5} if m["moved"] else {}
            axis.add_patch(Rectangle((x + 0.03, y + 0.08), 0.94, 0.84, facecolor=colours(value), zorder=1, **edge))
            text = f"{split(m['name'])[1]} {m['sigma_relative']:.2f}" + (" ●" if m["moved"] else "")
            axis.text(x + 0.5, y + 0.5, text, ha="center", va="center", fontsize=8, zorder=3,
                      color="black" if value > 0.6 else "white", fontweight="bold" if m["moved"] else "normal")
    axis.set(xlim=(0, columns), ylim=(len(groups), 0), xticks=[])
    axis.set_yticks([y + 0.5 for y in range(len(groups))], list(groups), fontsize=8)
    axis.tick_params(length=0)
    for side in axis.spines.values():
        side.set_visible(False)
    axis.set_title("Sigma over the RMS of the weights; ● and a red frame: a clone moves it", fontsize=10, loc="left")
    scale = [Patch(facecolor=colours(v), label=label) for v, label in ((0.0, "≤ 0.01"), (0.5, "0.1"), (1.0, "≥ 1"))]
    axis.legend(handles=scale, ncols=3, fontsize=8, loc="lower right", title="sigma / RMS", title_fontsize=8)
    made = io.BytesIO()
    figure.savefig(made, dpi=110, format="png")
    pyplot.close(figure)
    path.parent.mkdir(parents=True, exist_ok=True)
    replace_file(path, made.getvalue())


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path)
    module_table(parser.parse_args().out)

"""Pictures of the comparison (recipes/evidence/evidence.py): loss, likeness, words, verification, t-SNE, sigma."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import matplotlib
import numpy as np
from module_picture import module_table

from tts_meta.evaluation.grid import pooled_wer, verification, words_of
from tts_meta.measures.verification import TRIALS
from tts_meta.starters.small_starter import load_starter

if TYPE_CHECKING:
    from evidence_cells import Grid

matplotlib.use("Agg")
from matplotlib import pyplot
from matplotlib.axes import Axes

# Colour says what keeps a method from overfitting; its name stands at the end of its line.
SHRUNK = ("sigma_reptile", "sigma_learned", "sigma_imaml", "keep_small", "prune_0.03", "prune_0.1", "prune_0.3")
FEW = ("sea_emb", "cln", "lora", "weight_change", "no_prior")
COLOURS = {"a prior": "tab:blue", "few weights, no prior": "tab:green", "most or all weights, no prior": "tab:red"}


def family(method: str) -> str:
    return list(COLOURS)[0 if method in SHRUNK else 1 if method in FEW else 2]


def style(method: str) -> dict:
    width, order, alpha = (3, 3, 1.0) if method == "sigma_reptile" else (1, 2, 0.8)
    return {"color": COLOURS[family(method)], "linewidth": width, "zorder": order, "alpha": alpha}


def legend(axis: Axes, methods: list[str], place: str) -> None:
    for name in COLOURS:
        if any(family(m) == name for m in methods):
            axis.plot([], [], color=COLOURS[name], linewidth=2, label=name)
    axis.legend(fontsize=8, loc=place)


def name_ends(axis: Axes, ends: dict[str, tuple[float, float]]) -> None:
    """Write every name right of the end of its line, moved up or down as far as others need room, within the axes."""
    low, high = axis.get_ylim()
    axis.set_ylim(low, high)
    gap, right = (high - low) / 26, axis.get_xlim()[1]
    names = sorted(ends, key=lambda m: ends[m][1])
    at = [ends[m][1] for m in names]
    for _ in range(200):  # neighbours that are too near push each other away
        for i in range(len(at) - 1):
            if (lack := gap - (at[i + 1] - at[i])) > 0:
                at[i], at[i + 1] = at[i] - lack / 2, at[i + 1] + lack / 2
        at = [min(max(y, low + gap / 2), high - gap / 2) for y in at]
    for m, y in zip(names, at, strict=True):
        axis.annotate(
            m, ends[m], (right, y), textcoords="data", fontsize=8, va="center", annotation_clip=False,
            color=COLOURS[family(m)], weight="bold" if m == "sigma_reptile" else "normal",
            arrowprops={"arrowstyle": "-", "color": COLOURS[family(m)], "linewidth": 0.4},
        )


def curves(found: dict[str, dict[int, float]], path: Path, title: str, unit: str, start: int = 10) -> None:
    """Means over speakers against steps, from `start` on: how all methods leave step 0 would hide what comes after."""
    figure, axis = pyplot.subplots(figsize=(9, 6), layout="constrained")
    ends = {}
    for m, curve in found.items():
        steps = [s for s in sorted(curve) if s >= start] or sorted(curve)
        axis.plot(steps, [curve[s] for s in steps], marker="o", markersize=3, **style(m))
        ends[m] = (steps[-1], curve[steps[-1]])
    longest = max((x for x, _ in ends.values()), default=0)
    if longest > 20:
        axis.set_xscale("log")
        axis.set_xlim(right=longest * 1.3)
        axis.set_xticks(ticks := [t for t in (10, 30, 100, 300, 1000, 3000, 10_000) if axis.get_xlim()[0] <= t <= longest])
        axis.set_xticklabels([f"{t:,}" for t in ticks])
        axis.minorticks_off()
    axis.set_xlabel("inner steps")
    axis.set_ylabel(unit)
    axis.set_title(title)
    axis.grid(alpha=0.3)
    name_ends(axis, ends)
    legend(axis, list(found), "best")
    figure.savefig(path, dpi=110)
    pyplot.close(figure)


def walks(grid: Grid, path: Path, start: int = 30) -> None:
    """Likeness against wrong words: every method's way from step `start` to its last."""
    figure, axis = pyplot.subplots(figsize=(9, 6), layout="constrained")
    ends = {}
    for m in grid.methods:
        cells = grid.main(m)
        steps = [s for s in grid.steps(m) if s >= start] or grid.steps(m)
        if not steps:
            continue
        x = [grid.similarity(cells, str(s)).mean for s in steps]
        y = [100 * pooled_wer([words_of(c["judged"][str(s)], grid.speakers[k]) for k, c in cells.items()]) for s in steps]
        axis.plot(x, y, marker="o", markersize=3, **style(m))
        axis.plot(x[-1:], y[-1:], marker="o", markersize=7, **style(m))
        ends[m] = (x[-1], y[-1])
    axis.set_xlim(right=axis.get_xlim()[1] + 0.03)
    axis.set_xlabel("position (0 other speakers, 1 the speaker's recordings through the vocoder)")
    axis.set_ylabel("WER, %")
    axis.set_title(f"Likeness and words from step {start} to the last (large): right and down is better")
    axis.grid(alpha=0.3)
    name_ends(axis, ends)
    legend(axis, list(ends), "upper left")
    figure.savefig(path, dpi=110)
    pyplot.close(figure)


def pictures(grid: Grid, folder: Path) -> list[str]:
    """Curves, likeness against words, trade-off of errors, t-SNE, sigma against depth, the module table; the files' names."""
    folder.mkdir(parents=True, exist_ok=True)
    loss, position = {}, {}
    for m in grid.methods:
        cells = grid.main(m)
        loss[m] = {s: float(np.mean([c["curve"][str(s)]["total"] for c in cells.values()])) for s in grid.steps(m, "curve")}
        position[m] = {s: grid.similarity(cells, str(s)).mean for s in grid.steps(m)}
    curves(loss, folder / "loss.png", "Loss of clips no method sees", "nats per frame")
    curves(position, folder / "position.png", "Similarity: 0 other speakers, 1 the vocoded speaker", "position")
    walks(grid, folder / "walks.png")
    trade_error(grid, "best", folder / "det.png")
    tsne(grid, "sigma_reptile", "best", folder / "tsne.png")
    depth(folder / "modules.png")
    module_table(folder / "module_table.png")
    return ["loss.png", "position.png", "walks.png", "det.png", "tsne.png", "modules.png", "module_table.png"]


def trade_error(grid: Grid, step: str, path: Path) -> None:
    """Verification of the clones: misses against false alarms of every method, and of the vocoded recordings."""
    from sklearn.metrics import det_curve

    figure, axis = pyplot.subplots(figsize=(6, 6), layout="constrained")
    judged = {m: {s: c["judged"][step] for s, c in grid.main(m).items() if step in c["judged"]} for m in grid.methods}
    vocoded = {s: v["vocoded"] for s, v in grid.speakers.items()}
    for i, (m, steps) in enumerate({**judged, "(vocoded recordings)": vocoded}.items()):
        if len(grid.speakers) <= TRIALS or not steps:
            continue
        _, _, groups = verification(steps, grid.speakers)
        same, different = (np.concatenate([g[i] for g in groups]).ravel() for i in (0, 1))
        truth = np.repeat([1, 0], [len(same), len(different)])
        alarms, misses, _ = det_curve(truth, np.concatenate([same, different]))
        line = {"color": f"C{i % 10}", "linestyle": ("-", "--", ":")[i // 10 % 3], "linewidth": 3 if m == "sigma_reptile" else 1}
        axis.plot(100 * alarms, 100 * misses, label=m, **(line if m in judged else {"color": "black", "linestyle": "--"}))
    axis.plot([0, 50], [0, 50], color="grey", linestyle=":", label="equal")
    axis.set_xlim(0, 50)
    axis.set_ylim(0, 50)
    axis.set_xlabel("other speakers taken for the clone's, %")
    axis.set_ylabel("own speaker not taken for the clone's, %")
    axis.legend(fontsize=7)
    axis.grid(alpha=0.3)
    figure.savefig(path, dpi=110)
    pyplot.close(figure)


def tsne(grid: Grid, method: str, step: str, path: Path) -> None:
    """Real clips (circles) and clones (crosses) of every speaker, embeddings in two dimensions."""
    from sklearn.manifold import TSNE

    rows, marks = [], []
    for i, (s, c) in enumerate(grid.main(method).items()):
        for kind, source in (("real", grid.speakers[s]["real"]["embeddings"]), ("real", grid.speakers[s]["centre"]),
                             ("clone", c["judged"][step]["embeddings"])):
            rows += source
            marks += [(i, s, kind)] * len(source)
    at = TSNE(perplexity=8, metric="cosine", init="random", random_state=0).fit_transform(np.array(rows))
    figure, axis = pyplot.subplots(figsize=(7, 6), layout="constrained")
    for i, s in enumerate(dict.fromkeys(m[1] for m in marks)):
        for kind, marker in (("real", "o"), ("clone", "x")):
            chosen = np.array([at[k] for k, m in enumerate(marks) if m[1] == s and m[2] == kind])
            axis.scatter(*chosen.T, marker=marker, color=pyplot.get_cmap("tab20")(i), label=s if kind == "real" else None)
    axis.legend(fontsize=7, title="o real  x clone", title_fontsize=7)
    axis.set_xticks([])
    axis.set_yticks([])
    axis.set_title(f"Resemblyzer embeddings, t-SNE ({method}, {step} step)")
    figure.savefig(path, dpi=110)
    pyplot.close(figure)


def depth(path: Path) -> None:
    """sigma / RMS and worth of the decoder's modules against depth."""
    starter = load_starter()
    worth = {m["name"]: m.get("worth") for m in starter.info["modules"]}
    figure, axes = pyplot.subplots(2, 1, figsize=(7, 6), layout="constrained", sharex=True)
    layers = range(starter.model.config.decoder_layers)
    for kind in ("film.weight", "film.bias", "conv", "out"):
        names = [f"decoder.blocks.{i}.{kind}" for i in layers]
        axes[0].plot(layers, [starter.sigma_relative[n] for n in names], marker="o", label=kind)
        axes[1].plot(layers, [max(worth.get(n) or 0.0, 1e-4) for n in names], marker="o", label=kind)
    axes[0].set_ylabel("sigma / RMS")
    axes[1].set_ylabel("worth (nats per frame)")
    axes[1].set_xlabel("decoder block")
    for a in axes:
        a.set_yscale("log")
        a.grid(alpha=0.3)
    axes[0].legend(fontsize=8)
    figure.savefig(path, dpi=110)
    pyplot.close(figure)

"""Pictures of validation runs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from torch import Tensor

from tts_meta.meta.task import Episodes


def _axes(width: float = 6, height: float = 4, columns: int = 1):
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    return pyplot.subplots(1, columns, figsize=(width, height), layout="constrained", squeeze=False)


def _style(i: int) -> dict[str, str]:
    """Of the i-th of many curves."""
    return {"color": f"C{i % 10}", "linestyle": ("-", "--", ":")[i // 10 % 3]}


def plot_curve(
    curves: dict[str, dict], measure: str, path: str | Path, title: str = "",
    lines: dict[str, float] | None = None, xlabel: str = "inner steps", ylabel: str = "",
) -> None:
    """`curves` {label: {inner steps: {measure: {mean, ci95}}}}; `lines` are horizontal references. A logarithmic axis
    (step 0 at the left end) when there are more than 20 steps."""
    many = len(curves) > 8
    figure, axes = _axes(8.5 if many else 6, 5 if many else 4)
    ax = axes[0, 0]
    for i, (label, curve) in enumerate(curves.items()):
        steps = sorted(int(k) for k in curve)
        rows = [(curve[k] if k in curve else curve[str(k)])[measure] for k in steps]
        mean = [r["mean"] for r in rows]
        style = _style(i)
        ax.plot(steps, mean, marker="o", markersize=3, label=label, **style)
        if not many:  # the bands of many curves hide the curves
            low, high = ([r["mean"] + s * r["ci95"] for r in rows] for s in (-1, 1))
            ax.fill_between(steps, low, high, alpha=0.15, color=style["color"])
        if steps[-1] > 20:
            ax.set_xscale("symlog", linthresh=1)
    for label, value in (lines or {}).items():
        ax.axhline(value, linestyle=":", color="gray")
        ax.annotate(label, (ax.get_xlim()[1], value), ha="right", va="bottom", fontsize=7, color="gray")
    ax.set_xlabel(xlabel)
    ax.set_ylabel(ylabel or f"{measure} of the query data")
    ax.set_title(title)
    if many:
        ax.legend(fontsize=7, loc="center left", bbox_to_anchor=(1.01, 0.5))
    elif len(curves) > 1:
        ax.legend(fontsize=7)
    figure.savefig(path, dpi=110)
    _close(figure)


def plot_learning(
    curves: dict[str, Sequence[dict[str, float]]], measure: str, path: str | Path, title: str = "",
    published: dict[str, float] | None = None,
) -> None:
    """`curves` {label: rows {tasks, val_MEASURE}} over the tasks seen in training; `published` end points, a dotted line of
    the curve's colour each."""
    figure, axes = _axes(8.5, 5)
    ax = axes[0, 0]
    for i, (label, rows) in enumerate(curves.items()):
        style = _style(i)
        ax.plot([r["tasks"] for r in rows], [r[f"val_{measure}"] for r in rows], marker="o", markersize=3, label=label, **style)
        if label in (published or {}):
            ax.axhline(published[label], color=style["color"], linestyle=":", linewidth=1)  # type: ignore[index]
    ax.set_xscale("log")
    ax.set_xlabel("tasks seen in training")
    ax.set_ylabel(f"{measure} on validation tasks")
    ax.set_title(title)
    ax.legend(fontsize=7, loc="center left", bbox_to_anchor=(1.01, 0.5))
    figure.savefig(path, dpi=110)
    _close(figure)


def plot_modules(rows: Sequence[dict[str, Any]], path: str | Path, title: str = "") -> None:
    """Learned sigma / RMS(phi) of every module, a bar each."""
    figure, axes = _axes(6, 0.28 * len(rows) + 1.2)
    ax = axes[0, 0]
    ax.barh([r["name"] for r in rows], [r["sigma_relative"] for r in rows])
    ax.invert_yaxis()
    ax.set_xscale("log")
    ax.set_xlabel("sigma / RMS(phi)")
    ax.set_title(title)
    figure.savefig(path, dpi=110)
    _close(figure)


def plot_recovery(learned: dict[str, Sequence[float]], true: Sequence[float], path: str | Path) -> None:
    """`learned` {algorithm: sigma of every module} beside the true ones."""
    figure, axes = _axes(7, 4)
    ax = axes[0, 0]
    ax.plot(range(len(true)), true, "k_", markersize=22, label="true")
    for i, (name, values) in enumerate(learned.items()):
        places = [m + 0.1 * (i - (len(learned) - 1) / 2) for m in range(len(values))]
        ax.plot(places, values, marker="os^vDP*X"[i % 8], linestyle="", markersize=5, label=name)
    ax.set_yscale("log")
    ax.set_xlabel("module")
    ax.set_ylabel("sigma")
    ax.legend(fontsize=7, loc="center left", bbox_to_anchor=(1.01, 0.5))
    figure.savefig(path, dpi=110)
    _close(figure)


def plot_waves(episodes: Episodes, x: Tensor, found: dict[int, tuple[Tensor, Tensor]], path: str | Path) -> None:
    """Regression of tasks: truth, support points, and `found` {inner steps: (mean, variance `[T, B]`)} at `x` `[T, B, 1]`
    with the last one's 95 % band."""
    tasks = episodes.tasks
    figure, axes = _axes(4 * tasks, 3.2, tasks)
    for i in range(tasks):
        ax = axes[0, i]
        truth = episodes.query()
        order = truth["x"][i, :, 0].argsort()
        ax.plot(truth["x"][i, order, 0], truth["y"][i, order, 0], "k-", linewidth=1, label="truth")
        ax.plot(episodes.whole_support()["x"][i, :, 0], episodes.whole_support()["y"][i, :, 0], "k^", label="support")
        for k, (mean, variance) in found.items():
            (line,) = ax.plot(x[i, :, 0], mean[i], linewidth=1, label=f"step {k}")
            if k == max(found):
                half = 1.96 * variance[i].sqrt()
                ax.fill_between(x[i, :, 0], mean[i] - half, mean[i] + half, alpha=0.15, color=line.get_color())
    axes[0, 0].legend(fontsize=7)
    figure.savefig(path, dpi=100)
    _close(figure)


def _close(figure) -> None:
    from matplotlib import pyplot

    pyplot.close(figure)

"""One self-contained HTML page of an evaluation: verdict, listening table, curves, module table, numbers; opens offline."""

from __future__ import annotations

import base64
import io
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from jinja2 import Environment, select_autoescape

from tts_meta.audio.files import replace_file

if TYPE_CHECKING:
    from tts_meta.starters.interface import Network

_PAGE = (files("tts_meta") / "assets" / "report.html.jinja").read_text(encoding="utf-8")



def _png(figure) -> str:
    import matplotlib.pyplot as plt

    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=110, bbox_inches="tight")
    plt.close(figure)
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()


def plot_mels(pairs: list[tuple[np.ndarray, np.ndarray]]):
    """Clone above real for each pair of log-mels `[L, 80]`; returns the figure."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(2, len(pairs), figsize=(5.5 * len(pairs), 5), squeeze=False, layout="constrained")
    for column, pair in enumerate(pairs):
        for row, (mel, title) in enumerate(zip(pair, ("clone", "real"), strict=True)):
            axes[row][column].imshow(mel.T, origin="lower", aspect="auto", vmin=-11, vmax=1, cmap="magma")
            axes[row][column].set_title(title)
            axes[row][column].set_ylabel("mel band")
        axes[1][column].set_xlabel("frame")
    return figure


def plot_curve(curve: list[list]):
    """Held-out loss against steps; returns the figure."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, axis = plt.subplots(figsize=(6, 3))
    axis.plot([c[0] for c in curve], [c[1] for c in curve])
    axis.set_xlabel("inner step")
    axis.set_ylabel("held-out loss (nats per frame)")
    axis.grid(alpha=0.3)
    return figure


def plot_steps(points: list[tuple[int, float]], floor: float, ceiling: float):
    """Similarity of kept steps between its bounds; returns the figure."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, axis = plt.subplots(figsize=(6, 3))
    axis.axhspan(floor, ceiling, alpha=0.12)
    axis.axhline(floor, linestyle=":", color="grey")
    axis.axhline(ceiling, linestyle="--", color="grey")
    axis.annotate("other speakers", (points[0][0], floor), va="bottom", fontsize=8)
    axis.annotate("own recordings, vocoded", (points[0][0], ceiling), va="bottom", fontsize=8)
    axis.plot([p[0] for p in points], [p[1] for p in points], marker="o")
    axis.set_xlabel("inner step")
    axis.set_ylabel("similarity (cosine)")
    axis.grid(alpha=0.3)
    return figure


@dataclass(frozen=True)
class Story:
    """What is known of a voice's making: its kept steps' similarities, the checkup of its clips, and its cost."""

    steps: list[tuple[int, float]]
    checkup: dict | None
    cost: dict


def embedded_sounds(samples: Path) -> dict[tuple[int, str], str]:
    """The sounds in `samples` (NUMBER_KIND.wav) as FLAC inside addresses: {(number, kind): address}."""
    import soundfile

    sounds: dict[tuple[int, str], str] = {}
    for sound in sorted(samples.glob("*.wav")):
        number, kind = sound.stem.split("_", 1)
        data, rate = soundfile.read(sound)
        buffer = io.BytesIO()
        soundfile.write(buffer, data, rate, format="FLAC", subtype="PCM_16")
        sounds[int(number), kind] = "data:audio/flac;base64," + base64.b64encode(buffer.getvalue()).decode()
    return sounds


def write_report(
    path: Path, metrics: dict, rows: list[dict], header: dict, starter: Network,
    mels: list[tuple[np.ndarray, np.ndarray]], samples: Path, story: Story,
) -> None:
    """Render the page to `path`; sounds in `samples` (NUMBER_KIND.wav) are embedded as FLAC."""
    sounds = embedded_sounds(samples)
    others = sorted({kind for _, kind in sounds if kind.startswith("step")})
    modules = starter.module_table(header["modules"], header["method"])
    environment = Environment(autoescape=select_autoescape(default=True, default_for_string=True))
    curve, s = header.get("heldout_loss") or [], metrics["similarity"]
    page = environment.from_string(_PAGE).render(
        m=metrics, s=s, rows=[{**r, "number": i} for i, r in enumerate(rows)], header=header,
        sounds=sounds, modules=modules, mels=_png(plot_mels(mels)),
        kinds=["real", "vocoded", "clone", *others],
        names={"real": "real", "vocoded": "real, vocoded", "clone": "clone", **{k: f"clone, step {int(k[4:])}" for k in others}},
        curve=_png(plot_curve(curve)) if curve else "",
        steps=_png(plot_steps(story.steps, s["floor"], s["ceiling_vocoded"])) if story.steps else "",
        checkup=story.checkup, cost=story.cost,
        moved=f"{sum(r['parameters'] for r in modules if r['moved']):,}",
        total=f"{sum(r['parameters'] for r in modules):,}",
        f2=lambda v: f"{v:.2f}", f3=lambda v: f"{v:.3f}",
        pc=lambda v: "not measured" if v is None else f"{100 * v:.1f} %",
        judges=[("dnsmos", "DNSMOS overall"), ("p808", "DNSMOS P.808"), ("distillmos", "distillmos")],
        nm=lambda v: "not measured" if v is None else f"{v:,}" if isinstance(v, int) else v,
    )
    replace_file(path, page.encode())

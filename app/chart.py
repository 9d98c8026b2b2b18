"""A curve against steps as an SVG: it takes the page's colours and width, and its title is text that wraps."""

from __future__ import annotations

import html
import math
from collections.abc import Sequence

WIDTH, HEIGHT, LEFT, BOTTOM, TOP = 640, 260, 62, 30, 22


def chart(title: str, points: Sequence[tuple[int, float]], end: int, elem_id: str, stops: str = "") -> str:
    """The curve of `points` (step, value); steps run to `end`, where a line says when it `stops`. Nothing without points."""
    if not points:
        return ""
    low, high, gap = scale([v for _, v in points])
    end = max(end, points[-1][0], 1)

    def x(step: float) -> float:
        return round(LEFT + (WIDTH - LEFT - 12) * step / end, 1)

    def y(value: float) -> float:
        return round(HEIGHT - BOTTOM - (HEIGHT - BOTTOM - TOP) * (value - low) / (high - low), 1)

    parts = []
    for i in range(round((high - low) / gap) + 1):
        value = low + i * gap
        parts.append(f'<line class="grid" x1="{LEFT}" x2="{WIDTH - 12}" y1="{y(value)}" y2="{y(value)}"/>'
                     f'<text class="value" x="{LEFT - 8}" y="{y(value) + 4}" text-anchor="end">{value:.{digits(gap)}f}</text>')
    for share in (0.0, 0.5, 1.0):
        step = round(end * share)
        anchor = "start" if share == 0 else "end" if share == 1 else "middle"
        parts.append(f'<text class="step" x="{x(step)}" y="{HEIGHT - 6}" text-anchor="{anchor}">{step}</text>')
    line = " ".join(f"{x(s)},{y(v)}" for s, v in points)
    parts.append(f'<polyline class="curve" points="{line}"/><circle class="dot" r="5" cx="{x(points[-1][0])}" '
                 f'cy="{y(points[-1][1])}"/>')
    if stops:
        parts.append(f'<line class="end" x1="{x(end)}" x2="{x(end)}" y1="{TOP - 8}" y2="{HEIGHT - BOTTOM}"/>'
                     f'<text x="{x(end)}" y="{TOP - 10}" text-anchor="end">{html.escape(stops)}</text>')
    said = f"{title}: {points[-1][1]:.3g} at step {points[-1][0]}"
    return (f'<div class="chart" id="{elem_id}"><h4>{html.escape(title)}</h4><svg role="img" aria-label="{html.escape(said)}" '
            f'viewBox="0 0 {WIDTH} {HEIGHT}">{"".join(parts)}</svg></div>')


def scale(values: Sequence[float]) -> tuple[float, float, float]:
    """(low, high, gap) of a scale of two to six round numbers around the values."""
    low, high = min(values), max(values)
    spread = max(high - low, abs(high) * 0.02, 1e-3)
    power = 10.0 ** math.floor(math.log10(spread))
    gap = next(power * k for k in (0.2, 0.5, 1.0, 2.0, 5.0) if spread / (power * k) <= 5)
    return math.floor(low / gap) * gap, max(math.ceil(high / gap), math.floor(low / gap) + 1) * gap, gap


def digits(gap: float) -> int:
    """Decimals that tell the numbers of a scale apart."""
    return max(0, -math.floor(math.log10(gap) + 1e-9))

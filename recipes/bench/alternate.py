"""Processor seconds of several ways of doing one thing, in turns, so that what else the machine does hits all alike."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

ROUNDS = 7


def in_turns(ways: dict[str, Callable[[], object]]) -> dict[str, list[float]]:
    """{name: seconds of ROUNDS runs}; one more, before them, warms up."""
    times: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(ROUNDS + 1):
        for name, run in ways.items():
            begin = time.process_time()
            run()
            times[name].append(time.process_time() - begin)
    return {name: found[1:] for name, found in times.items()}


def show_ratio(above: list[float], below: list[float]) -> str:
    """The median ratio of two ways, round by round, and its range."""
    ratios = sorted(a / b for a, b in zip(above, below, strict=True))
    return f"{statistics.median(ratios):.2f} ({ratios[0]:.2f} to {ratios[-1]:.2f})"

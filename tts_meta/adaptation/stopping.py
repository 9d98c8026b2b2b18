"""When more steps are of no use: neither of two signals has been better for PATIENCE checks.

One signal is not enough: the lowest held-out loss is not where a voice sounds best (docs/experiments.md), and similarity of a
sentence or two is noisy.
"""

from __future__ import annotations

from collections.abc import Sequence

PATIENCE = 6
LOSS = 0.1  # nats per frame: a share of a negative log-density would depend on the unit of the mel
LIKENESS = 0.005  # cosine


def last_gain(values: Sequence[float], least: float) -> int:
    """Index of the last value that was lower than all before it by more than `least`."""
    best, at = float("inf"), 0
    for i, v in enumerate(values):
        if v < best - least:
            best, at = v, i
    return at


def plateau(checks: Sequence[tuple[float, float]]) -> bool:
    """Whether neither the held-out loss nor the likeness of (loss, likeness) has gained in the last PATIENCE checks."""
    if len(checks) <= PATIENCE:
        return False
    losses, likeness = [c[0] for c in checks], [-c[1] for c in checks]
    newest = max(last_gain(losses, LOSS), last_gain(likeness, LIKENESS))
    return len(checks) - 1 - newest >= PATIENCE

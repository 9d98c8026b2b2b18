"""Sounds that are made for tests: hum, music, whisper, noise beside speech."""

from __future__ import annotations

import numpy as np
from scipy.signal import lfilter


def level(samples: np.ndarray) -> float:
    """Root mean square."""
    return float(np.sqrt(np.mean(samples**2)))


def hum(count: int, rate: int, mains: float = 50.0) -> np.ndarray:
    """`[count]` samples of a mains hum and its harmonics, root mean square 0.1."""
    time = np.arange(count) / rate
    found = sum(np.sin(2 * np.pi * mains * k * time) / k for k in range(1, 12))
    return 0.1 * found / level(found)


def music(count: int, rate: int) -> np.ndarray:
    """`[count]` samples of plucked chords, four a second, root mean square 0.1."""
    found = np.zeros(count)
    beat = rate // 4
    for number, at in enumerate(range(0, count, beat)):
        time = np.arange(min(2 * beat, count - at)) / rate
        root = 220.0 * 2 ** ([0, 5, 7, 3][number // 4 % 4] / 12)
        for step in (0, 4, 7, 12):
            f = root * 2 ** (step / 12)
            note = sum(np.sin(2 * np.pi * f * k * time) / k**1.5 for k in range(1, 7)) * np.exp(-4 * time)
            found[at : at + len(time)] += note
    return 0.1 * found / level(found)


def whispered(speech: np.ndarray, rate: int) -> np.ndarray:
    """Speech `[N]` with noise for its voice: every 20 ms the noise goes through the all-pole filter of the speech there."""
    rng = np.random.default_rng(0)
    size, order = int(0.02 * rate), 18
    window = np.hanning(2 * size)
    found = np.zeros(len(speech) + 2 * size)
    for at in range(0, len(speech) - 2 * size, size):
        frame = speech[at : at + 2 * size] * window
        r = np.correlate(frame, frame, "full")[2 * size - 1 : 2 * size + order]
        if r[0] < 1e-6:
            continue
        r[0] *= 1.001
        index = np.abs(np.subtract.outer(np.arange(order), np.arange(order)))
        a = np.linalg.solve(r[index], r[1 : order + 1])
        shaped = lfilter([1.0], np.concatenate([[1.0], -a]), rng.normal(size=2 * size)) * window
        found[at : at + 2 * size] += shaped * level(frame) / max(level(shaped), 1e-9)
    found = found[: len(speech)]
    return 0.7 * found * np.abs(speech).max() / np.abs(found).max()


def beside(speech: np.ndarray, other: np.ndarray, decibels: float) -> np.ndarray:
    """Speech with another sound `decibels` under it."""
    return speech + other * level(speech) / level(other) * 10 ** (-decibels / 20)

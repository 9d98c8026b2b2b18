"""Test an algorithm's state on a domain's test tasks: every measure after every number of inner steps, with intervals."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from tts_meta.meta.algorithms.base import Algorithm
from tts_meta.meta.tree import Tree
from tts_meta.training.fewshot.base import TEST_SEED, Domain, rngs_of

Curve = dict[int, dict[str, dict[str, float]]]
"""{inner steps: {measure: {mean, ci95}}}"""


def interval(values: Tensor) -> dict[str, float]:
    """Mean and half the 95 % interval of one number a task, `[T]`."""
    half = 1.96 * float(values.std()) / len(values) ** 0.5 if len(values) > 1 else float("nan")
    return {"mean": float(values.double().mean()), "ci95": half}


def evaluate(
    algorithm: Algorithm, state: Tree, domain: Domain, split: str, tasks: int, at: Sequence[int], chunk: int = 10,
    tick: Callable[[int], object] | None = None,
) -> Curve:
    """`tasks` tasks of `split` (val, test), the same for every algorithm; `chunk` of them at once."""
    rows: dict[int, dict[str, list[Tensor]]] = {k: {m: [] for m in domain.measures} for k in at}
    for first in range(0, tasks, chunk):
        count = min(chunk, tasks - first)
        episodes = domain.test(split, first, count)
        posteriors = algorithm.adapt(state, episodes, rngs_of(TEST_SEED, 1, range(first, first + count), 4), at)
        for k in at:
            for name, value in domain.measure(posteriors[k], episodes).items():
                rows[k][name].append(value)
        if tick:
            tick(count)
    return {k: {m: interval(torch.cat(v)) for m, v in found.items()} for k, found in rows.items()}

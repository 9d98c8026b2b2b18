"""Meta-gradients compiled: the operations of one chunk of tasks, from the inner loop to the last derivative, as one graph.

What costs in second derivatives beside the convolutions is many passes over activations (batch normalisation's above all). The
compiler joins them. It takes minutes for each shape, so it pays for long runs, and needs a C++ compiler.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from tts_meta.data.episodes import FewShot
from tts_meta.errors import InputError, one_line
from tts_meta.meta.algorithms.gradient import Gradient
from tts_meta.meta.hypergrad.base import MetaGrads
from tts_meta.meta.loss import tasks_together
from tts_meta.meta.task import Episodes
from tts_meta.meta.tree import Tree

CHECKED = 2
"""Chunks of a shape whose gradients are computed both ways: the first is the one the graph was made of, and the others show
whether the graph holds for data that it was not made of."""
NEAR = 0.2
"""Of the plain gradient's norm, how far the compiled one may be from it. It is some millionths, until rounding puts one unit of a
rectifier on the other side of 0 on the way."""
Graph = Callable[[Tree, Tree, Tree], tuple[Tree, Tree]]


@dataclass
class Compiled:
    """A `Gradient`'s `meta_grads`, compiled when they are first asked for a shape.

    Raises InputError for an algorithm that decides by numbers on the way or draws random ones: its steps are not the same
    operations every time.
    """

    algorithm: Gradient
    say: Callable[[str], None] = lambda message: None
    graphs: dict[tuple, Graph] = field(default_factory=dict, init=False)
    checks: dict[tuple, int] = field(default_factory=dict, init=False)

    def meta_grads(self, state: Tree, episodes: Episodes, rngs: Sequence[torch.Generator]) -> MetaGrads:
        support, query = self._data(episodes)
        shape = tuple((k, v.shape, v.dtype) for part in (support, query) for k, v in part.items())
        if shape not in self.graphs:
            self.graphs[shape] = self._compiled(state, support, query)
            self.checks[shape] = 0
        with torch.no_grad():
            grads, metrics = self.graphs[shape](state, support, query)
        found = MetaGrads(grads, episodes.tasks, metrics)
        if self.checks[shape] < CHECKED:
            self.checks[shape] += 1
            self._check(found, self.algorithm.meta_grads(state, episodes, rngs))
        return found

    def _data(self, episodes: Episodes) -> tuple[Tree, Tree]:
        rows = len(next(iter(episodes.support_batch.values()))[0]) if isinstance(episodes, FewShot) else 0
        if not isinstance(episodes, FewShot) or (episodes.inner_batch or rows) < rows:
            raise InputError("Inner steps that draw mini-batches cannot be compiled; leave compile out.")
        return episodes.support_batch, episodes.query_batch

    def _compiled(self, state: Tree, support: Tree, query: Tree) -> Graph:
        from torch.fx.experimental.proxy_tensor import make_fx

        def plain(state: Tree, support: Tree, query: Tree) -> tuple[Tree, Tree]:
            found = self.algorithm.meta_grads(state, FewShot(support, query), [])
            return found.grads, {k: torch.as_tensor(v) for k, v in found.metrics.items()}

        begin = time.monotonic()
        self.algorithm.known_flat = self.algorithm.inner(state).prior.flat
        try:
            with tasks_together():
                graph = make_fx(plain)(state, support, query)
        except Exception as e:
            raise InputError(f"This algorithm cannot be compiled ({one_line(e)}); leave compile out.") from e
        finally:
            self.algorithm.known_flat = None
        self.say(f"compiling {len(graph.graph.nodes)} operations, which takes minutes ...")
        made = torch.compile(graph, fullgraph=True)
        try:
            with torch.no_grad():
                made(state, support, query)
        except Exception as e:
            raise InputError(f"The graph is not compiled ({one_line(e)}); install a C++ compiler, or leave compile out.") from e
        self.say(f"compiled in {time.monotonic() - begin:.0f} s")
        return made

    def _check(self, found: MetaGrads, plain: MetaGrads) -> None:
        def whole(grads: Tree) -> Tensor:
            return torch.cat([grads[k].flatten() for k in plain.grads])

        apart = float((whole(found.grads) - whole(plain.grads)).norm() / whole(plain.grads).norm().clamp(min=1e-12))
        if not apart < NEAR:
            raise InputError(
                f"The compiled meta-gradient differs from the plain one by {100 * apart:.1f} % of its norm, at most "
                f"{100 * NEAR:.0f} % is expected: the steps are not the same operations every time; leave compile out."
            )

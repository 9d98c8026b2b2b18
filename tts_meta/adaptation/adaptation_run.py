"""AdaptationRun: MAP adaptation of the modules that sigma says a speaker needs, as an iterator that can be resumed.

The inner problem and its solver are those of meta-training (`tts_meta.training.sigma_reptile`): proximal Adam in
whitened coordinates on the summed negative log-likelihood of the support clips. What does not move is computed once:
the alignment of the clips always, the text encoder's output whenever no encoder module moves.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from tts_meta.adaptation.low_rank import LowRank
from tts_meta.adaptation.methods import Method
from tts_meta.errors import InputError
from tts_meta.meta.loss import gradient
from tts_meta.meta.prior import module_distance
from tts_meta.meta.solvers.base import part_of_state
from tts_meta.meta.tree import Tree, flatten, pick, prefixed, unflatten
from tts_meta.processor import bf16_is_fast, side_by_side
from tts_meta.side_by_side import each
from tts_meta.starters.interface import Network
from tts_meta.training.checkpoint import load_checkpoint, save_checkpoint
from tts_meta.training.settings import describe

LONG_SHARE = 0.3
"""Of the time of a step of all modules, what one takes of those that go on alone: Kokoro's mel head, measured
(recipes/bench/bench_adapt.py)."""


@dataclass(frozen=True)
class Progress:
    """After a chunk of inner steps. Losses are nats per mel frame; distances are |theta - phi| / sqrt(D) per module."""

    step: int
    train_loss: float
    heldout_loss: float | None
    best_step: int
    distance: dict[str, float]
    seconds: float
    steps: int


class AdaptationRun:
    """Iterator over Progress; `theta` is the current point, `best` the one of the lowest held-out loss.

    `support` and `heldout` are aligned items; without held-out items the last step is the best. `clips` utterances, or
    windows of them, enter a step; `bf16` None means where it is fast, as in meta-training. Everything random comes from
    `seed` and the step, so a restored run equals the uninterrupted one. `start` are deltas `{name: [...]}` to begin from.
    The held-out loss is measured after a chunk whose last step is a multiple of `measure`, and at the end. Each clip of a
    step is a batch of its own, and the gradients are summed: `at_once` of them are computed side by side, a core each,
    which changes nothing but the time, and fewer where memory does not suffice.
    """

    def __init__(
        self, starter: Network, method: Method, support: Sequence[Any], heldout: Sequence[Any] = (),
        steps: int = 400, chunk: int = 20, clips: int = 4, seed: int = 0, bf16: bool | None = None,
        start: Tree | None = None, measure: int = 1, at_once: int | None = None,
    ) -> None:
        if not support:
            raise ValueError("AdaptationRun needs at least one support clip")
        self.starter, self.method, self.steps, self.chunk, self.clips, self.seed = (
            starter, method, steps, chunk, clips, seed,
        )
        self.measure = measure
        self.at_once = (side_by_side() if at_once is None else at_once) if starter.threads else 1
        moved = [n for m in method.modules for n in starter.partition.members(m)]
        self.origin: Tree = {n: starter.phi[n] for n in moved}
        begin = {n: v + (start or {}).get(n, 0.0) for n, v in self.origin.items()}
        self.low_rank = LowRank(begin, method.rank, seed) if method.rank else None
        # What the solver moves: the parameters themselves, or the factors of their updates.
        self.phi: Tree = self.low_rank.start if self.low_rank else self.origin
        self.theta: Tree = {n: v.unsqueeze(0).clone() for n, v in (self.phi if self.low_rank else begin).items()}
        self.best: Tree = dict(self.theta)
        self.best_loss, self.best_step, self.step, self.seconds = math.inf, 0, 0, 0.0
        self.state: dict[str, Any] = method.solver.init(self.theta)
        self.network = starter.task_loss(bf16_is_fast() if bf16 is None else bf16, method.modules)
        self.support, self.heldout = list(support), list(heldout)
        self.joined = False
        self.fixed = starter.fixed(list(self.origin))
        self.settled: Tree = {}  # parameters that moved in the first steps and do not any more
        self.frames = sum(len(i.mel) for i in self.support)
        self.encoded: dict[int, Any] = {}
        self._encode()
        self.history: list[tuple[int, float]] = []

    def _encode(self) -> None:
        """Make what of a clip no step changes any more."""
        modules = self.method.long if self.settled else self.method.modules
        still = {n: v[0] for n, v in self.settled.items()}
        items = [*self.support, *self.heldout]
        made = each(lambda i: self.starter.encoded(i, modules, still, self.encoded.get(id(i))), items, self.at_once)
        self.encoded = {id(i): e for i, e in zip(items, made, strict=True)}
        self.heldout_batches = [self._batch(i, self.encoded[id(i)], 1.0) for i in self.heldout]

    def _settle(self, settled: Tree) -> None:
        """Leave these parameters where they are: only the others go on."""
        self.settled = {n: v.clone() for n, v in settled.items()}  # tensors of their own: kernels round by their alignment
        self.theta, self.phi = ({n: v for n, v in tree.items() if n not in settled} for tree in (self.theta, self.phi))
        self._encode()

    @property
    def point(self) -> Tree:
        """Everything that has moved, where it is now."""
        return {**self.settled, **self.theta}

    def weights(self, theta: Tree) -> Tree:
        """Parameters `{name: [1, ...]}` at the solver's point."""
        return self.low_rank.weights(theta) if self.low_rank else theta

    def loss(self, params: Tree, batch: dict[str, Tensor]) -> Tensor:
        """Negative log-likelihood `[1]` (nats) of a batch at a point of the solver's."""
        return self.network({**self.fixed, **self.settled, **self.weights(params)}, batch)

    def _batch(self, item: Any, encoded: Any, weight: float) -> dict[str, Tensor]:
        batch = {**self.starter.collate([item], [encoded]), "weight": torch.tensor(weight)}
        return {k: v.unsqueeze(0) for k, v in batch.items()}

    def draw(self) -> list[dict[str, Tensor]]:
        """The clips of this step, each a batch, weighted so that they stand for the whole support."""
        n, items = len(self.support), self.support
        rng = torch.Generator().manual_seed(self.seed * 1_000_003 + self.step)
        if n > self.clips:
            items = [self.support[i] for i in torch.randperm(n, generator=rng)[: self.clips].tolist()]
        pairs = [self.starter.window(i, self.encoded[id(i)], rng) for i in items]
        weight = self.frames / sum(len(i.mel) for i, _ in pairs)
        return [self._batch(*p, weight) for p in pairs]

    def estimate(self) -> tuple[float, Tree]:
        """(negative log-likelihood of the whole support as this step's clips estimate it, its gradient)."""
        while True:
            try:
                found = list(each(partial(gradient, self.loss, self.theta), self.draw(), self.at_once))
                total = found[0][1]
                for _, grad in found[1:]:
                    total = {k: v + grad[k] for k, v in total.items()}
                return sum(float(loss) for loss, _ in found), total
            except (MemoryError, RuntimeError) as e:
                if not _is_memory(e) or self.at_once < 2:
                    raise
                self.at_once //= 2

    def heldout_loss(self, theta: Tree | None = None) -> float | None:
        """Negative log-likelihood of the held-out clips at theta, nats per mel frame; None without any."""
        if not self.heldout:
            return None
        loss = torch.no_grad()(partial(self.loss, self.theta if theta is None else theta))
        losses = each(loss, self.heldout_batches, self.at_once)
        return sum(map(float, losses)) / sum(len(i.mel) for i in self.heldout)

    def distance(self) -> dict[str, float]:
        """|theta_m - phi_m| / sqrt(D_m) of every moved module."""
        return module_distance(self.starter.partition, self.now(), self.method.modules)

    def __iter__(self) -> Iterator[Progress]:
        return self

    def __next__(self) -> Progress:
        """Run one chunk of steps; the first call only measures step 0."""
        begin = time.monotonic()
        train = float("nan")
        if self.history or self.step:
            if self.step >= self.steps:
                raise StopIteration
            for _ in range(min(self.chunk, self.steps - self.step)):
                if self.step == self.method.together:
                    long = [n for m in self.method.long for n in self.starter.partition.members(m)]
                    self.state = part_of_state(self.state, self.theta, long)
                    self._settle({n: v for n, v in self.theta.items() if n not in long})
                losses, grad = self.estimate()
                with torch.no_grad():
                    self.theta = self.method.solver.step(self.theta, grad, self.phi, self.method.prior, self.state)
                self.step += 1
                train = losses / self.frames
        due = self.step % self.measure == 0 or self.step >= self.steps
        held = self.heldout_loss() if due else None
        if not self.heldout:
            self.best, self.best_step = self.point, self.step
        elif held is not None and held < self.best_loss:
            self.best, self.best_loss, self.best_step = self.point, held, self.step
        self.history.append((self.step, held if held is not None else train))
        self.seconds += time.monotonic() - begin
        return Progress(self.step, train, held, self.best_step, self.distance(), self.seconds, self.steps)

    def worth(self, steps: int) -> float:
        """How many steps of all modules take as long as the first `steps` of this run."""
        together = steps if self.method.together is None else min(steps, self.method.together)
        return together + LONG_SHARE * (steps - together)

    def join(self, steps: int) -> None:
        """Learn from the held-out clips too, for `steps` more: from here on nothing is measured and the last step is the
        best. Worth doing where going on is safe, under a prior."""
        self._join()
        self.steps = self.step + steps

    def _join(self) -> None:
        self.joined = True
        self.support, self.heldout, self.heldout_batches = [*self.support, *self.heldout], [], []
        self.frames = sum(len(i.mel) for i in self.support)

    def deltas(self) -> Tree:
        """theta - phi of the best step, `{name: [...]}`: what a voice file holds."""
        return {n: (v[0] - self.origin[n]).detach() for n, v in self.weights(self.best).items()}

    def now(self) -> Tree:
        """theta - phi of the current step, `{name: [...]}`."""
        return {n: (v[0] - self.origin[n]).detach() for n, v in self.weights(self.point).items()}

    def save(self, path: str | Path, extra: dict | None = None) -> None:
        """All state in one safetensors file, whatever the solver keeps, and what the caller wants kept with it."""
        tensors = prefixed("theta", self.theta) | prefixed("best", self.best) | prefixed("settled", self.settled)
        trees = {k: v for k, v in self.state.items() if isinstance(v, dict)}
        for slot, tree in trees.items():
            tensors |= prefixed(f"state/{slot}", tree)
        meta = {
            "step": self.step, "solver": describe(self.method.solver), "slots": sorted(trees),
            "numbers": {k: v for k, v in self.state.items() if k not in trees}, "best_step": self.best_step,
            "seconds": self.seconds,
            "best_loss": None if math.isinf(self.best_loss) else self.best_loss, "history": self.history,
            "starter": self.starter.identity, "seed": self.seed, "modules": list(self.method.modules),
            "joined": self.joined, "steps": self.steps, "extra": extra or {},
        }
        save_checkpoint(path, tensors, meta)

    def restore(self, path: str | Path) -> dict:
        """Continue from `save`; returns what was kept with it.

        Raises InputError when the file belongs to another starter, set of modules or solver.
        """
        tensors, meta = load_checkpoint(path)
        own = {
            "starter": self.starter.identity, "modules": list(self.method.modules), "solver": describe(self.method.solver),
        }
        other = [k for k, v in own.items() if meta.get(k) != v]
        if other:
            raise InputError(f"{path} was saved with another {' and '.join(other)}; start the run again.")
        theta, best, settled = (pick(tensors, name) for name in ("theta", "best", "settled"))
        if settled:
            self._settle({n: settled[n] for n in self.theta if n in settled})
        if meta["joined"] and not self.joined:
            self._join()
            self.steps = meta["steps"]
        # In the order of the moments' coordinates, and as pieces of one vector as the solver leaves them: kernels round
        # by a tensor's alignment.
        self.theta = unflatten(flatten({n: theta[n] for n in self.phi}), self.phi)
        self.best = {n: best[n] for n in self.point}
        self.state = {**meta["numbers"], **{slot: pick(tensors, f"state/{slot}") for slot in meta["slots"]}}
        self.step, self.best_step, self.seconds, self.seed = (
            meta["step"], meta["best_step"], meta["seconds"], meta["seed"],
        )
        self.best_loss = math.inf if meta["best_loss"] is None else meta["best_loss"]
        self.history = [(int(a), b) for a, b in meta["history"]]
        return meta["extra"]


def _is_memory(error: Exception) -> bool:
    """Whether there was not enough memory (torch says so with a RuntimeError)."""
    words = str(error).lower()
    return isinstance(error, MemoryError) or "out of memory" in words or "alloc" in words

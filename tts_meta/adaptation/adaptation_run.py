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
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from tts_meta.adaptation.low_rank import LowRank
from tts_meta.adaptation.methods import Method
from tts_meta.errors import InputError
from tts_meta.meta.loss import gradient
from tts_meta.meta.prior import module_distance
from tts_meta.meta.tree import Tree, flatten, pick, prefixed, unflatten
from tts_meta.processor import bf16_is_fast
from tts_meta.starters.interface import Network
from tts_meta.training.checkpoint import load_checkpoint, save_checkpoint
from tts_meta.training.settings import describe


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
    The held-out loss is measured after a chunk whose last step is a multiple of `measure`, and at the end. A step that
    does not fit into memory is done in twice as many `parts`, whose gradients are summed.
    """

    def __init__(
        self, starter: Network, method: Method, support: Sequence[Any], heldout: Sequence[Any] = (),
        steps: int = 400, chunk: int = 20, clips: int = 4, seed: int = 0, bf16: bool | None = None,
        start: Tree | None = None, measure: int = 1,
    ) -> None:
        if not support:
            raise ValueError("AdaptationRun needs at least one support clip")
        self.starter, self.method, self.steps, self.chunk, self.clips, self.seed = (
            starter, method, steps, chunk, clips, seed,
        )
        self.measure, self.parts = measure, 1
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
        # What of a clip no step changes.
        self.encoded = {id(i): starter.encoded(i, method.modules) for i in [*self.support, *self.heldout]}
        self.fixed = starter.fixed(list(self.origin))
        self.frames = sum(len(i.mel) for i in self.support)
        self.heldout_batch = self._batch([(i, self.encoded[id(i)]) for i in self.heldout], 1.0) if self.heldout else None
        self.history: list[tuple[int, float]] = []

    def weights(self, theta: Tree) -> Tree:
        """Parameters `{name: [1, ...]}` at the solver's point."""
        return self.low_rank.weights(theta) if self.low_rank else theta

    def loss(self, params: Tree, batch: dict[str, Tensor]) -> Tensor:
        """Negative log-likelihood `[1]` (nats) of a batch at a point of the solver's."""
        return self.network({**self.fixed, **self.weights(params)}, batch)

    def _batch(self, pairs: Sequence[tuple[Any, Any]], weight: float) -> dict[str, Tensor]:
        """Of (item, what `encoded` made of it)."""
        batch = {**self.starter.collate(*map(list, zip(*pairs, strict=True))), "weight": torch.tensor(weight)}
        return {k: v.unsqueeze(0) for k, v in batch.items()}

    def draw(self) -> list[dict[str, Tensor]]:
        """The batch of this step, in `parts` (or as many as it has clips)."""
        n, items = len(self.support), self.support
        rng = torch.Generator().manual_seed(self.seed * 1_000_003 + self.step)
        if n > self.clips:
            items = [self.support[i] for i in torch.randperm(n, generator=rng)[: self.clips].tolist()]
        pairs = [self.starter.window(i, self.encoded[id(i)], rng) for i in items]
        weight = self.frames / sum(len(i.mel) for i, _ in pairs)
        size = -(-len(pairs) // self.parts)
        return [self._batch(pairs[i : i + size], weight) for i in range(0, len(pairs), size)]

    def estimate(self) -> tuple[float, Tree]:
        """(negative log-likelihood of the whole support as this step's batch estimates it, its gradient)."""
        while True:
            try:
                losses, total = 0.0, None
                for batch in self.draw():
                    loss, grad = gradient(self.loss, self.theta, batch)
                    losses += float(loss)
                    total = grad if total is None else {k: v + grad[k] for k, v in total.items()}
                assert total is not None
                return losses, total
            except (MemoryError, RuntimeError) as e:
                if not _is_memory(e) or self.parts >= min(self.clips, len(self.support)):
                    raise
                self.parts *= 2

    @torch.no_grad()
    def heldout_loss(self, theta: Tree | None = None) -> float | None:
        """Negative log-likelihood of the held-out clips at theta, nats per mel frame; None without any."""
        if self.heldout_batch is None:
            return None
        frames = sum(len(i.mel) for i in self.heldout)
        return float(self.loss(self.theta if theta is None else theta, self.heldout_batch)) / frames

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
                losses, grad = self.estimate()
                with torch.no_grad():
                    self.theta = self.method.solver.step(self.theta, grad, self.phi, self.method.prior, self.state)
                self.step += 1
                train = losses / self.frames
        due = self.step % self.measure == 0 or self.step >= self.steps
        held = self.heldout_loss() if due else None
        if self.heldout_batch is None:
            self.best, self.best_step = dict(self.theta), self.step
        elif held is not None and held < self.best_loss:
            self.best, self.best_loss, self.best_step = dict(self.theta), held, self.step
        self.history.append((self.step, held if held is not None else train))
        self.seconds += time.monotonic() - begin
        return Progress(self.step, train, held, self.best_step, self.distance(), self.seconds, self.steps)

    def join(self, steps: int) -> None:
        """Learn from the held-out clips too, for `steps` more: from here on nothing is measured and the last step is the
        best. Worth doing where going on is safe, under a prior."""
        self._join()
        self.steps = self.step + steps

    def _join(self) -> None:
        self.joined = True
        self.support, self.heldout, self.heldout_batch = [*self.support, *self.heldout], [], None
        self.frames = sum(len(i.mel) for i in self.support)

    def deltas(self) -> Tree:
        """theta - phi of the best step, `{name: [...]}`: what a voice file holds."""
        return {n: (v[0] - self.origin[n]).detach() for n, v in self.weights(self.best).items()}

    def now(self) -> Tree:
        """theta - phi of the current step, `{name: [...]}`."""
        return {n: (v[0] - self.origin[n]).detach() for n, v in self.weights(self.theta).items()}

    def save(self, path: str | Path, extra: dict | None = None) -> None:
        """All state in one safetensors file, whatever the solver keeps, and what the caller wants kept with it."""
        tensors = prefixed("theta", self.theta) | prefixed("best", self.best)
        trees = {k: v for k, v in self.state.items() if isinstance(v, dict)}
        for slot, tree in trees.items():
            tensors |= prefixed(f"state/{slot}", tree)
        meta = {
            "step": self.step, "solver": describe(self.method.solver), "slots": sorted(trees),
            "numbers": {k: v for k, v in self.state.items() if k not in trees}, "best_step": self.best_step,
            "seconds": self.seconds,
            "best_loss": None if math.isinf(self.best_loss) else self.best_loss, "history": self.history,
            "starter": self.starter.identity, "seed": self.seed, "modules": list(self.method.modules),
            "joined": self.joined, "steps": self.steps, "parts": self.parts, "extra": extra or {},
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
        theta, best = pick(tensors, "theta"), pick(tensors, "best")
        if meta["joined"] and not self.joined:
            self._join()
            self.steps = meta["steps"]
        # In the order of the moments' coordinates, and as pieces of one vector as the solver leaves them: kernels round
        # by a tensor's alignment.
        self.theta = unflatten(flatten({n: theta[n] for n in self.phi}), self.phi)
        self.best = {n: best[n] for n in self.phi}
        self.state = {**meta["numbers"], **{slot: pick(tensors, f"state/{slot}") for slot in meta["slots"]}}
        self.step, self.best_step, self.seconds, self.seed = (
            meta["step"], meta["best_step"], meta["seconds"], meta["seed"],
        )
        self.best_loss = math.inf if meta["best_loss"] is None else meta["best_loss"]
        self.history = [(int(a), b) for a, b in meta["history"]]
        self.parts = meta["parts"]
        return meta["extra"]


def _is_memory(error: Exception) -> bool:
    """Whether there was not enough memory (torch says so with a RuntimeError)."""
    words = str(error).lower()
    return isinstance(error, MemoryError) or "out of memory" in words or "alloc" in words

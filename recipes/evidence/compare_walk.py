"""A method's way on one speaker, step by step."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
from compare_world import Cell, World

from tts_meta.adaptation.adaptation_run import AdaptationRun
from tts_meta.adaptation.methods import Method, free
from tts_meta.clips.whole_clips import UsedClip
from tts_meta.data.batch import Item
from tts_meta.evaluation.protocol import HeldOutSpeaker
from tts_meta.meta.tree import Tree


def watched(steps: int) -> list[int]:
    """The steps at which the loss is measured."""
    return [s for s in (*range(0, 100, 10), *range(100, 1000, 50), *range(1000, 10_001, 100)) if s <= steps]


class Walk:
    """A method's way on one speaker: `at(step)` gives the deltas a user would have after that many steps."""

    def __init__(self, world: World, cell: Cell, support: list[Item]) -> None:
        spec = world.cfg.methods[cell.method]
        self.starter, method = world.method(cell.method)
        # At least one clip to stop early on, and at least one to learn from.
        held = min(max(1, round(spec.hold_out * len(support))), len(support) - 1) if "hold_out" in spec else 0
        self.inside, self.outside = support[: len(support) - held], support[len(support) - held :]
        self.early = bool(held)
        self.clips = self.starter.adaptation.clips
        self.seed, self.cell = cell.seed, cell
        self.first: AdaptationRun | None = None
        self.switch = 0
        if "first" in spec:
            self.switch = spec.first.steps
            warm = free(self.starter, list(spec.first.move), spec.first.rate)
            self.first = self._run(warm, None)
        self.method, self.second = method, None if self.first else self._run(method, None)
        self.seconds = 0.0

    def _run(self, method: Method, start: Tree | None) -> AdaptationRun:
        run = AdaptationRun(
            self.starter, method, self.inside, self.outside, 10**9, 1, self.clips, self.seed, start=start
        )
        next(run)  # step 0
        return run

    def at(self, step: int) -> Tree:
        begin = time.monotonic()
        if self.first is not None and self.second is None:
            self._advance(self.first, min(step, self.switch))
            if step > self.switch:
                self.second = self._run(self.method, self._deltas(self.first))
        if self.second is not None:
            self._advance(self.second, step - self.switch)
        self.seconds += time.monotonic() - begin
        return self._deltas(self.second or self.first)  # type: ignore[arg-type]

    @staticmethod
    def _advance(run: AdaptationRun, step: int) -> None:
        if step > run.step:
            run.chunk = step - run.step
            next(run)

    def _deltas(self, run: AdaptationRun) -> Tree:
        return run.deltas() if self.early else run.now()

    @property
    def moved(self) -> int:
        run = self.second or self.first
        assert run is not None
        return sum(v.numel() for v in run.phi.values())

    def save(self, path: Path) -> None:
        if self.second is not None and self.first is None:
            self.second.save(path)

    def restore(self, path: Path) -> None:
        assert self.second is not None
        self.second.restore(path)


def support_of(speaker: HeldOutSpeaker, clips: dict[Path, UsedClip], cell: Cell) -> list[Item]:
    """Draw 0 is the first clips, as `tts-meta clone` would be given them; the others are random ones of the same pool."""
    pool = [p for p in speaker.support if p in clips]
    if cell.seed:
        pool = [pool[i] for i in np.random.default_rng(cell.seed).permutation(len(pool))]
    return [clips[p].item for p in pool[: cell.shots]]

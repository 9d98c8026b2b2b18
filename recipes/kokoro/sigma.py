"""Sigma of every module that a clone moves, by sigma-Reptile or sigma-iMAML on people that phase 1 never met.

    torchrun --nproc_per_node 2 recipes/kokoro/sigma.py cache/kokoro STARTER --out runs/kokoro/sigma

Tasks are people of the fold `sigma`; the inner loop is a clone's own: its modules, its solver, its clips a step, its steps, its
loss. With `--settled` it is the second stage of a clone: the blocks have gone where its first steps of all modules take them, and
what goes on from there to the end has its sigma learned (`--phi-rate 0` leaves phi where it is). Kept every few meta-steps in
--out (`state.safetensors`, resumed from there; `sigma.safetensors`, which `recipes/kokoro/rewrite.py` makes a starter of;
`log.jsonl`).
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save
from torch import Tensor

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "recipes" / "kokoro")]

from meta_loop import meta_train  # noqa: E402
from people import WITH_MINUTES, Person, pool, sigma_people  # noqa: E402

from tts_meta.adaptation.adaptation_run import AdaptationRun  # noqa: E402
from tts_meta.adaptation.methods import shrinking  # noqa: E402
from tts_meta.audio.files import replace_file  # noqa: E402
from tts_meta.kokoro.clips import Encoded  # noqa: E402
from tts_meta.meta.algorithms.gradient import Gradient  # noqa: E402
from tts_meta.meta.hypergrad.displacement import Displacement  # noqa: E402
from tts_meta.meta.hypergrad.implicit import Implicit  # noqa: E402
from tts_meta.meta.outer import Group  # noqa: E402
from tts_meta.meta.partition import Partition  # noqa: E402
from tts_meta.meta.ranks import start_ranks  # noqa: E402
from tts_meta.meta.trainer import MetaTrainer  # noqa: E402
from tts_meta.meta.tree import Tree  # noqa: E402
from tts_meta.processor import bf16_is_fast  # noqa: E402
from tts_meta.starters.kokoro_starter import KokoroItem, KokoroStarter, load_kokoro  # noqa: E402
from tts_meta.training.parts import build  # noqa: E402
from tts_meta.training.sigma_reptile import ADAM  # noqa: E402

ESTIMATORS = ("first_order", "implicit", "imaml")


def estimator(name: str, cg_steps: int, loss: MovedLoss) -> Displacement | Implicit:
    """sigma-iMAML by the expected curvature of the likelihood: of absolute errors there is no other."""
    return Implicit(cg_steps, curvature=loss.curvature) if name == "imaml" else Displacement(name, cg_steps)


SETS = 3
"""Of clips to learn from that a person has, where the blocks settle first."""
ENCODED: dict[int, Encoded] = {}
"""What of a piece nothing that moves has a say in, by the piece's id: people come again and again."""


def settled(starter: KokoroStarter, items: Sequence[KokoroItem], seed: int) -> Tree:
    """Parameters `{name: [...]}` of what a clone of `items` leaves where it is after its steps of all modules."""
    method = shrinking(starter)
    how = starter.adaptation
    run = AdaptationRun(starter, method, items, steps=how.need("together"), clips=how.clips, seed=seed)
    for _ in run:
        pass
    return {n: starter.phi[n] + d for n, d in run.now().items() if n not in method.long}


class OnePerson:
    """One task: `clips` of the `support` pieces a step, `query` other recordings to be judged by; `settle`: once a clone's steps
    of all modules are over. Batches are `[1, n, ...]`. Raises ValueError for too few recordings."""

    tasks = 1

    def __init__(
        self, starter: KokoroStarter, person: Person, moved: Sequence[str], support: int, query: int, rng: np.random.Generator,
        settle: bool = False,
    ) -> None:
        self.starter, self.clips = starter, starter.adaptation.clips
        self.items, self.others = person.split(support, query, rng)
        for i in [*self.items, *self.others]:
            if id(i) not in ENCODED:
                ENCODED[id(i)] = starter.encoded(i, () if settle else moved)
        self.encoded = ENCODED
        if settle:
            still = settled(starter, self.items, int(rng.integers(2**31)))
            self.encoded = {id(i): starter.encoded(i, moved, still, ENCODED[id(i)]) for i in [*self.items, *self.others]}

    def again(self, rng: np.random.Generator) -> OnePerson:
        """The same clips, drawn from by `rng`."""
        self.rng, self.windows = rng, torch.Generator().manual_seed(int(rng.integers(2**31)))
        return self

    def batch(self, pairs: Sequence, scaled: bool) -> dict[str, Tensor]:
        """Of (item, its text front's outputs), scaled to the whole support or as it is."""
        batch = self.starter.collate([i for i, _ in pairs], [r for _, r in pairs])
        weight = sum(len(i.mel) for i in self.items) / sum(len(i.mel) for i, _ in pairs) if scaled else 1.0
        return {k: v.unsqueeze(0) for k, v in batch.items()} | {"weight": torch.tensor([weight])}

    def support(self, step: int) -> dict[str, Tensor]:
        chosen = [self.items[i] for i in self.rng.choice(len(self.items), self.clips, replace=False)]
        return self.batch([self.starter.window(i, self.encoded[id(i)], self.windows) for i in chosen], True)

    def query(self) -> dict[str, Tensor]:
        return self.batch([(i, self.encoded[id(i)]) for i in self.others], False)

    def whole_support(self) -> dict[str, Tensor]:
        """A window of every clip, scaled: the curvature is a sum over frames, and a product with it costs by the frame."""
        return self.batch([self.starter.window(i, self.encoded[id(i)], self.windows) for i in self.items], True)


class MovedLoss:
    """The starter's loss of what moves; the rest is phi's."""

    def __init__(self, starter: KokoroStarter, moved: Sequence[str]) -> None:
        self.loss, self.fixed = starter.task_loss(bf16_is_fast(), moved), starter.fixed(moved)

    def __call__(self, params: Tree, batch: dict[str, Tensor]) -> Tensor:
        return self.loss({**self.fixed, **params}, batch)

    def curvature(self, params: Tree, batch: dict[str, Tensor]) -> Tensor:
        return self.loss.expected_curvature({**self.fixed, **params}, batch)


def main() -> None:
    p = argparse.ArgumentParser()
    p.add_argument("data", type=Path)
    p.add_argument("starter", type=Path)
    p.add_argument("--out", type=Path, required=True)
    p.add_argument("--estimator", choices=ESTIMATORS, default="first_order")
    p.add_argument("--settled", action="store_true", help="only what goes on after a clone's steps of all modules")
    p.add_argument("--steps", type=int, default=0, help="inner steps; the starter's without it")
    p.add_argument("--cg-steps", type=int, default=10, help="conjugate-gradient steps of the implicit gradient")
    p.add_argument("--meta-steps", type=int, default=200)
    p.add_argument("--tasks", type=int, default=2)
    p.add_argument("--support", type=int, default=10)
    p.add_argument("--query", type=int, default=4)
    p.add_argument("--phi-rate", type=float, default=0.1)
    p.add_argument("--sigma-rate", type=float, default=0.1)
    p.add_argument("--minutes", type=float, default=1e9, help="stop after so many")
    p.add_argument("--seed", type=int, default=0)
    args = p.parse_args()
    rank, world = start_ranks()
    starter = load_kokoro(args.starter)
    moved = list(shrinking(starter).long) if args.settled else starter.moved()
    steps = args.steps or starter.adaptation.need("steps")
    crowd = sigma_people(args.data, args.support, args.query)
    minutes = [q for q in crowd if q.seconds > WITH_MINUTES]
    if rank == 0:
        print(f"{len(crowd)} people, {len(minutes)} of them with minutes; {len(moved)} modules, {steps} steps", flush=True)

    made: dict[tuple[str, int], OnePerson] = {}

    def draw(step: int, positions: Sequence[int]) -> OnePerson:
        """Three of four tasks are native readers with minutes. Where blocks settle first, everybody has a few sets of clips, so
        that they need not be settled again."""
        rng = np.random.default_rng([args.seed, step, *positions])
        among = pool(crowd, rng)
        while True:
            person, which = among[rng.integers(len(among))], int(rng.integers(SETS))
            if task := made.get((person.name, which)):
                return task.again(rng)
            own = np.random.default_rng([args.seed, crowd.index(person), which]) if args.settled else rng
            try:
                task = OnePerson(starter, person, moved, args.support, args.query, own, args.settled)
            except ValueError:  # too few recordings
                continue
            if args.settled:
                made[person.name, which] = task
            return task.again(rng)

    phi = {n: starter.phi[n].clone() for n in moved}
    partition = Partition({n: [n] for n in moved}, phi)
    index = {m: i for i, m in enumerate(starter.partition.modules)}
    begin = torch.stack([starter.clone_prior.log_sigma2[index[m]] for m in partition.modules])
    loss = MovedLoss(starter, moved)
    algorithm = Gradient(
        loss, lambda names: partition, build(starter.adaptation.need("solver"), ADAM),
        estimator(args.estimator, args.cg_steps, loss), steps,
    )
    groups = {
        "phi": Group("phi/*", lambda t: torch.optim.SGD(t, lr=args.phi_rate)),
        "sigma": Group("log_sigma2", lambda t: torch.optim.Adam(t, lr=args.sigma_rate, betas=(0.9, 0.98), eps=1e-12)),
    }
    if args.estimator == "imaml":  # its phi has a gradient, not a displacement
        groups["phi"] = Group("phi/*", lambda t: torch.optim.Adam(t, lr=1e-3 * args.phi_rate))
    bounds = {"log_sigma2": (begin - 2 * np.log(300.0), begin + 2 * np.log(30.0))}
    trainer = MetaTrainer(
        algorithm, {f"phi/{k}": v for k, v in phi.items()} | {"log_sigma2": begin.clone()}, draw, groups, args.tasks, 1,
        args.meta_steps, rank, world, bounds, args.seed,
    )

    def change() -> list[float]:
        """Of every sigma's logarithm, so far."""
        return (0.5 * (trainer.state["log_sigma2"] - begin)).tolist()

    def keep(row: dict) -> None:
        top = sorted(zip(change(), partition.modules, strict=True))
        print(row, *(f"{m} {c:+.2f}" for c, m in (*top[:3], *top[-3:])), flush=True)
        facts = {"modules": json.dumps(partition.modules), "steps": str(trainer.step_count), "estimator": args.estimator,
                 "inner_steps": str(steps), "tasks": str(args.tasks)}
        blob = save(trainer.phi | {"log_sigma2": trainer.state["log_sigma2"], "begin": begin}, metadata=facts)
        replace_file(args.out / "sigma.safetensors", blob)

    meta_train(trainer, args.out, {"modules": partition.modules}, args.meta_steps, args.minutes, 5,
               lambda: {"change": [round(c, 3) for c in change()]}, keep)


if __name__ == "__main__":
    main()

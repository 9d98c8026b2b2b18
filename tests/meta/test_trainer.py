"""The meta-trainer: partition errors, chunks and ranks give the same update, a resumed run equals the unbroken one."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass

import pytest
import torch

from tests.conftest import ROOT
from tests.meta import linear
from tts_meta.meta.algorithms.gradient import Gradient
from tts_meta.meta.hypergrad.displacement import Displacement
from tts_meta.meta.outer import Group, Outer
from tts_meta.meta.partition import Partition
from tts_meta.meta.ranks import start_ranks
from tts_meta.meta.solvers.adam import ProximalAdam
from tts_meta.meta.task import Stacked
from tts_meta.meta.trainer import MetaTrainer, task_rng


@dataclass
class LinearTask:
    batch: dict
    held: dict

    def support(self, step, rng):
        keep = torch.randperm(10, generator=rng)[:6]
        return {k: v[keep] for k, v in self.batch.items()}

    def query(self, rng):
        return self.held

    def whole_support(self):
        return self.batch


def draw(step: int, positions) -> Stacked:
    each = []
    for position in positions:
        tasks = linear.make(step * 100 + position, 1, 10, (0.05, 0.2, 0.6, 1.5))
        each.append(LinearTask({k: v[0] for k, v in tasks.batch().items()}, {k: v[0] for k, v in tasks.batch(True).items()}))
    return Stacked(each, *[[task_rng(3, step, p, purpose) for p in positions] for purpose in (0, 1)])


OUTER = {
    "phi": Group("phi/*", lambda p: torch.optim.SGD(p, lr=0.1)),
    "sigma": Group("log_sigma2", lambda p: torch.optim.Adam(p, lr=0.1, betas=(0.8, 0.95), eps=1e-12)),
}


def trainer(chunk: int = 1, rank: int = 0, world: int = 1, estimator: str = "first_order") -> MetaTrainer:
    algorithm = Gradient(
        linear.loss(0.5), lambda names: linear.partition(), ProximalAdam(0.1), Displacement(estimator), 12, sigma=0.3
    )
    state = algorithm.init(lambda i: linear.split(torch.zeros(12).double()))
    return MetaTrainer(algorithm, state, draw, OUTER, 4, chunk, 0, rank, world, seed=3)


def flat(t: MetaTrainer) -> torch.Tensor:
    return torch.cat([linear.join(t.phi), t.state["log_sigma2"]])


@pytest.mark.parametrize("estimator", ["first_order", "implicit"])
def test_chunk_size_changes_nothing(estimator):
    one, four = trainer(1, estimator=estimator), trainer(4, estimator=estimator)
    for _ in range(3):
        one.step(), four.step()
    assert (flat(one) - flat(four)).abs().max() < 1e-10
    assert (flat(one) - flat(trainer())).abs().max() > 1e-3


def test_resume_equals_uninterrupted():
    whole, first, second = trainer(), trainer(), trainer()
    for _ in range(4):
        whole.step()
    for _ in range(2):
        first.step()
    second.restore(first.tensors())
    for _ in range(2):
        second.step()
    assert torch.equal(flat(whole), flat(second))


def test_two_processes_give_the_update_of_one(tmp_path):
    script = tmp_path / "ranks.py"
    script.write_text(
        "import sys, torch\nfrom tests.meta.test_trainer import *\n"
        "rank, world = start_ranks()\nt = trainer(1, rank, world)\n"
        "for _ in range(2): t.step()\n"
        "if rank == 0: torch.save({'x': flat(t), 'world': torch.tensor(world)}, sys.argv[1])\n"
    )
    assert start_ranks() == (0, 1)
    out = tmp_path / "out.pt"
    subprocess.run(
        [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", str(script), str(out)],
        check=True, cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)}, timeout=180, capture_output=True,
    )
    saved = torch.load(out, weights_only=True)
    alone = trainer()
    for _ in range(2):
        alone.step()
    assert int(saved["world"]) == 2
    assert (saved["x"] - flat(alone)).abs().max() < 1e-12


def test_partition_errors():
    with pytest.raises(ValueError, match="'b' belongs to no module"):
        Partition({"m": ["a"]}, ["a", "b"])
    with pytest.raises(ValueError, match="match no parameter"):
        Partition({"m": ["*"], "n": ["z"]}, ["a"])
    p = Partition.by_layer(["x.film.weight", "x.film.bias", "x.conv.weight", "x.conv.bias", "al.w"], ["*.film.*"], ["al.*"])
    assert p.modules == ["x.film.weight", "x.film.bias", "x.conv"] and p.free() == [
        "x.film.weight", "x.film.bias", "x.conv.weight", "x.conv.bias",
    ]


@pytest.mark.parametrize(("decay", "after"), [("none", (1, 2, 3, 4)), ("linear", (1, 1.75, 2.25, 2.5)),
                                              ("cosine", (1, 1.8535533906, 2.3535533906, 2.5))])
def test_the_outer_rate_falls_to_zero_at_the_last_step(decay, after):
    state = {"x": torch.zeros(1, dtype=torch.float64)}
    outer = Outer({"x": Group("x", lambda p: torch.optim.SGD(p, lr=1.0), decay)}, state, total_steps=4)
    for value in after:
        outer.step({"x": torch.ones(1, dtype=torch.float64)}, {})
        assert abs(float(state["x"]) + value) < 1e-9

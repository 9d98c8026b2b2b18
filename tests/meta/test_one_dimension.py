"""The paper's one-dimensional analysis (workshop version, Props. 1, 3, 4). N = 5 unit-noise observations a task."""

from __future__ import annotations

import math

import pytest
import torch

from tts_meta.data.episodes import FewShot
from tts_meta.meta.hypergrad.base import Inner
from tts_meta.meta.hypergrad.displacement import Displacement, JointMAP
from tts_meta.meta.partition import Partition
from tts_meta.meta.prior import Shrinkage
from tts_meta.meta.solvers.base import Path

N = 5


def loss(params, batch):
    return 0.5 * ((batch["y"] - params["w"]) ** 2).sum(1)


class Exact:
    """theta_hat = N sigma^2 / (1 + N sigma^2) mean(y), for phi = 0."""

    def solve(self, loss, prior, phi, theta, batches, steps, *more, **keys):
        y, s = batches(0)["y"], float(prior.variance("w"))
        return Path({"w": N * s / (1 + N * s) * y.mean(1, keepdim=True)})


def tasks(sigma2: float, count: int) -> FewShot:
    g = torch.Generator().manual_seed(0)
    theta = sigma2**0.5 * torch.randn(count, 1, generator=g, dtype=torch.float64)
    support, query = (theta + torch.randn(count, N, generator=g, dtype=torch.float64) for _ in range(2))
    return FewShot({"y": support}, {"y": query})


def inner(log_sigma2: float) -> Inner:
    prior = Shrinkage(Partition.single(["w"]), torch.tensor([log_sigma2], dtype=torch.float64))
    return Inner(loss, prior, {"w": torch.zeros(1).double()}, {}, Exact(), 1)


def descend(hypergrad, episodes, start: float, steps: int = 600, rate: float = 2.0) -> float:
    """sigma^2 after gradient descent on log sigma^2."""
    at = math.log(start)
    for _ in range(steps):
        found = hypergrad(inner(at), episodes)
        at -= min(max(rate * float(found.log_sigma2) / episodes.tasks, -0.5), 0.5)
        if at < -25:
            break
    return math.exp(at)


def test_first_order_root_is_the_true_variance():
    """Prop. 4: the stationary point tends to the true sigma^2 (1.305 at T = 1e6)."""
    episodes = tasks(1.3, 400_000)
    low, high = math.log(0.2), math.log(8.0)
    sign = float(Displacement("first_order")(inner(low), episodes).log_sigma2)
    assert sign < 0 < float(Displacement("first_order")(inner(high), episodes).log_sigma2)
    for _ in range(40):
        middle = 0.5 * (low + high)
        below = float(Displacement("first_order")(inner(middle), episodes).log_sigma2) < 0
        low, high = (middle, high) if below else (low, middle)
    assert abs(math.exp(low) - 1.3) < 0.03


def test_joint_map_is_biased_above_its_threshold():
    """Prop. 3: 1/2 (s - 1/N + sqrt((s + 1/N)(s - 3/N))) = 1.0623 for s = 1.3."""
    expected = 0.5 * (1.3 - 1 / N + math.sqrt((1.3 + 1 / N) * (1.3 - 3 / N)))
    assert abs(expected - 1.0623) < 1e-4
    assert abs(descend(JointMAP(), tasks(1.3, 400_000), 2.0) - expected) < 0.01


@pytest.mark.parametrize(("sigma2", "start"), [(1.3, 0.03), (0.4, 0.1), (0.4, 4.0)])
def test_joint_map_collapses_below_its_threshold(sigma2, start):
    """From under 1/2 (S - 2/N - sqrt(S (S - 4/N))) = 0.038 always; for s < 3/N = 0.6 from anywhere."""
    assert descend(JointMAP(), tasks(sigma2, 100_000), start) < 1e-6


@pytest.mark.parametrize("estimator", ["first_order", "implicit", "diagonal"])
def test_predictive_sigma_does_not_collapse_there(estimator):
    """The same tasks and starts: the query loss finds 0.4."""
    hypergrad = Displacement(estimator, probes=0)
    rate = 1.0 if estimator == "first_order" else 12.0  # the other two are flatter
    for start in (0.05, 4.0):
        assert abs(descend(hypergrad, tasks(0.4, 20_000), start, 700, rate) - 0.4) < 0.05

"""The Gauss-Newton matrix as a loss's Hessian, and the implicit gradient that is solved with it."""

from __future__ import annotations

import warnings

import pytest
import torch
from torch import nn
from torch.func import functional_call
from torch.nn import functional as F

from tests.meta import linear
from tts_meta.meta.curvature import GaussNewton
from tts_meta.meta.hypergrad.base import Inner
from tts_meta.meta.hypergrad.displacement import Displacement
from tts_meta.meta.hypergrad.implicit import GaussNewtonImplicit, Implicit
from tts_meta.meta.loss import ModuleLoss, gradient, hvp
from tts_meta.meta.partition import Partition
from tts_meta.meta.prior import Shrinkage
from tts_meta.meta.solvers.base import Path
from tts_meta.meta.solvers.gd import ProximalGD
from tts_meta.training.fewshot.images import classification_criterion

TASKS, IMAGES = 2, 6


class Small(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = nn.Linear(3, 5), nn.Linear(5, 4)

    def forward(self, batch: dict) -> torch.Tensor:
        return self.b(torch.tanh(self.a(batch["x"])))


@pytest.fixture
def problem():
    """A network far from any optimum, its parameters and images of two tasks, float64."""
    rng = torch.Generator().manual_seed(0)
    net = Small().double()
    params = {k: torch.randn(TASKS, *v.shape, generator=rng).double() for k, v in net.named_parameters()}
    batch = {
        "x": torch.randn(TASKS, IMAGES, 3, generator=rng).double(), "y": torch.randint(0, 4, (TASKS, IMAGES), generator=rng),
        "mask": (torch.arange(IMAGES) < 5).double().expand(TASKS, -1),
    }
    return net, params, batch


@pytest.mark.parametrize("likelihood", ["sum", "mean"])
def test_its_hessian_is_the_fisher_information_of_cross_entropy(problem, likelihood):
    net, params, batch = problem
    bent = GaussNewton(ModuleLoss(net, classification_criterion(likelihood)))
    values, slope = gradient(bent, params, batch)
    assert not values.any() and not any(g.any() for g in slope.values())
    along = {k: torch.randn_like(v) for k, v in params.items()}
    found = hvp(bent, params, batch, along)
    for t in range(TASKS):
        one = {k: v[t] for k, v in params.items()}

        def logits(p, t=t):
            return functional_call(net, p, ({"x": batch["x"][t]},))

        jacobian = torch.cat([j.flatten(2) for j in torch.func.jacrev(logits)(one).values()], 2)  # [B, C, D]
        p = logits(one).softmax(1)
        middle = torch.diag_embed(p) - p[:, :, None] * p[:, None]
        weight = batch["mask"][t] / (1 if likelihood == "sum" else batch["mask"][t].sum())
        fisher = torch.einsum("b,bcd,bce,bef->df", weight, jacobian, middle, jacobian)
        direction = torch.cat([v[t].flatten() for v in along.values()])
        assert torch.allclose(torch.cat([v[t].flatten() for v in found.values()]), fisher @ direction, rtol=1e-8)


def inner(net, params, loss) -> Inner:
    partition = Partition({n: [n] for n in params}, {k: v[0] for k, v in params.items()})
    prior = Shrinkage(partition, 2 * torch.tensor([0.7, 1.1, 0.9, 2.0]).double().log())
    return Inner(loss, prior, {k: torch.zeros_like(v[0]) for k, v in params.items()}, {}, ProximalGD(0.1), 0)


def test_of_a_network_linear_in_what_moves_it_is_the_hessian(problem):
    """Squared errors of the last layer: both gradients are the same, sigma's too."""
    net, params, batch = problem
    still = {k: v for k, v in params.items() if k.startswith("a.")}
    last = {k: v for k, v in params.items() if k.startswith("b.")}

    class Last(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.b = net.b

        def forward(self, batch: dict) -> torch.Tensor:
            return self.b(batch["h"])

    hidden = torch.stack([torch.tanh(batch["x"][t] @ still["a.weight"][t].T + still["a.bias"][t]) for t in range(TASKS)])
    batch = {"h": hidden, "y": F.one_hot(batch["y"], 4).double()}
    loss = ModuleLoss(Last(), lambda out, b: 0.5 * (out - b["y"]).square().sum())
    partition = Partition({n: [n] for n in last}, {k: v[0] for k, v in last.items()})
    prior = Shrinkage(partition, 2 * torch.tensor([0.7, 1.1]).double().log())
    at = Inner(loss, prior, {k: torch.zeros_like(v[0]) for k, v in last.items()}, {}, ProximalGD(0.1), 0)
    plain, other = (h.at(Path(last), at, batch, batch) for h in (Implicit(60, 1e-14), GaussNewtonImplicit(60, 1e-14)))
    assert torch.allclose(plain.log_sigma2, other.log_sigma2, rtol=1e-8) and plain.log_sigma2.abs().min() > 1e-3
    reptile = Displacement("gauss_newton", 60, 1e-14).at(Path(last), at, batch, batch)
    assert torch.allclose(plain.log_sigma2, reptile.log_sigma2, rtol=1e-8)
    assert all(torch.allclose(plain.phi[k], other.phi[k], rtol=1e-8) for k in last)


def test_where_the_loss_is_not_convex_every_task_is_solved(problem):
    net, params, batch = problem
    loss = ModuleLoss(net, classification_criterion("sum"))
    at = inner(net, params, loss)
    with pytest.warns(RuntimeWarning, match="non-positive curvature"):
        plain = Implicit(60, 1e-12).at(Path(params), at, batch, batch)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = GaussNewtonImplicit(60, 1e-12).at(Path(params), at, batch, batch)
        reptile = Displacement("gauss_newton", 60, 1e-12).at(Path(params), at, batch, batch)
    assert plain.metrics["cg_indefinite"] == TASKS
    assert found.metrics["cg_indefinite"] == 0 and found.metrics["cg_residual"] < 1e-9
    assert torch.allclose(found.log_sigma2, reptile.log_sigma2, rtol=1e-8)


def test_a_loss_without_outputs_is_refused():
    tasks = linear.make(0, 2, 8, (1.0, 0.5, 0.2, 2.0))
    theta = linear.split(torch.zeros(2, 12).double())
    with pytest.raises(TypeError, match="outputs"):
        linear.at(GaussNewtonImplicit(), Path(theta), linear.loss(tasks.s), linear.prior((1.0, 0.5, 0.2, 2.0)),
                  linear.split(torch.zeros(12).double()), tasks.batch(), tasks.batch(True))

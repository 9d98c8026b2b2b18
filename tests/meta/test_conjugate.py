"""Conjugate gradients where the system has no solution of their kind: what they report, and what iMAML makes of it."""

from __future__ import annotations

import math

import pytest
import torch

from tts_meta.data.episodes import FewShot
from tts_meta.meta.conjugate import whitened_solve
from tts_meta.meta.hypergrad.base import Inner
from tts_meta.meta.hypergrad.displacement import Displacement
from tts_meta.meta.hypergrad.implicit import Implicit
from tts_meta.meta.partition import Partition
from tts_meta.meta.prior import Shrinkage
from tts_meta.meta.solvers.gd import ProximalGD

# Curvatures of one task a row. With sigma = 1 the system is I + diag(h): 4, 2 (convex); 4, -1 (not); -4, -3 (nowhere).
CURVATURE = torch.tensor([[3.0, 1.0], [3.0, -2.0], [-5.0, -4.0]]).double()
B = {"w": torch.tensor([[1.0, 2.0], [1.0, 0.5], [1.0, -2.0]]).double()}


def quadratic(params, batch):
    return 0.5 * (batch["h"] * params["w"] ** 2).sum(1)


def prior() -> Shrinkage:
    return Shrinkage(Partition.single(["w"]), torch.zeros(1).double())


def solved(steps: int):
    return whitened_solve(quadratic, prior(), {"w": torch.ones(3, 2).double()}, {"h": CURVATURE}, B, steps)


@pytest.mark.parametrize("steps", [0, 1, 2, 5])
def test_the_residual_is_that_of_the_solution_returned(steps):
    """Also for the tasks whose iterations ended at negative curvature."""
    found = solved(steps)
    gap = B["w"] - (1 + CURVATURE) * found.u["w"]
    assert (found.residual - gap.norm(dim=1) / B["w"].norm(dim=1)).abs().max() < 1e-12
    if steps >= 2:
        assert found.residual[0] < 1e-12 and (found.residual[1:] > 0.5).all(), found.residual


def test_tasks_at_negative_curvature_are_told():
    assert solved(5).indefinite.tolist() == [False, True, True]
    assert solved(0).indefinite.tolist() == [False, False, False]


def test_a_task_without_convex_directions_gets_the_first_order_gradient():
    assert torch.equal(solved(5).u["w"][2], B["w"][2])


@pytest.mark.parametrize("h", [Implicit(5), Displacement("implicit", 5)], ids=["implicit", "sigma_reptile"])
def test_the_implicit_gradient_of_an_indefinite_task_is_first_order_and_says_so(h):
    """A task in a saddle: conjugate gradients leave a residual over 1, so that the caller takes u = b, and warns."""
    curvature = torch.tensor([[1.0, -1.3]]).double()
    sigma = 0.9
    log_sigma2 = torch.tensor([2 * math.log(sigma)]).double()

    def loss(params, batch):
        centre = batch["c"]
        return 0.5 * (batch["h"] * (params["w"] - centre) ** 2).sum(1)

    support = {"h": curvature, "c": torch.tensor([[0.5, 0.2]]).double()}
    query = {"h": torch.ones(1, 2).double(), "c": torch.tensor([[-0.5, -1.7]]).double()}
    phi = {"w": torch.tensor([0.1, 0.3]).double()}
    problem = Inner(loss, Shrinkage(Partition.single(["w"]), log_sigma2), phi, {}, ProximalGD(0.05), 3)
    theta = problem.solve(FewShot(support, query)).theta["w"]
    g = theta - query["c"]
    raw = whitened_solve(loss, problem.prior, {"w": theta}, support, {"w": sigma * g}, 5)
    assert bool(raw.indefinite[0]) and raw.residual[0] > 1
    with pytest.warns(RuntimeWarning, match="non-positive curvature"):
        found = h(problem, FewShot(support, query))
    assert found.metrics["cg_indefinite"] == 1 and found.metrics["cg_residual"] > 1
    first_order = (g * (theta - phi["w"])).sum()
    assert abs(float(found.log_sigma2 - first_order)) < 1e-12
    if isinstance(h, Implicit):
        assert (found.phi["w"] - g[0]).abs().max() < 1e-12


def test_a_convex_task_does_not_warn(recwarn):
    problem = Inner(quadratic, prior(), {"w": torch.zeros(2).double()}, {}, ProximalGD(0.1), 20)
    batch = {"h": CURVATURE[:1]}
    found = Implicit(5)(problem, FewShot(batch, {"h": torch.ones(1, 2).double()}))
    assert found.metrics["cg_indefinite"] == 0
    assert not [w for w in recwarn if issubclass(w.category, RuntimeWarning)]

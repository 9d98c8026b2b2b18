"""Second moments that go on from task to task: Reptile as its authors' code runs it, against torch's own Adam."""

from __future__ import annotations

import math

import pytest
import torch

from tests.meta import linear
from tests.meta.test_trainer import draw
from tts_meta.meta.algorithms.gradient import Gradient
from tts_meta.meta.hypergrad.displacement import Displacement
from tts_meta.meta.hypergrad.unroll import FirstOrder
from tts_meta.meta.loss import gradient
from tts_meta.meta.outer import Group
from tts_meta.meta.solvers.adam import ProximalAdam
from tts_meta.meta.solvers.gd import ProximalGD
from tts_meta.meta.trainer import MetaTrainer
from tts_meta.training.settings import describe

RATE, STEPS, EPSILON = 0.05, 4, 0.5
ADAM = {"beta1": 0.0, "beta2": 0.95, "whiten": False}
OUTER = {
    "phi": Group("phi/*", lambda p: torch.optim.SGD(p, lr=EPSILON)),
    "moments": Group("moments", lambda p: torch.optim.SGD(p, lr=1.0)),
}


def trainer(tasks: int = 1, carried: bool = True) -> MetaTrainer:
    solver = ProximalAdam(RATE, **ADAM)
    algorithm = Gradient(
        linear.loss(0.5), lambda names: linear.partition(), solver, Displacement("none"), STEPS, carried=carried)
    state = algorithm.init(lambda i: linear.split(torch.full((12,), 0.1).double()))
    groups = OUTER if carried else {"phi": OUTER["phi"]}
    return MetaTrainer(algorithm, state, draw, groups, tasks, 1, 0, 0, 1, seed=3)


def by_torch(meta_steps: int, carried: bool) -> torch.Tensor:
    """phi after meta-steps of one task each: one Adam for all of them, or a new one for each."""
    loss, phi = linear.loss(0.5), torch.full((12,), 0.1).double()
    theta = phi.clone().requires_grad_()
    adam = None
    for step in range(meta_steps):
        theta.data.copy_(phi)
        if adam is None or not carried:
            adam = torch.optim.Adam([theta], RATE, betas=(0.0, 0.95))
        episodes = draw(step, [0])
        for k in range(STEPS):
            _, g = gradient(loss, {n: v[None] for n, v in linear.split(theta.detach()).items()}, episodes.support(k), {})
            theta.grad = torch.cat([v[0] for v in g.values()])
            adam.step()
        phi = phi + EPSILON * (theta.detach() - phi)
    return phi


@pytest.mark.parametrize("carried", [True, False])
def test_one_task_a_step_is_torchs_adam_that_is_kept_or_made_anew(carried):
    ours = trainer(carried=carried)
    for _ in range(5):
        ours.step()
    found = torch.cat([ours.state[f"phi/{k}"] for k in linear.SIZES])
    expected, other = by_torch(5, carried), by_torch(5, not carried)
    assert (found - expected).abs().max() < 1e-6 < 1e-3 < (found - other).abs().max()


def test_tasks_of_a_step_leave_the_mean_of_their_moments():
    both, alone = trainer(2), trainer(1)
    both.step()
    alone.step()
    second = trainer(2)
    inner = second.algorithm.inner(second.state)
    states = [inner.solver.moments(inner.solve(draw(0, [p])).state)[0] for p in range(2)]
    assert torch.allclose(alone.state["moments"], states[0]) and not torch.allclose(states[0], states[1])
    assert torch.allclose(both.state["moments"], (states[0] + states[1]) / 2)
    assert float(both.state["moments"][-1]) == pytest.approx(1 - 0.95**STEPS)


def test_they_are_part_of_a_checkpoint_and_of_adaptation():
    whole, first = trainer(2), trainer(2)
    for _ in range(4):
        whole.step()
    for _ in range(2):
        first.step()
    second = trainer(2)
    second.restore(first.tensors())
    for _ in range(2):
        second.step()
    assert all(torch.equal(v, second.state[k]) for k, v in whole.state.items())
    anew = whole.state | {"moments": torch.zeros(13).double()}
    adapted, other = (whole.algorithm.inner(state).solve(draw(7, [0])).theta for state in (whole.state, anew))
    assert any((adapted[k] - other[k]).abs().max() > 1e-3 for k in linear.SIZES)


@pytest.mark.parametrize(("solver", "hypergrad"), [(ProximalGD(0.1), Displacement("none")), (ProximalAdam(0.1), FirstOrder())])
def test_only_reptiles_adam_carries(solver, hypergrad):
    with pytest.raises(ValueError, match="by Adam under Reptile's displacement alone"):
        Gradient(linear.loss(0.5), lambda names: linear.partition(), solver, hypergrad, 3, math.inf, carried=True)


def test_moments_that_are_handed_over_are_no_setting_of_a_run():
    """Runs that began before there were any go on."""
    assert describe(ProximalAdam(RATE)) == {
        "part": "tts_meta.meta.solvers.adam.ProximalAdam", "rate": RATE, "beta1": 0.9, "beta2": 0.99, "eps": 1e-8, "whiten": True,
        "decay": 0.0,
    }

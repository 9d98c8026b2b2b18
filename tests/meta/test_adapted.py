"""What adaptation returns, written out in plain torch for a small network; and what the solvers refuse."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch

from tests.meta import linear
from tests.meta.test_written_out import RATE, TASKS, forward, generators, grads, regression, squared  # noqa: F401
from tts_meta.data.episodes import FewShot
from tts_meta.meta.algorithms.abml import ABML
from tts_meta.meta.algorithms.platipus import Platipus
from tts_meta.meta.algorithms.versa import Versa
from tts_meta.meta.curvature import diagonal, exact, gauss_newton
from tts_meta.meta.hypergrad.base import Inner
from tts_meta.meta.hypergrad.displacement import Displacement
from tts_meta.meta.hypergrad.laplace import UnrollLaplace
from tts_meta.meta.hypergrad.unroll import Sweep, Unroll
from tts_meta.meta.loss import ModuleLoss
from tts_meta.meta.outer import Group
from tts_meta.meta.solvers.gd import ProximalGD
from tts_meta.meta.solvers.newton_cg import NewtonCG
from tts_meta.meta.tree import pick
from tts_meta.nets.amortised import AmortisedRegressor
from tts_meta.training.fewshot.regression import regression_criterion


def noise(phi, rng):
    return {k: torch.randn(v.shape, generator=rng, dtype=v.dtype) for k, v in phi.items()}


def test_platipus_draws_its_samples_around_the_shifted_mean_and_descends_from_each(regression):  # noqa: F811
    net, loss, e = regression
    algorithm = Platipus(loss, RATE, start_sd=0.2, start_gamma=0.05, samples=3)
    state = algorithm.init(lambda i: dict(net.named_parameters()))
    assert state["log_gamma"].exp().tolist() == pytest.approx([0.05, 0.05])
    assert all(bool((v == math.log(0.2)).all()) for k in ("log_sd", "log_sd_q") for v in pick(state, k).values())
    # The inference side says nothing when there is no query.
    state["log_gamma"][1] += 2
    state |= {k: v + 1 for k, v in state.items() if k.startswith("log_sd_q/")}
    found = algorithm.adapt(state, e, generators(), [0, 2])
    phi = {k: v.detach().requires_grad_() for k, v in pick(state, "phi").items()}
    outputs, gamma = {k: found[k].outputs(e.query()) for k in (0, 2)}, state["log_gamma"][0].exp()
    assert set(found) == {0, 2} and outputs[0].shape[:2] == (3, TASKS)
    for t, rng in enumerate(generators()):
        g = grads(squared(phi, e.whole_support(), t), phi)
        for s in range(3):
            drawn = noise(phi, rng)
            theta = {k: (phi[k] - gamma * g[k] + 0.2 * drawn[k]).detach() for k in phi}
            for step in range(3):
                if step in outputs:
                    assert (outputs[step][s, t] - forward(theta, e.query()["x"][t])).abs().max() < 1e-10
                theta = {k: v.requires_grad_() for k, v in theta.items()}
                down = grads(squared(theta, e.whole_support(), t), theta)
                theta = {k: (theta[k] - RATE * down[k]).detach() for k in theta}


def test_abml_draws_its_samples_from_what_it_reached(regression):  # noqa: F811
    net, loss, e = regression
    algorithm = ABML(loss, net.noise, RATE, rate_sd=0.05, start_sd=0.1, samples=4)
    state = algorithm.init(lambda i: dict(net.named_parameters()))
    found = algorithm.adapt(state, e, generators(), [0])[0].outputs(e.query())
    assert found.shape[:2] == (4, TASKS)
    phi = pick(state, "phi")
    for t, rng in enumerate(generators()):
        for s in range(4):
            drawn = noise(phi, rng)
            theta = {k: phi[k] + 0.1 * drawn[k] for k in phi}
            assert (found[s, t] - forward(theta, e.query()["x"][t])).abs().max() < 1e-10
    reached = algorithm.adapt(state, e, generators(), [0, 3])
    assert set(reached) == {0, 3}
    before, after = ((reached[k].outputs(e.whole_support()).mean(0) - e.whole_support()["y"]).square().mean() for k in (0, 3))
    assert after < before


def test_versa_answers_at_once_with_a_sample_each():
    torch.manual_seed(6)
    net = AmortisedRegressor(width=4, depth=1, d=3).double()
    loss = ModuleLoss(net, regression_criterion("sum", 0.4))
    x, xq = torch.rand(TASKS, 5, 1).double(), torch.rand(TASKS, 3, 1).double()
    e = FewShot({"x": x, "y": x.sin()}, {"x": xq, "y": xq.cos()})
    algorithm = Versa(loss, net.noise_shape(6))
    found = algorithm.adapt(algorithm.init(lambda i: dict(net.named_parameters())), e, generators(), [0, 5])
    assert set(found) == {0, 5} and torch.equal(found[0].outputs(e.query()), found[5].outputs(e.query()))
    assert found[0].outputs(e.query()).shape[:3] == (6, TASKS, 3)


@pytest.fixture
def problem():
    tasks = linear.make(0, 2, 10, (0.3, 0.5, 0.9, 1.5))
    phi = linear.split(torch.zeros(12).double())
    inner = Inner(linear.loss(tasks.s), linear.prior((0.3, 0.5, 0.9, 1.5)), phi, {}, ProximalGD(0.01), 2)
    return inner, FewShot(tasks.batch(), tasks.batch(True))


@pytest.mark.parametrize("h", [Unroll(), UnrollLaplace()])
def test_a_line_search_is_not_differentiated_through(problem, h):
    inner, e = problem
    with pytest.raises(ValueError, match="NewtonCG cannot be differentiated through"):
        h(replace(inner, solver=NewtonCG()), e)


def test_what_needs_single_steps_or_finite_sigmas_says_so(problem):
    inner, e = problem
    with pytest.raises(ValueError, match="Sweep needs a solver made of single steps; NewtonCG is not one"):
        Sweep()(replace(inner, solver=NewtonCG()), e)
    for wrong in (math.inf, -math.inf):
        free = inner.prior.with_log_sigma2(torch.tensor([0.0, wrong, 0.0, 0.0]).double())
        with pytest.raises(ValueError, match="NewtonCG needs a finite sigma"):
            replace(inner, solver=NewtonCG(), prior=free).solve(e)
        theta = inner.solve(e).theta
        for curvature in (exact, gauss_newton, diagonal):
            with pytest.raises(ValueError, match="needs a finite sigma for every module"):
                curvature(inner.loss, free, theta, e.whole_support(), {})


def test_names_that_are_not_there_are_refused():
    for make, word in (
        (lambda: Displacement("diagonl"), "sigma_gradient is 'diagonl'; one of"),
        (lambda: UnrollLaplace("exct"), "curvature is 'exct'; one of"),
        (lambda: Group("x", torch.optim.SGD, "cosin"), "decay is 'cosin'; one of"),
    ):
        with pytest.raises(ValueError, match=word):
            make()


@pytest.mark.parametrize("estimator", ["diagonal", "implicit"])
def test_curvature_needs_the_whole_support_set(problem, estimator):
    inner, e = problem
    with pytest.raises(ValueError, match="needs the whole support set"):
        Displacement(estimator).at(inner.solve(e), inner, None, e.query())

"""Closed forms of linear-Gaussian tasks, float64: the optimum, the implicit gradients, the envelope, the fixed point."""

from __future__ import annotations

import math

import pytest
import torch

from tests.meta import linear
from tts_meta.meta.conjugate import whitened_solve
from tts_meta.meta.hypergrad.displacement import Displacement
from tts_meta.meta.hypergrad.implicit import Implicit
from tts_meta.meta.loss import gradient, hvp
from tts_meta.meta.prior import Shrinkage
from tts_meta.meta.solvers.adam import ProximalAdam
from tts_meta.meta.solvers.base import Path
from tts_meta.meta.solvers.gd import ProximalGD
from tts_meta.meta.tree import expand

SIGMA = (0.05, 0.2, 0.6, 1.5)


@pytest.fixture
def problem():
    tasks = linear.make(0, tasks=3, n=10, sigma=SIGMA, phi=torch.linspace(-1, 1, 12).double())
    phi = torch.linspace(-0.5, 0.7, 12).double()
    log_sigma2 = 2 * torch.tensor(SIGMA).double().log()
    exact = torch.stack([linear.map_estimate(tasks.x[t], tasks.y[t], tasks.s, phi, log_sigma2) for t in range(3)])
    return tasks, phi, log_sigma2, exact


def lipschitz(tasks) -> float:
    h = torch.einsum("tnd,tne->tde", tasks.x, tasks.x) / tasks.s**2
    return float(torch.linalg.eigvalsh(h).max())


@pytest.mark.parametrize("solver", ["gd", "whitened_gd", "adam", "whitened_adam"])
def test_oracle_1_every_solver_reaches_the_map(problem, solver):
    tasks, phi, log_sigma2, exact = problem
    top = lipschitz(tasks)
    solvers = {
        "gd": (ProximalGD(1 / top), 6000),
        "whitened_gd": (ProximalGD(1 / (top * max(SIGMA) ** 2), whiten=True), 6000),
        "adam": (ProximalAdam(0.05, whiten=False, decay=0.02), 6000),
        "whitened_adam": (ProximalAdam(0.1, decay=0.02), 6000),
    }
    chosen, steps = solvers[solver]
    tolerance = {"gd": 1e-10, "whitened_gd": 1e-7}.get(solver, 1e-5)  # the whitened system's smallest rate is slow
    tree = linear.split(phi)
    path = linear.solve(
        chosen, linear.loss(tasks.s), Shrinkage(linear.partition(), log_sigma2), tree, expand(tree, 3),
        lambda k: tasks.batch(), steps,
    )
    error = (linear.join(path.theta) - exact).abs().max()
    assert error < tolerance, error


def test_proximal_step_is_stable_for_tiny_sigma_and_the_explicit_one_is_not(problem):
    tasks, phi, _, _ = problem
    log_sigma2 = 2 * torch.tensor((1e-3, 0.2, 0.6, 1.5)).double().log()
    rate = 1 / lipschitz(tasks)
    tree, loss = linear.split(phi), linear.loss(tasks.s)
    prior = Shrinkage(linear.partition(), log_sigma2)
    path = linear.solve(ProximalGD(rate), loss, prior, tree, expand(tree, 3), lambda k: tasks.batch(), 8000)
    exact = torch.stack([linear.map_estimate(tasks.x[t], tasks.y[t], tasks.s, phi, log_sigma2) for t in range(3)])
    assert (linear.join(path.theta) - exact).abs().max() < 1e-12
    theta = expand(tree, 3)
    for _ in range(10):
        _, g = gradient(loss, theta, tasks.batch())
        theta = {k: v - rate * (g[k] + prior.precision(k) * (v - tree[k])) for k, v in theta.items()}
    assert linear.join(theta).abs().max() > 1e6


def closed_form_meta_grads(tasks, phi, log_sigma2):
    phi, log_sigma2 = phi.clone().requires_grad_(), log_sigma2.clone().requires_grad_()
    total = torch.zeros((), dtype=torch.float64)
    for t in range(len(tasks.x)):
        theta = linear.map_estimate(tasks.x[t], tasks.y[t], tasks.s, phi, log_sigma2)
        total = total + 0.5 * ((tasks.xq[t] @ theta - tasks.yq[t]) ** 2).sum() / tasks.s**2
    return torch.autograd.grad(total, (phi, log_sigma2))


def test_oracle_1_implicit_gradients_equal_autograd_through_the_closed_form(problem):
    tasks, phi, log_sigma2, exact = problem
    d_phi, d_sigma = closed_form_meta_grads(tasks, phi, log_sigma2)
    path, tree = Path(linear.split(exact)), linear.split(phi)
    prior, loss = Shrinkage(linear.partition(), log_sigma2), linear.loss(tasks.s)
    found = linear.at(Implicit(cg_steps=30, tolerance=1e-15), path, loss, prior, tree, tasks.batch(), tasks.batch(True))
    assert (linear.join(found.phi) - d_phi).abs().max() / d_phi.abs().max() < 1e-10
    assert (found.log_sigma2 - d_sigma).abs().max() / d_sigma.abs().max() < 1e-10
    reptile = linear.at(Displacement("implicit", 30, 1e-15), path, loss, prior, tree, tasks.batch(), tasks.batch(True))
    assert (reptile.log_sigma2 - d_sigma).abs().max() / d_sigma.abs().max() < 1e-10


def test_of_absolute_errors_the_expected_curvature_is_solved_with():
    """Laplace noise: |error| / s has no Hessian, its expectation is X'X / s^2."""
    tasks, sigma = linear.make(3, 2, 8, (1.0, 0.5, 0.2, 2.0)), torch.tensor([1.0, 0.5, 0.2, 2.0]).double()
    squared, prior = linear.loss(tasks.s), linear.prior(tuple(sigma.tolist()))

    def absolute(params, batch):
        return (torch.einsum("tnd,td->tn", batch["x"], linear.join(params)) - batch["y"]).abs().sum(1) / tasks.s

    phi = torch.zeros(12).double()
    theta = phi + 0.1 * torch.randn(2, 12, generator=torch.Generator().manual_seed(0)).double()
    found = linear.at(Implicit(40, 1e-15, squared), Path(linear.split(theta)), absolute, prior, linear.split(phi), tasks.batch(),
                      tasks.batch(True))
    p, expected = linear.precision(sigma**2), torch.zeros(12).double()
    for x, xq, yq, t in zip(tasks.x, tasks.xq, tasks.yq, theta, strict=True):
        g = xq.T @ (xq @ t - yq).sign() / tasks.s
        expected += p * torch.linalg.solve(x.T @ x / tasks.s**2 + torch.diag(p), g)
    assert torch.allclose(linear.join(found.phi), expected, rtol=1e-8)
    # Without it there is no curvature at all: first-order MAML's gradient.
    flat = linear.at(Implicit(40, 1e-15), Path(linear.split(theta)), absolute, prior, linear.split(phi), tasks.batch(),
                     tasks.batch(True))
    first = sum(xq.T @ (xq @ t - yq).sign() / tasks.s for xq, yq, t in zip(tasks.xq, tasks.yq, theta, strict=True))
    assert torch.allclose(linear.join(flat.phi), first, rtol=1e-8)


def test_implicit_error_falls_with_conjugate_gradient_steps(problem):
    tasks, phi, log_sigma2, exact = problem
    _, d_sigma = closed_form_meta_grads(tasks, phi, log_sigma2)
    prior, loss = Shrinkage(linear.partition(), log_sigma2), linear.loss(tasks.s)
    errors = []
    for steps in (1, 4, 8, 20):
        path = Path(linear.split(exact))
        found = linear.at(Implicit(steps, 0.0), path, loss, prior, linear.split(phi), tasks.batch(), tasks.batch(True))
        errors.append(float((found.log_sigma2 - d_sigma).norm() / d_sigma.norm()))
    assert errors[0] > errors[1] > errors[2] > errors[3] and errors[0] > 1e-2 and errors[3] < 1e-9, errors


def test_batched_solve_equals_one_task_at_a_time(problem):
    tasks, _, log_sigma2, exact = problem
    prior, loss = Shrinkage(linear.partition(), log_sigma2), linear.loss(tasks.s)
    _, g = gradient(loss, linear.split(exact), tasks.batch(True))
    g = {k: prior.sigma(k) * v for k, v in g.items()}
    together = whitened_solve(loss, prior, linear.split(exact), tasks.batch(), g, 6).u
    for t in range(3):
        one = {k: v[t : t + 1] for k, v in tasks.batch().items()}
        alone = whitened_solve(
            loss, prior, linear.split(exact[t : t + 1]), one, {k: v[t : t + 1] for k, v in g.items()}, 6
        ).u
        assert (linear.join(alone)[0] - linear.join(together)[t]).abs().max() < 1e-12


def test_constant_sigma_is_imaml(problem):
    """One sigma for all gives (I + sigma^2 H)^-1 g; sigma -> 0 gives the query gradient at phi."""
    tasks, phi, _, _ = problem
    for sigma in (0.7, 1e-5):
        log_sigma2 = torch.full((4,), 2 * math.log(sigma)).double()
        exact = torch.stack([linear.map_estimate(tasks.x[t], tasks.y[t], tasks.s, phi, log_sigma2) for t in range(3)])
        prior, loss = Shrinkage(linear.partition(), log_sigma2), linear.loss(tasks.s)
        path = Path(linear.split(exact))
        found = linear.at(Implicit(40, 1e-15), path, loss, prior, linear.split(phi), tasks.batch(), tasks.batch(True))
        _, g = gradient(loss, linear.split(exact), tasks.batch(True))
        h = torch.einsum("tnd,tne->tde", tasks.x, tasks.x) / tasks.s**2
        eye = torch.eye(12).double()
        expected = torch.stack([
            torch.linalg.solve(eye + sigma**2 * h[t], linear.join(g)[t]) for t in range(3)
        ]).sum(0)
        assert (linear.join(found.phi) - expected).abs().max() / expected.abs().max() < 1e-7
    _, at_phi = gradient(loss, expand(linear.split(phi), 3), tasks.batch(True))
    assert (linear.join(found.phi) - linear.join(at_phi).sum(0)).abs().max() / expected.abs().max() < 1e-6


def test_oracle_5_envelope(problem):
    """d min l_train / d phi = P (phi - theta_hat); d / d log sigma^2 = (D_m - |theta_hat - phi|^2 / sigma^2) / 2."""
    tasks, phi, log_sigma2, exact = problem
    prior = Shrinkage(linear.partition(), log_sigma2)
    p, q = phi.clone().requires_grad_(), log_sigma2.clone().requires_grad_()
    live = prior.with_log_sigma2(q)
    total = -live.log_density(linear.split(exact), linear.split(p)).sum()
    d_phi, d_sigma = torch.autograd.grad(total, (p, q))
    weight = linear.precision(log_sigma2.exp())
    assert (d_phi - (weight * (phi - exact)).sum(0)).abs().max() < 1e-10
    squares = torch.stack([v.square().sum() for v in linear.split(exact - phi).values()])
    assert (d_sigma - 0.5 * (3 * 3 - squares / log_sigma2.exp())).abs().max() < 1e-9


def test_oracle_6_fixed_point_is_the_marginal_likelihood_estimate():
    """Iterating phi by sigma-Reptile's displacement reaches the GLS estimate of phi."""
    tasks = linear.make(3, tasks=12, n=24, sigma=SIGMA, phi=torch.linspace(-1, 1, 12).double())
    log_sigma2 = 2 * torch.tensor(SIGMA).double().log()
    prior, loss = Shrinkage(linear.partition(), log_sigma2), linear.loss(tasks.s)
    phi = torch.zeros(12).double()
    for _ in range(800):
        theta = torch.stack([linear.map_estimate(tasks.x[t], tasks.y[t], tasks.s, phi, log_sigma2) for t in range(12)])
        found = linear.at(Displacement(), Path(linear.split(theta)), loss, prior, linear.split(phi), None, tasks.batch(True))
        phi = phi - 0.9 * linear.join(found.phi) / found.tasks
    cov = torch.diag(1 / linear.precision(log_sigma2.exp()))
    left, right = torch.zeros(12, 12).double(), torch.zeros(12).double()
    for t in range(12):
        v = tasks.x[t] @ cov @ tasks.x[t].T + tasks.s**2 * torch.eye(24).double()
        left += tasks.x[t].T @ torch.linalg.solve(v, tasks.x[t])
        right += tasks.x[t].T @ torch.linalg.solve(v, tasks.y[t])
    assert (phi - torch.linalg.solve(left, right)).abs().max() < 1e-8


def test_reptile_displacement_on_a_quadratic_without_prior(problem):
    """sigma = inf: phi - theta_K = (I - (I - alpha H)^K)(phi - c)."""
    tasks, phi, _, _ = problem
    prior = Shrinkage(linear.partition(), torch.full((4,), math.inf).double())
    rate = 0.5 / lipschitz(tasks)
    tree = linear.split(phi)
    path = linear.solve(ProximalGD(rate), linear.loss(tasks.s), prior, tree, expand(tree, 3), lambda k: tasks.batch(), 7)
    for t in range(3):
        h = tasks.x[t].T @ tasks.x[t] / tasks.s**2
        c = torch.linalg.lstsq(tasks.x[t], tasks.y[t][:, None]).solution[:, 0]
        r = torch.linalg.matrix_power(torch.eye(12).double() - rate * h, 7)
        expected = (torch.eye(12).double() - r) @ (phi - c)
        assert ((phi - linear.join(path.theta)[t]) - expected).abs().max() < 1e-9


def test_sigma_zero_freezes_and_the_rest_still_adapts(problem):
    tasks, phi, log_sigma2, _ = problem
    frozen = log_sigma2.clone()
    frozen[1] = -math.inf
    tree = linear.split(phi)
    for solver in (ProximalGD(0.5 / lipschitz(tasks)), ProximalAdam(0.05), ProximalAdam(0.05, whiten=False)):
        path = linear.solve(
            solver, linear.loss(tasks.s), Shrinkage(linear.partition(), frozen), tree, expand(tree, 3),
            lambda k: tasks.batch(), 20,
        )
        assert (path.theta["b"] == tree["b"]).all()
        assert (path.theta["d"] - tree["d"]).abs().max() > 1e-2
        assert all(torch.isfinite(v).all() for v in path.theta.values())


def test_hvp_is_the_hessian(problem):
    tasks, _, _, exact = problem
    v = linear.split(torch.randn(3, 12, dtype=torch.float64, generator=torch.Generator().manual_seed(1)))
    found = linear.join(hvp(linear.loss(tasks.s), linear.split(exact), tasks.batch(), v))
    h = torch.einsum("tnd,tne->tde", tasks.x, tasks.x) / tasks.s**2
    assert (found - torch.einsum("tde,te->td", h, linear.join(v))).abs().max() < 1e-10


def test_small_sigma_gradient_limit(problem):
    """1.7: d l / d log sigma^2 -> -sigma^2 <grad l_data(phi), grad l_val(phi)> as sigma -> 0."""
    tasks, phi, _, _ = problem
    log_sigma2 = torch.full((4,), math.log(1e-7)).double()
    exact = torch.stack([linear.map_estimate(tasks.x[t], tasks.y[t], tasks.s, phi, log_sigma2) for t in range(3)])
    prior, loss, tree = Shrinkage(linear.partition(), log_sigma2), linear.loss(tasks.s), linear.split(phi)
    found = linear.at(Implicit(20, 1e-14), Path(linear.split(exact)), loss, prior, tree, tasks.batch(), tasks.batch(True))
    _, g = gradient(loss, expand(tree, 3), tasks.batch())
    _, q = gradient(loss, expand(tree, 3), tasks.batch(True))
    expected = torch.stack([-1e-7 * (g[k] * q[k]).sum() for k in linear.SIZES])
    assert (found.log_sigma2 - expected).abs().max() / expected.abs().max() < 1e-3

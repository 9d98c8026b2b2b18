"""Exact identities of the family, float64: every algorithm against closed forms,
central differences and each other."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import pairwise

import pytest
import torch

from tests.meta import linear
from tts_meta.data.episodes import FewShot
from tts_meta.meta.algorithms.abml import ABML
from tts_meta.meta.algorithms.bmaml import BMAML
from tts_meta.meta.algorithms.gradient import Gradient
from tts_meta.meta.curvature import exact as exact_log_det
from tts_meta.meta.curvature import gauss_newton
from tts_meta.meta.gaussian import gamma_log_density, kl_diagonal
from tts_meta.meta.hypergrad.base import Inner
from tts_meta.meta.hypergrad.displacement import Displacement, JointMAP, hessian_diagonal
from tts_meta.meta.hypergrad.implicit import Implicit
from tts_meta.meta.hypergrad.laplace import UnrollLaplace
from tts_meta.meta.hypergrad.pathlength import PathLength
from tts_meta.meta.hypergrad.unroll import FirstOrder, Sweep, Unroll
from tts_meta.meta.loss import ModuleLoss, gradient
from tts_meta.meta.outer import Group
from tts_meta.meta.partition import Partition
from tts_meta.meta.prior import Shrinkage
from tts_meta.meta.solvers.adam import ProximalAdam
from tts_meta.meta.solvers.base import Path
from tts_meta.meta.solvers.gd import ExplicitGD, ProximalGD
from tts_meta.meta.solvers.newton_cg import NewtonCG
from tts_meta.meta.solvers.svgd import bandwidth, direction
from tts_meta.meta.trainer import MetaTrainer
from tts_meta.meta.tree import expand, flatten, unflatten
from tts_meta.nets.mlp import MLP

SIGMA = (0.3, 0.5, 0.9, 1.5)
LOG_SIGMA2 = 2 * torch.tensor(SIGMA).double().log()
PHI = torch.linspace(-0.5, 0.7, 12).double()


@pytest.fixture(scope="module")
def tasks():
    return linear.make(0, tasks=3, n=10, sigma=SIGMA, phi=torch.linspace(-1, 1, 12).double())


def episodes(tasks) -> FewShot:
    return FewShot(tasks.batch(), tasks.batch(True))


def hessians(tasks) -> torch.Tensor:
    return torch.einsum("tnd,tne->tde", tasks.x, tasks.x) / tasks.s**2


def top(tasks) -> float:
    return float(torch.linalg.eigvalsh(hessians(tasks)).max())


def inner(tasks, solver, steps, log_sigma2=LOG_SIGMA2, phi=PHI, log_rate=None) -> Inner:
    prior = Shrinkage(linear.partition(), log_sigma2, log_rate)
    return Inner(linear.loss(tasks.s), prior, linear.split(phi), {}, solver, steps)


NEWTON = (NewtonCG(cg_steps=30, tolerance=1e-14), 2)
"""Solver and steps to the optimum of a quadratic, as exact as float64 is (a test compares with the closed form)."""


def solvers(tasks) -> dict:
    a = top(tasks)
    return {
        "gd": ProximalGD(0.5 / a), "whitened_gd": ProximalGD(0.5 / (a * max(SIGMA) ** 2), whiten=True),
        "explicit": ExplicitGD(0.5 / (a + 12)), "adam": ProximalAdam(0.05, whiten=False),
        "whitened_adam": ProximalAdam(0.1, decay=0.05),
    }


def relative(a: torch.Tensor, b: torch.Tensor) -> float:
    return float((a - b).norm() / b.norm().clamp(min=1e-300))


# ---- The three ways to the unrolled gradient


@pytest.mark.parametrize("steps", [0, 1, 3, 5])
@pytest.mark.parametrize("name", ["gd", "whitened_gd", "explicit", "adam", "whitened_adam"])
def test_sweep_is_unrolled_autograd_is_central_differences(tasks, name, steps):
    solver, rate = solvers(tasks)[name], torch.tensor([0.1, -0.2, 0.0, 0.3]).double()
    problem = inner(tasks, solver, steps, log_rate=rate)
    unrolled, swept = (h(problem, episodes(tasks)) for h in (Unroll(), Sweep()))
    for key, value in unrolled.grads.items():
        assert (swept.grads[key] - value).abs().max() <= 1e-10 * (1 + value.abs().max()), key

    def query(phi, log_sigma2, log_rate):
        p = inner(tasks, solver, steps, log_sigma2, phi, log_rate)
        return float(p.query_loss(p.solve(episodes(tasks)).theta, episodes(tasks)).sum())

    at, h = [PHI, LOG_SIGMA2, rate], 1e-6
    for i, found in enumerate((linear.join(unrolled.phi), unrolled.log_sigma2, unrolled.grads["log_rate"])):
        for d in range(len(at[i])):
            e = torch.zeros_like(at[i])
            e[d] = h
            high, low = (query(*[v + s * e if j == i else v for j, v in enumerate(at)]) for s in (1, -1))
            assert abs((high - low) / (2 * h) - float(found[d])) < 1e-5 * (1 + float(found.abs().max())), (i, d)


def test_k_step_jacobian_is_r_k_plus_implicit(tasks):
    """d theta_K / d phi = R^K + (I - R^K) A^-1 P with R = I - alpha A."""
    rate, k = 0.3 / (top(tasks) + 12), 6
    found = Unroll()(inner(tasks, ExplicitGD(rate), k), episodes(tasks))
    p = torch.diag(linear.precision(LOG_SIGMA2.exp()))
    path = inner(tasks, ExplicitGD(rate), k).solve(episodes(tasks))
    _, g = gradient(linear.loss(tasks.s), path.theta, tasks.batch(True))
    expected = torch.zeros(12).double()
    for t in range(3):
        a = hessians(tasks)[t] + p
        r = torch.linalg.matrix_power(torch.eye(12).double() - rate * a, k)
        jacobian = r + (torch.eye(12).double() - r) @ torch.linalg.solve(a, p)
        expected += jacobian.T @ linear.join(g)[t]
    assert relative(linear.join(found.phi), expected) < 1e-12


def test_oracle_2_unrolled_converges_to_implicit(tasks):
    rate = 1 / (top(tasks) + 12)
    log_sigma2 = 2 * torch.tensor((0.3, 0.5, 0.6, 0.7)).double().log()
    problem = inner(tasks, ExplicitGD(rate), 4000, log_sigma2)
    exact = torch.stack([
        linear.map_estimate(tasks.x[t], tasks.y[t], tasks.s, PHI, log_sigma2) for t in range(3)
    ])
    limit = Implicit(60, 1e-15).at(Path(linear.split(exact)), problem, tasks.batch(), tasks.batch(True))
    errors = []
    for k in (5, 50, 1000):
        found = Unroll()(inner(tasks, ExplicitGD(rate), k, log_sigma2), episodes(tasks))
        errors.append((relative(linear.join(found.phi), linear.join(limit.phi)), relative(found.log_sigma2, limit.log_sigma2)))
    assert all(b[0] < a[0] and b[1] < a[1] for a, b in pairwise(errors)), errors
    assert errors[0][1] > 0.05 and errors[-1][0] < 1e-7 and errors[-1][1] < 1e-7, errors


# ---- Limits between algorithms


def test_infinite_sigma_is_maml_and_approaches_it_like_one_over_sigma2(tasks):
    """MAML on a quadratic is (I - alpha H)^K g(theta_K); the difference falls with slope -1 in sigma^2."""
    rate, k = 0.5 / top(tasks), 4
    none = torch.full((4,), math.inf).double()
    maml = linear.join(Unroll()(inner(tasks, ProximalGD(rate), k, none), episodes(tasks)).phi)
    path = inner(tasks, ProximalGD(rate), k, none).solve(episodes(tasks))
    _, g = gradient(linear.loss(tasks.s), path.theta, tasks.batch(True))
    r = torch.linalg.matrix_power(torch.eye(12).double() - rate * hessians(tasks), k)
    assert relative(maml, torch.einsum("tde,te->d", r, linear.join(g))) < 1e-13
    errors = []
    for power in (2, 4, 6):
        log_sigma2 = torch.full((4,), power * math.log(10)).double()
        errors.append(relative(linear.join(Unroll()(inner(tasks, ProximalGD(rate), k, log_sigma2), episodes(tasks)).phi), maml))
    for a, b in pairwise(errors):
        assert abs(math.log10(b / a) + 2) < 0.02, errors  # sigma^2 times 100: a hundredth of the error


def test_zero_sigma_is_the_query_gradient_at_phi(tasks):
    _, g = gradient(linear.loss(tasks.s), expand(linear.split(PHI), 3), tasks.batch(True))
    for h in (Unroll(), Sweep()):
        none = torch.full((4,), -math.inf).double()
        found = h(inner(tasks, ProximalGD(0.5 / top(tasks)), 3, none), episodes(tasks))
        assert relative(linear.join(found.phi), linear.join(g).sum(0)) < 1e-13


def test_zero_conjugate_gradient_steps_is_first_order_maml(tasks):
    problem = inner(tasks, ProximalGD(0.5 / top(tasks)), 5)
    a, b = (h(problem, episodes(tasks)) for h in (Implicit(cg_steps=0), FirstOrder()))
    assert all(torch.equal(a.phi[k], b.phi[k]) for k in a.phi)


def test_first_order_maml_and_reptile_on_quadratics(tasks):
    """One step of MAML is (I - alpha H) g; FO-MAML is g; Reptile's displacement is the sum of the inner gradients."""
    rate = 0.4 / top(tasks)
    none = torch.full((4,), math.inf).double()
    problem = inner(tasks, ProximalGD(rate), 2, none)
    path = problem.solve(episodes(tasks), keep=True)
    moved = Displacement("none")(problem, episodes(tasks)).phi
    total = {k: rate * sum(g[k] for g in path.grads).sum(0) for k in moved}
    assert relative(linear.join(moved), linear.join(total)) < 1e-12


def test_anil_is_a_frozen_body(tasks):
    """A frozen module is sigma = 0: the same points and gradients, frozen parameters included, for every way."""
    parts = Partition({"frozen": ["a", "b"], "c": ["c"], "d": ["d"]}, linear.SIZES)
    tree = linear.split(PHI)
    free, frozen = {k: tree[k] for k in "cd"}, {k: tree[k] for k in "ab"}
    zero = torch.cat([torch.full((2,), -math.inf).double(), LOG_SIGMA2[2:]])
    for h in (Unroll(), Sweep(), FirstOrder()):
        solver = ProximalGD(0.5 / top(tasks))
        anil = Inner(linear.loss(tasks.s), Shrinkage(parts, LOG_SIGMA2[2:]), free, frozen, solver, 3)
        a, b = h(anil, episodes(tasks)), h(inner(tasks, solver, 3, zero), episodes(tasks))
        assert relative(linear.join(a.phi), linear.join(b.phi)) < 1e-12, type(h)


def test_implicit_gradient_of_a_frozen_body(tasks):
    """d l / d frozen has the cross term of the inner optimum; against central differences, whose optima Newton finds."""
    parts = Partition({"frozen": ["a", "b"], "c": ["c"], "d": ["d"]}, linear.SIZES)
    tree = linear.split(PHI)

    def problem(tree, *how):
        return Inner(
            linear.loss(tasks.s), Shrinkage(parts, LOG_SIGMA2[2:]), {k: tree[k] for k in "cd"}, {k: tree[k] for k in "ab"}, *how,
        )

    found = Implicit(40, 1e-15)(problem(tree, ProximalGD(1 / top(tasks)), 3000), episodes(tasks)).phi["a"]
    for d in range(3):
        values = []
        for sign in (1, -1):
            moved = {k: v.clone() for k, v in tree.items()}
            moved["a"][d] += sign * 1e-5
            p = problem(moved, *NEWTON)
            values.append(float(p.query_loss(p.solve(episodes(tasks)).theta, episodes(tasks)).sum()))
        assert abs((values[0] - values[1]) / 2e-5 - float(found[d])) < 1e-5 * float(found.abs().max())


def test_newton_cg_reaches_the_map_in_one_step(tasks):
    exact = torch.stack([linear.map_estimate(tasks.x[t], tasks.y[t], tasks.s, PHI, LOG_SIGMA2) for t in range(3)])
    path = inner(tasks, NewtonCG(cg_steps=30, tolerance=1e-14), 1).solve(episodes(tasks))
    assert (linear.join(path.theta) - exact).abs().max() < 1e-9
    few = [
        float((linear.join(inner(tasks, NewtonCG(cg_steps=2), k).solve(episodes(tasks)).theta) - exact).norm())
        for k in (1, 4, 12)
    ]
    assert few[0] > few[1] > few[2], few


def test_newton_line_search_never_raises_the_loss():
    torch.manual_seed(0)
    net = MLP().double()
    loss = ModuleLoss(net, lambda out, batch: ((out - batch["y"]) ** 2).sum())
    phi = {k: v.detach() for k, v in net.named_parameters()}
    prior = Shrinkage(Partition.single(phi), torch.zeros(1).double())
    x = torch.linspace(-5, 5, 10).double()[None, :, None].expand(2, -1, -1)
    batch = {"x": x, "y": 3 * x.sin() * torch.tensor([1.0, -1.0])[:, None, None]}
    values = []
    NewtonCG().solve(
        loss, prior, phi, expand(phi, 2), lambda k: batch, 8,
        watch=lambda k, t: values.append(loss(t, batch).detach() + prior.penalty(t, phi)),
    )
    assert all((b <= a + 1e-12).all() for a, b in pairwise(values)) and (values[-1] < 0.7 * values[0]).all()


# ---- Estimators of the sigma gradient


def test_diagonal_estimator_is_its_formula(tasks):
    problem = inner(tasks, ProximalGD(0.5 / top(tasks)), 20)
    path = problem.solve(episodes(tasks))
    found = Displacement("diagonal", probes=0).at(path, problem, tasks.batch(), tasks.batch(True))
    _, g = gradient(linear.loss(tasks.s), path.theta, tasks.batch(True))
    p = linear.precision(LOG_SIGMA2.exp())
    h = torch.diagonal(hessians(tasks), dim1=1, dim2=2)
    each = p * linear.join(g) / (h + p) * (linear.join(path.theta) - PHI)
    expected = torch.stack([v.sum() for v in linear.split(each).values()])
    assert relative(found.log_sigma2, expected) < 1e-12


def seeded(count: int, seed: int = 0) -> list[torch.Generator]:
    return [torch.Generator().manual_seed(1000 * seed + t) for t in range(count)]


def test_a_small_network_has_its_hessian_diagonal_exactly(tasks):
    """Twelve parameters: no probes, whatever their number."""
    problem = inner(tasks, ProximalGD(0.5 / top(tasks)), 20)
    path = problem.solve(episodes(tasks))
    found = flatten(hessian_diagonal(problem, path.theta, tasks.batch(), probes=4))
    assert relative(found, torch.diagonal(hessians(tasks), dim1=1, dim2=2)) < 1e-12


def test_probed_diagonal_its_bias_and_its_spread(tasks, monkeypatch):
    """With 16 probes: unbiased before the clamp, the variance of Hutchinson's formula, and a sigma gradient that is off its
    formula by what that noise makes of the quotient; with 256 probes it is close to it."""
    from tts_meta.meta.hypergrad import displacement

    monkeypatch.setattr(displacement, "SMALL", 0)
    problem = inner(tasks, ProximalGD(0.5 / top(tasks)), 20)
    path = problem.solve(episodes(tasks))
    h = hessians(tasks)
    exact = torch.diagonal(h, dim1=1, dim2=2)
    drawn = torch.stack([
        flatten(hessian_diagonal(replace(problem, rngs=seeded(3, s)), path.theta, tasks.batch(), probes=16))
        for s in range(400)
    ])
    spread = ((h**2).sum(2) - exact**2).div(16).sqrt()
    assert ((drawn.mean(0) - exact).abs() < 4 * spread / 400**0.5).all()
    assert ((drawn.std(0) / spread - 1).abs() < 0.15).all()
    formula = Displacement("diagonal", probes=0).at(path, problem, tasks.batch(), tasks.batch(True)).log_sigma2
    errors = {}
    for probes in (16, 256):
        found = torch.stack([
            Displacement("diagonal", probes=probes).at(
                path, replace(problem, rngs=seeded(3, s)), tasks.batch(), tasks.batch(True)
            ).log_sigma2
            for s in range(60)
        ])
        errors[probes] = relative(found.mean(0), formula), float((found - found.mean(0)).norm(dim=1).mean() / formula.norm())
    (bias, spread16), (less, narrower) = errors[16], errors[256]
    assert 0.05 < bias < 0.25 and 0.3 < spread16 < 0.8, errors
    assert less < 0.06 and narrower < 0.2, errors


def test_no_meta_step_repeats_anothers_probes(tasks, monkeypatch):
    """Signs that recur at every meta-step would make their error a bias of what is learned."""
    from tts_meta.meta.hypergrad import displacement

    monkeypatch.setattr(displacement, "SMALL", 0)
    seen = []

    class Watching(Displacement):
        def __call__(self, problem, e):
            path = problem.solve(e)
            seen.append(flatten(hessian_diagonal(problem, path.theta, e.whole_support(), 2)))
            return super().__call__(problem, e)

    algorithm = Gradient(
        linear.loss(tasks.s), lambda names: linear.partition(), ProximalGD(0.5 / top(tasks)), Watching("diagonal"), 2, sigma=0.5
    )
    state = algorithm.init(lambda i: linear.split(PHI))
    still = {"phi": Group("phi/*", lambda p: torch.optim.SGD(p, lr=0.0))}
    trainer = MetaTrainer(algorithm, state, lambda step, at: episodes(tasks), still, tasks=3, tasks_per_chunk=3)
    trainer.step()
    trainer.step()
    assert relative(seen[0], seen[1]) > 0.05
    assert relative(seen[0][0], seen[0][1]) > 0.05


def test_probes_without_generators_are_refused(tasks, monkeypatch):
    from tts_meta.meta.hypergrad import displacement

    monkeypatch.setattr(displacement, "SMALL", 0)
    problem = inner(tasks, ProximalGD(0.5 / top(tasks)), 2)
    with pytest.raises(ValueError, match="0 generators for 3 tasks"):
        Displacement("diagonal")(problem, episodes(tasks))


def test_all_estimators_agree_when_the_prior_dominates(tasks):
    """Small sigma^2: I + S H S -> I, so the three gradients meet."""
    log_sigma2 = torch.full((4,), math.log(1e-8)).double()
    exact = torch.stack([linear.map_estimate(tasks.x[t], tasks.y[t], tasks.s, PHI, log_sigma2) for t in range(3)])
    problem = inner(tasks, ProximalGD(0.1), 0, log_sigma2)
    found = [
        Displacement(e, 20, 0.0, 0).at(Path(linear.split(exact)), problem, tasks.batch(), tasks.batch(True)).log_sigma2
        for e in ("first_order", "diagonal", "implicit")
    ]
    assert relative(found[1], found[0]) < 1e-4 and relative(found[2], found[0]) < 1e-4


def test_joint_map_is_the_envelope(tasks):
    """d / d log sigma^2 of the least train loss, by central differences, whose optima Newton finds."""
    problem = inner(tasks, ProximalGD(1 / top(tasks)), 3000)
    found = JointMAP()(problem, episodes(tasks)).log_sigma2

    def least(log_sigma2):
        p = inner(tasks, *NEWTON, log_sigma2)
        theta = p.solve(episodes(tasks)).theta
        return float((p.loss(theta, tasks.batch()) - p.prior.log_density(theta, p.phi)).sum())

    for m in range(4):
        e = torch.zeros(4).double()
        e[m] = 1e-5
        assert abs((least(LOG_SIGMA2 + e) - least(LOG_SIGMA2 - e)) / 2e-5 - float(found[m])) < 1e-4


# ---- Leap


def one_quadratic(a=0.8, c=0.3):
    def loss(params, batch):
        return 0.5 * a * ((params["w"] - c) ** 2).sum(1)

    return loss


@pytest.mark.parametrize(("length", "loss_term"), [(False, False), (False, True), (True, False), (True, True)])
def test_oracle_7_leap(length, loss_term):
    a, c, rate, phi, k = 0.8, 0.3, 0.5, 1.5, 6
    r, e0 = 1 - rate * a, 1.5 - 0.3
    prior = Shrinkage(Partition.single(["w"]), torch.full((1,), math.inf).double())
    problem = Inner(one_quadratic(a, c), prior, {"w": torch.tensor([phi]).double()}, {}, ProximalGD(rate), k)
    batch = {"x": torch.zeros(1, 1).double()}
    found = float(PathLength(length, loss_term)(problem, FewShot(batch, batch)).phi["w"])
    points = [phi]
    for _ in range(k):
        points.append(points[-1] - rate * a * (points[-1] - c))
    if not length:
        expected = e0 * (1 - r**k)
        if loss_term:
            expected += 0.5 * a**2 * e0**3 * (1 - r**2) * (1 - r ** (3 * k)) / (1 - r**3)
        else:
            assert abs(found - (phi - points[-1])) < 1e-14  # exactly Reptile
    elif not loss_term:
        expected = k * 1.0
        true_derivative = 1 - r**k  # of the path's length; the pulled-forward one differs, and all K segments count
        assert abs(expected - true_derivative) > 4
    else:
        expected = 0.0
        for x, y in pairwise(points):
            df = 0.5 * a * ((y - c) ** 2 - (x - c) ** 2)
            expected += (-(y - x) - df * a * (x - c)) / math.hypot(df, y - x)
    assert abs(found - expected) < 1e-13


def test_leap_stabiliser_counts_a_rise_as_a_fall():
    """A step so long that the loss rises still pulls phi along it."""
    prior = Shrinkage(Partition.single(["w"]), torch.full((1,), math.inf).double())
    problem = Inner(one_quadratic(), prior, {"w": torch.tensor([1.5]).double()}, {}, ProximalGD(3.0), 1)
    batch = {"x": torch.zeros(1, 1).double()}
    found = float(PathLength(False, True)(problem, FewShot(batch, batch)).phi["w"])
    after = 1.5 - 3 * 0.8 * 1.2
    rise = 0.5 * 0.8 * ((after - 0.3) ** 2 - 1.2**2)
    assert rise > 0 and abs(found - (-(after - 1.5) + rise * 0.8 * 1.2)) < 1e-12


# ---- SVGD and BMAML


def test_svgd_kernel_gradient_and_bandwidth():
    g = torch.Generator().manual_seed(0)
    x = torch.randn(2, 5, 3, generator=g, dtype=torch.float64)
    score = torch.randn(2, 5, 3, generator=g, dtype=torch.float64)
    h = bandwidth(x)
    for t in range(2):
        pairs = [float((x[t, i] - x[t, j]).norm()) for i in range(5) for j in range(i)]
        ordered = sorted(pairs)
        assert abs(float(h[t]) - (0.5 * (ordered[4] + ordered[5])) ** 2 / math.log(5)) < 1e-12
    expected = torch.zeros_like(x)
    for t in range(2):
        for i in range(5):
            for j in range(5):
                a = x[t, j].clone().requires_grad_()
                k = (-((a - x[t, i]) ** 2).sum() / h[t]).exp()
                (dk,) = torch.autograd.grad(k, a)
                expected[t, i] += (k.detach() * score[t, j] + dk) / 5
    assert (direction(x, score) - expected).abs().max() < 1e-13


def test_svgd_two_particles_rest_where_the_closed_form_says():
    x = torch.tensor([[[0.3], [-0.2]]]).double()
    h = torch.ones(1).double()
    for _ in range(4000):
        x = x + 0.1 * direction(x, -x, h)
    assert (x.abs() - math.sqrt(0.25 * math.log(1 + 4))).abs().max() < 1e-12
    assert abs(float(x[0, 0, 0]) - 0.634318) < 1e-6


def bmaml(tasks, particles, **more) -> BMAML:
    return BMAML(linear.loss(tasks.s), Partition.single, rate=0.3 / top(tasks), particles=particles, **more)


def test_oracle_8_one_particle_is_maml_like(tasks):
    """The chaser of one particle is K gradient steps; its gradient 2 (I - alpha L)^n (chaser - leader)."""
    algorithm = bmaml(tasks, 1, steps=3, leader_steps=2, precision=0.7)
    state = algorithm.init(lambda i: linear.split(PHI))
    found = algorithm.meta_grads(state, episodes(tasks), [])
    expected = torch.zeros(12).double()
    for t in range(3):
        both = torch.cat([tasks.x[t], tasks.xq[t]]), torch.cat([tasks.y[t], tasks.yq[t]])
        theta = PHI.clone()
        precision = hessians(tasks)[t] + 0.7 * torch.eye(12).double()
        for _ in range(3):
            theta = theta - algorithm.rate * (precision @ theta - tasks.x[t].T @ tasks.y[t] / tasks.s**2)
        leader = theta.clone()
        for _ in range(2):
            g = both[0].T @ (both[0] @ leader - both[1]) / tasks.s**2 + 0.7 * leader
            leader = leader - algorithm.rate * g
        r = torch.linalg.matrix_power(torch.eye(12).double() - algorithm.rate * precision, 3)
        expected += 2 * r.T @ (theta - leader)
    got = torch.cat([found.grads[f"particles/{k}"][0] for k in linear.SIZES])
    assert relative(got, expected) < 1e-12


def test_bmaml_no_leader_steps_no_loss(tasks):
    algorithm = bmaml(tasks, 3, steps=2, leader_steps=0)
    g = torch.Generator().manual_seed(1)
    state = algorithm.init(lambda i: linear.split(PHI + torch.randn(12, generator=g, dtype=torch.float64)))
    found = algorithm.meta_grads(state, episodes(tasks), [])
    assert found.metrics["chaser"] == 0 and all((v == 0).all() for v in found.grads.values())


def test_bmaml_leader_at_rest_gives_no_gradient(tasks):
    """Particles at the fixed point of SVGD on a posterior that the query data does not change."""
    empty = {k: v[:, :0] for k, v in tasks.batch(True).items()}
    algorithm = bmaml(tasks, 2, steps=1, leader_steps=1, precision=300.0)
    one = FewShot({k: v[:1] for k, v in tasks.batch().items()}, {k: v[:1] for k, v in empty.items()})
    state = {f"particles/{k}": torch.stack([v, v + 0.3]) for k, v in linear.split(PHI).items()}
    before = algorithm.meta_grads(state, one, [])
    assert before.metrics["chaser"] > 1e-3 and max(float(v.abs().max()) for v in before.grads.values()) > 1e-2
    like = linear.split(PHI)
    x = flatten({k: state[f"particles/{k}"] for k in like}).unsqueeze(0)
    rest = algorithm._svgd(x, like, {}, one.support, 6000, graph=False)
    state = {f"particles/{k}": v for k, v in unflatten(rest[0], like).items()}
    found = algorithm.meta_grads(state, one, [])
    assert found.metrics["chaser"] < 1e-10 and all(v.abs().max() < 1e-4 for v in found.grads.values())


# ---- Gaussians, Laplace, evidence


def test_oracle_9_kl_and_gamma():
    g = torch.Generator().manual_seed(0)
    m1, m2, s1, s2 = (torch.randn(2, 5, generator=g, dtype=torch.float64) for _ in range(4))
    q, p = torch.distributions.Normal(m1, s1.exp()), torch.distributions.Normal(m2, s2.exp())
    found = kl_diagonal({"w": m1}, {"w": s1}, {"w": m2}, {"w": s2})
    assert (found - torch.distributions.kl_divergence(q, p).sum(1)).abs().max() < 1e-12
    assert kl_diagonal({"w": m1}, {"w": s1}, {"w": m1}, {"w": s1}).abs().max() == 0
    x = s1.exp()
    reference = torch.distributions.Gamma(*torch.tensor([2.0, 0.2], dtype=torch.float64)).log_prob(x)
    assert (gamma_log_density(x, 2.0, 0.2) - reference).abs().max() < 1e-12


class Linear(torch.nn.Module):
    """y = X theta as a module with an output, one weight of twelve."""

    def __init__(self):
        super().__init__()
        self.w = torch.nn.Parameter(PHI.clone())

    def forward(self, batch):
        return (batch["x"] @ self.w)[:, None]


def test_oracle_10_laplace_is_the_evidence(tasks):
    """l_train(theta_hat) + 1/2 logdet(A / 2 pi) = -log N(y | X phi, X Sigma X' + s^2 I), for exact and Gauss-Newton."""
    s, sigma2 = tasks.s, 0.6
    loss = ModuleLoss(Linear().double(), lambda out, b: 0.5 * ((out[:, 0] - b["y"]) ** 2).sum() / s**2)
    prior = Shrinkage(Partition.single(["w"]), torch.tensor([math.log(sigma2)], dtype=torch.float64))
    for t in range(3):
        x, y = tasks.x[t], tasks.y[t]
        a = x.T @ x / s**2 + torch.eye(12).double() / sigma2
        theta = torch.linalg.solve(a, x.T @ y / s**2 + PHI / sigma2)
        params = {"w": theta[None].requires_grad_()}
        batch = {"x": x[None], "y": y[None]}
        noise = 0.5 * len(y) * math.log(2 * math.pi * s**2)
        train = loss(params, batch) - prior.log_density(params, {"w": PHI}) + noise
        cov = sigma2 * x @ x.T + s**2 * torch.eye(len(y)).double()
        evidence = -torch.distributions.MultivariateNormal(x @ PHI, cov).log_prob(y)
        for log_det in (exact_log_det, gauss_newton):
            laplace = train + 0.5 * (log_det(loss, prior, params, batch, {}) - 12 * math.log(2 * math.pi))
            assert abs(float(laplace.detach()) - float(evidence)) < 1e-10


def test_laplace_hypergradient_descends_the_evidence_without_its_penalty(tasks):
    """Query = support, eta = 1/2, exact curvature, at the optimum: -log evidence - 1/2 |theta - phi|^2 / sigma^2 up to a
    constant that is the same for every task."""
    s, sigma2 = tasks.s, 0.6
    loss = ModuleLoss(Linear().double(), lambda out, b: 0.5 * ((out[:, 0] - b["y"]) ** 2).sum() / s**2)
    prior = Shrinkage(Partition.single(["w"]), torch.tensor([math.log(sigma2)], dtype=torch.float64))
    problem = Inner(loss, prior, {"w": PHI}, {}, ProximalGD(1 / top(tasks)), 6000)
    left, with_penalty = [], []
    for t in range(3):
        x, y = tasks.x[t], tasks.y[t]
        one = {"x": x[None], "y": y[None]}
        metrics = UnrollLaplace("exact", 0.5)(replace(problem, steps=0), FewShot(one, one)).metrics
        theta = problem.solve(FewShot(one, one)).theta
        value = float(loss(theta, one)) + 0.5 * metrics["log_det"]  # the curvature of a quadratic is the same everywhere
        cov = sigma2 * x @ x.T + s**2 * torch.eye(len(y)).double()
        evidence = -float(torch.distributions.MultivariateNormal(x @ PHI, cov).log_prob(y))
        left.append(evidence - float(prior.penalty(theta, {"w": PHI})) - value)
        with_penalty.append(evidence - value)
    assert max(left) - min(left) < 1e-8, left
    assert max(with_penalty) - min(with_penalty) > 0.1, with_penalty


def small_regression():
    """A small network's loss, parameters and one task. At a generic point the ReLU network is smooth."""
    torch.manual_seed(1)
    net = MLP(width=5, depth=1).double()
    loss = ModuleLoss(net, lambda out, b: 0.5 * ((out - b["y"]) ** 2).sum())
    phi = {k: v.detach().clone() for k, v in net.named_parameters()}
    x = torch.linspace(-2, 2, 6).double()[None, :, None]
    e = FewShot({"x": x, "y": x.sin()}, {"x": x + 0.1, "y": x.cos()})
    return loss, phi, e


@pytest.mark.parametrize("curvature", ["exact", "gauss_newton", "diagonal"])
def test_laplace_gradient_by_central_differences(curvature):
    loss, phi, e = small_regression()

    def problem(phi):
        return Inner(loss, Shrinkage(Partition.single(phi), torch.zeros(1).double()), phi, {}, ProximalGD(0.02), 2)

    h = UnrollLaplace(curvature, 0.3)
    found = h(problem(phi), e)
    name = "fc1.weight"
    for d in range(3):
        values = []
        for sign in (1, -1):
            moved = {k: v.clone() for k, v in phi.items()}
            moved[name][d, 0] += sign * 1e-5
            m = h(problem(moved), e).metrics
            values.append(m["query_loss"] + 0.3 * m["log_det"])
        assert abs((values[0] - values[1]) / 2e-5 - float(found.phi[name][d, 0])) < 1e-5 * (1 + abs(values[0]))


def test_zero_eta_is_maml(tasks):
    loss, phi, e = small_regression()
    p = Inner(loss, Shrinkage(Partition.single(phi), torch.zeros(1).double()), phi, {}, ProximalGD(0.02), 2)
    a, b = UnrollLaplace("gauss_newton", 0.0)(p, e).phi, Unroll()(p, e).phi
    assert all((a[k] - b[k]).abs().max() < 1e-14 for k in a)


def test_versas_loss_is_the_evidence_in_the_limit_and_above_it_before():
    """The loss that VERSA descends, -log of a Monte-Carlo mean of the likelihood (training/fewshot/regression.py), is on
    average above the exact -log p of a linear-Gaussian task, less so with more samples (Jensen)."""
    from tts_meta.training.fewshot.regression import regression_criterion

    g = torch.Generator().manual_seed(0)
    n, s = 5, 0.4
    x = torch.randn(n, 3, generator=g, dtype=torch.float64)
    y = x @ torch.randn(3, generator=g, dtype=torch.float64)
    cov = x @ x.T + s**2 * torch.eye(n).double()
    exact = -float(torch.distributions.MultivariateNormal(torch.zeros(n).double(), cov).log_prob(y))
    criterion, constant = regression_criterion("sum", s), n * 0.5 * math.log(2 * math.pi)
    means = []
    for count in (10, 1000):
        theta = torch.randn(400, count, 3, generator=g, dtype=torch.float64)
        losses = [float(criterion((t @ x.T)[..., None], {"y": y[:, None]})) + constant for t in theta]
        means.append(sum(losses) / len(losses))
    assert means[0] > means[1] > exact - 0.02 and means[0] - means[1] > 0.5 and means[1] - exact < 0.5, (means, exact)


# ---- ABML


def small_abml(**more):
    torch.manual_seed(2)
    net = MLP(width=4, depth=1).double()
    loss = ModuleLoss(net, lambda out, b: ((out - b["y"]) ** 2).sum())
    x = torch.linspace(-2, 2, 6).double()[None, :, None].expand(2, -1, -1)
    e = FewShot({"x": x, "y": x.sin()}, {"x": x + 0.1, "y": x.cos()})
    return net, loss, e, ABML(loss, net.noise, rate=0.01, **more)


def test_zero_variance_abml_is_maml():
    """sd -> 0, no KL and no hyper-prior: the gradient of mu is MAML's on support and query data together."""
    net, loss, e, algorithm = small_abml(steps=3, start_sd=1e-9, kl_weight=0.0, outer_kl=0.0, prior_tasks=math.inf)
    state = algorithm.init(lambda i: dict(net.named_parameters()))
    rngs = [torch.Generator().manual_seed(i) for i in range(2)]
    found = algorithm.meta_grads(state, e, rngs)
    phi = {k: v.detach() for k, v in net.named_parameters()}
    both = FewShot(e.support_batch, {k: torch.cat([e.support_batch[k], e.query_batch[k]], 1) for k in ("x", "y")})
    none = Shrinkage(Partition.single(phi), torch.full((1,), math.inf).double())
    maml = Unroll()(Inner(loss, none, phi, {}, ProximalGD(0.01), 3), both)
    assert all(relative(found.grads[f"phi/{k}"], maml.phi[k]) < 1e-6 for k in phi)


def test_local_reparametrisation_has_the_moments_of_sampled_weights():
    net, loss, e, algorithm = small_abml()
    phi = {k: v.detach() for k, v in net.named_parameters()}
    sd = {k: torch.full_like(v, 0.3) for k, v in phi.items()}
    g = torch.Generator().manual_seed(0)
    x = torch.linspace(-2, 2, 6).double()[:, None]
    layer, n = {k: v for k, v in phi.items() if k.startswith("fc1")}, 20000
    w = layer["fc1.weight"] + sd["fc1.weight"] * torch.randn(n, 4, 1, generator=g, dtype=torch.float64)
    b = layer["fc1.bias"] + sd["fc1.bias"] * torch.randn(n, 4, generator=g, dtype=torch.float64)
    sampled = x @ w.transpose(1, 2) + b[:, None]
    from tts_meta.nets.layers import dense

    eps = torch.randn(n, 6, 4, generator=g, dtype=torch.float64)
    batch = {f"sd/{k}": v for k, v in sd.items()}
    local = torch.stack([dense(net.fc1, "fc1", x, {**batch, "eps/fc1": noise}) for noise in eps[:4000]]).detach()
    assert (sampled.mean(0) - local.mean(0)).abs().max() < 0.05
    assert (sampled.std(0) / local.std(0) - 1).abs().max() < 0.06


def test_oracle_9_mean_field_optimum(tasks):
    """Gradient descent on the variational inner loss (exact expectation) ends at mean = MAP, variance = 1 / diag A."""
    p = linear.precision(LOG_SIGMA2.exp())
    a = hessians(tasks)[0] + torch.diag(p)
    exact = linear.map_estimate(tasks.x[0], tasks.y[0], tasks.s, PHI, LOG_SIGMA2)
    mean, log_sd = PHI.clone().requires_grad_(), torch.full((12,), -1.0).double().requires_grad_()
    prior_sd = (-0.5 * p.log())[None]
    optimiser = torch.optim.LBFGS([mean, log_sd], max_iter=500, tolerance_grad=1e-12, tolerance_change=1e-14)

    def closure():
        optimiser.zero_grad()
        error = tasks.y[0] - tasks.x[0] @ mean
        data = 0.5 * (error @ error + ((tasks.x[0] ** 2) @ (2 * log_sd).exp()).sum()) / tasks.s**2
        total = data + kl_diagonal({"w": mean[None]}, {"w": log_sd[None]}, {"w": PHI[None]}, {"w": prior_sd}).sum()
        total.backward()
        return total

    for _ in range(5):
        optimiser.step(closure)
    assert (mean.detach() - exact).abs().max() < 1e-6
    assert ((2 * log_sd.detach()).exp() * torch.diagonal(a) - 1).abs().max() < 1e-6


# ---- Batching


@pytest.mark.parametrize("h", [
    Unroll(), Sweep(), FirstOrder(), Implicit(6), Displacement("first_order"), Displacement("diagonal"),
    Displacement("implicit"), JointMAP(), PathLength(),
], ids=lambda h: f"{type(h).__name__}-{getattr(h, 'sigma_gradient', '')}")
def test_tasks_together_are_tasks_one_by_one(tasks, h, monkeypatch):
    from tts_meta.meta.hypergrad import displacement

    monkeypatch.setattr(displacement, "SMALL", 0)
    problem = inner(tasks, ProximalGD(0.5 / top(tasks)), 4)
    together = h(replace(problem, rngs=seeded(3)), episodes(tasks))
    alone = None
    for t in range(3):
        one = FewShot(*({k: v[t : t + 1] for k, v in tasks.batch(q).items()} for q in (False, True)))
        found = h(replace(problem, rngs=seeded(3)[t : t + 1]), one)
        alone = found if alone is None else alone.add(found)
    for k, v in together.grads.items():
        assert (v - alone.grads[k]).abs().max() <= 1e-10 * (1 + v.abs().max()), k


def test_vector_lambda_is_not_ignored(tasks):
    """Changing one module's sigma moves that module's part of the implicit gradient."""
    other = LOG_SIGMA2.clone()
    other[0] += 2
    a, b = (
        Implicit(30)(inner(tasks, ProximalGD(1 / top(tasks)), 500, s), episodes(tasks)).phi["a"] for s in (LOG_SIGMA2, other)
    )
    assert relative(a, b) > 0.05


def test_adam_without_a_prior_is_torchs_adam(tasks):
    """Infinite sigma, 6 steps: the moments, their bias corrections and epsilon are those of torch.optim.Adam."""
    p = inner(tasks, ProximalAdam(0.05, 0.8, 0.95, whiten=False), 6, torch.full_like(LOG_SIGMA2, math.inf))
    found = flatten(p.solve(episodes(tasks)).theta)
    theirs = torch.nn.Parameter(PHI.expand(3, -1).clone())
    optimiser = torch.optim.Adam([theirs], 0.05, (0.8, 0.95), 1e-8)
    for _ in range(6):
        loss = p.loss(unflatten(theirs, linear.split(PHI)), tasks.batch()).sum()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    assert (found - theirs.detach()).abs().max() < 1e-12


def test_whitened_adams_first_step_is_the_rate_in_units_of_sigma(tasks):
    """From phi the moments give rate * sign in eps = (theta - phi) / sigma, which the proximal operator then shrinks by
    1 + the effective step rate / |sigma g|."""
    p = inner(tasks, ProximalAdam(0.05), 1)
    found = flatten(p.solve(episodes(tasks)).theta)
    start = expand(linear.split(PHI), 3)
    g = flatten(gradient(p.loss, start, tasks.batch())[1])
    sigma = p.prior.along(start, "sigma")
    eps = -0.05 * g.sign() / (1 + 0.05 / (sigma * g).abs())
    assert (found - (PHI + sigma * eps)).abs().max() < 1e-8


def test_gradient_algorithm_learns_and_clamps():
    """`relative` starts sigma at a share of each module's RMS, `bounds` clamp it there."""
    net = MLP()
    algorithm = Gradient(
        ModuleLoss(net, lambda out, b: ((out - b["y"]) ** 2).mean()), Partition.by_layer, ProximalGD(0.1), Unroll(), 1,
        relative=0.5, floor=0.1, ceiling=2.0,
    )
    state = algorithm.init(lambda i: dict(net.named_parameters()))
    low, high = algorithm.bounds(state)["log_sigma2"]
    assert torch.allclose(state["log_sigma2"] - low, torch.full((3,), 2 * math.log(5)), atol=1e-5)
    assert torch.allclose(high - state["log_sigma2"], torch.full((3,), 2 * math.log(4)), atol=1e-5)


def test_large_batches_go_a_task_at_a_time_with_the_same_gradient(tasks, monkeypatch):
    """From `LARGE` numbers a task on, first-order gradients are taken one task after the other: nothing else changes."""
    from tts_meta.meta import loss as module

    problem = inner(tasks, ProximalGD(0.5 / top(tasks)), 3)
    ways = (Unroll(), Sweep(), FirstOrder(), Implicit(6), Displacement())
    together = [h(problem, episodes(tasks)).grads for h in ways]
    monkeypatch.setattr(module, "LARGE", 10)
    alone = [h(problem, episodes(tasks)).grads for h in ways]
    for a, b in zip(together, alone, strict=True):
        assert all((a[k] - b[k]).abs().max() <= 1e-11 * (1 + b[k].abs().max()) for k in a)

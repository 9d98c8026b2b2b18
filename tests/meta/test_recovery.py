"""Known sigmas are recovered from linear-Gaussian tasks, and what the likelihood's scale does to them."""

from __future__ import annotations

import pytest
import torch

from tests.meta import linear
from tts_meta.data.episodes import FewShot
from tts_meta.meta.hypergrad import displacement
from tts_meta.meta.hypergrad.base import Inner
from tts_meta.meta.hypergrad.displacement import Displacement, JointMAP
from tts_meta.meta.hypergrad.implicit import Implicit
from tts_meta.meta.loss import gradient
from tts_meta.meta.prior import Shrinkage
from tts_meta.meta.solvers.base import Path
from tts_meta.meta.solvers.gd import ProximalGD

SIGMA = (0.05, 0.2, 0.6, 1.5)
TRUE = 2 * torch.tensor(SIGMA).double().log()


def learn(tasks: linear.Tasks, estimator: str, scale: float = 1.0, steps: int = 250) -> torch.Tensor:
    """log sigma^2 by sigma-Reptile with exact inner solutions; the assumed noise variance is `scale` times the true."""
    s = tasks.s * scale**0.5
    loss, hypergrad = linear.loss(s), Displacement(estimator, cg_steps=14)
    rngs = [torch.Generator().manual_seed(t) for t in range(len(tasks.x))]
    log_sigma2 = torch.full((4,), -2.0).double()
    phi = torch.zeros(12).double()
    m, v = torch.zeros(4).double(), torch.zeros(4).double()
    gram = torch.einsum("tnd,tne->tde", tasks.x, tasks.x) / s**2
    moment = torch.einsum("tnd,tn->td", tasks.x, tasks.y) / s**2
    for k in range(1, steps + 1):
        p = linear.precision(log_sigma2.exp())
        theta = torch.linalg.solve(gram + torch.diag(p), moment + p * phi)
        prior = Shrinkage(linear.partition(), log_sigma2)
        found = linear.at(
            hypergrad, Path(linear.split(theta)), loss, prior, linear.split(phi), tasks.batch(), tasks.batch(True), rngs
        )
        phi = phi - linear.join(found.phi) / found.tasks
        g = found.log_sigma2 / found.tasks
        m, v = 0.9 * m + 0.1 * g, 0.95 * v + 0.05 * g * g
        rate = 0.1 if k < 0.7 * steps else 0.03
        log_sigma2 = log_sigma2 - rate * m / (1 - 0.9**k) / ((v / (1 - 0.95**k)).sqrt() + 1e-12)
    return log_sigma2


@pytest.mark.parametrize("estimator", ["first_order", "diagonal", "implicit"])
def test_sigma_is_recovered_in_order_and_in_value(estimator):
    tasks = linear.make(1, tasks=1000, n=10, sigma=SIGMA)
    found = learn(tasks, estimator)
    assert (found.diff() > 0.5).all(), found
    error = (found - TRUE).abs()
    # The smallest is below the noise's resolution; the implicit gradient of the largest is flat.
    assert (error[1:3] < 0.3).all(), error
    assert error[3] < (1.5 if estimator == "implicit" else 0.3), error


def test_a_probed_diagonal_learns_the_sigmas_of_the_exact_one(monkeypatch):
    """Sixteen fresh probes a meta-step: their noise averages out over the steps, the quotient's bias is small."""
    tasks = linear.make(1, tasks=300, n=10, sigma=SIGMA)
    exact = learn(tasks, "diagonal", steps=150)
    monkeypatch.setattr(displacement, "SMALL", 0)
    probed = learn(tasks, "diagonal", steps=150)
    assert 0 < (probed - exact).abs().max() < 0.25, (probed, exact)


def test_error_falls_with_the_number_of_tasks():
    errors = []
    for count in (30, 1000):
        each = [(learn(linear.make(s, count, 10, SIGMA), "first_order", steps=200) - TRUE).abs()[1:].mean()
                for s in (1, 2, 3)]
        errors.append(float(torch.stack(each).mean()))
    assert errors[1] < 0.5 * errors[0] and errors[1] < 0.2, errors


def test_oracle_13_assumed_noise_shifts_every_log_sigma2_alike():
    """Only Sigma / s^2 is identified: f times the noise variance shifts log sigma^2 by log f."""
    tasks = linear.make(1, tasks=300, n=10, sigma=SIGMA)
    base = learn(tasks, "first_order", steps=400)
    for f in (0.5, 2.0):
        shifted = learn(tasks, "first_order", scale=f, steps=400)
        assert ((shifted - base)[1:] - torch.tensor(f).log()).abs().max() < 0.03, shifted - base


class Exact:
    """The inner optimum of the linear tasks, in closed form."""

    def solve(self, loss, prior, phi, theta, batches, steps, *more, **keys):
        x, y, p = batches(0)["x"], batches(0)["y"], linear.precision(prior.log_sigma2.exp())
        moment = torch.einsum("tnd,tn->td", x, y) / 0.5**2 + p * linear.join(phi)
        return Path(linear.split(torch.linalg.solve(x.transpose(1, 2) @ x / 0.5**2 + torch.diag(p), moment)))


def test_joint_map_sigma_collapses():
    """The negative control (workshop version, Prop. 1): JointMAP's own gradient, which follows the train density, drives
    the small sigmas to zero; the query loss (Displacement) on the same tasks does not."""
    tasks = linear.make(1, tasks=100, n=10, sigma=SIGMA)
    found = {}
    for name, hypergrad in (("joint", JointMAP()), ("query", Displacement("first_order"))):
        log_sigma2 = TRUE.clone()
        for _ in range(300):
            prior = Shrinkage(linear.partition(), log_sigma2)
            problem = Inner(linear.loss(tasks.s), prior, linear.split(torch.zeros(12).double()), {}, Exact(), 1)
            g = hypergrad(problem, FewShot(tasks.batch(), tasks.batch(True))).log_sigma2 / 100
            log_sigma2 = log_sigma2 - 0.1 * g.clamp(-1, 1)
        found[name] = log_sigma2
    assert found["joint"][0] < -9 and found["joint"][1] < -9, found
    assert (found["query"] - TRUE)[1:].abs().max() < 1, found


def learn_jointly(tasks: linear.Tasks, steps: int = 500) -> torch.Tensor:
    """log sigma^2 when phi and sigma both follow the implicit gradient of the query loss (eq. 7, sigma-iMAML)."""
    loss, hypergrad = linear.loss(tasks.s), Implicit(cg_steps=14)
    state = {"phi": torch.zeros(12).double(), "s": torch.full((4,), -2.0).double()}
    m, v = ({k: torch.zeros_like(x) for k, x in state.items()} for _ in range(2))
    gram = torch.einsum("tnd,tne->tde", tasks.x, tasks.x) / tasks.s**2
    moment = torch.einsum("tnd,tn->td", tasks.x, tasks.y) / tasks.s**2
    for k in range(1, steps + 1):
        p = linear.precision(state["s"].exp())
        theta = torch.linalg.solve(gram + torch.diag(p), moment + p * state["phi"])
        prior = Shrinkage(linear.partition(), state["s"])
        found = linear.at(
            hypergrad, Path(linear.split(theta)), loss, prior, linear.split(state["phi"]), tasks.batch(), tasks.batch(True)
        )
        for key, g in (("phi", linear.join(found.phi)), ("s", found.log_sigma2)):
            g = g / found.tasks
            m[key], v[key] = 0.9 * m[key] + 0.1 * g, 0.95 * v[key] + 0.05 * g * g
            rate = {"phi": 0.02, "s": 0.1}[key] * (1.0 if k < 0.7 * steps else 0.2)
            state[key] = state[key] - rate * m[key] / (1 - 0.9**k) / ((v[key] / (1 - 0.95**k)).sqrt() + 1e-12)
    return state["s"]


def test_sigma_imaml_recovers_the_middle_modules_and_the_order():
    """With T = 1000 tasks the middle modules are within 0.3; plain Adam stops short on the largest
    (its gradient is flat) and the smallest is below the noise's resolution."""
    found = learn_jointly(linear.make(1, tasks=1000, n=10, sigma=SIGMA))
    assert (found.diff() > 0.5).all(), found
    assert ((found - TRUE).abs()[1:3] < 0.3).all() and (found - TRUE).abs()[3] < 1.5, found - TRUE


def test_order_is_right_at_a_hundred_tasks():
    for seed in range(5):
        found = learn(linear.make(seed, tasks=100, n=10, sigma=SIGMA), "first_order", steps=200)
        assert (found.diff() > 0).all(), found


def test_a_truncated_inner_loop_inflates_large_sigmas():
    """Short loops use early stopping as the regulariser: at K = 5 the largest sigma is off by much more than at K = 100,
    and the order stays right."""
    tasks = linear.make(2, tasks=200, n=20, sigma=SIGMA)
    phi = torch.zeros(12).double()
    top = float(torch.linalg.eigvalsh(torch.einsum("tnd,tne->tde", tasks.x, tasks.x) / tasks.s**2).max())
    errors, norms = {}, {}
    for steps in (5, 100):
        log_sigma2 = torch.full((4,), -2.0).double()
        m, v = torch.zeros(4).double(), torch.zeros(4).double()
        for k in range(1, 121):
            prior = Shrinkage(linear.partition(), log_sigma2)
            inner = Inner(linear.loss(tasks.s), prior, linear.split(phi), {}, ProximalGD(1 / top), steps)
            path = inner.solve(FewShot(tasks.batch(), tasks.batch(True)))
            g = Displacement("implicit", 14).at(path, inner, tasks.batch(), tasks.batch(True)).log_sigma2 / 200
            m, v = 0.9 * m + 0.1 * g, 0.95 * v + 0.05 * g * g
            log_sigma2 = log_sigma2 - 0.1 * m / (1 - 0.9**k) / ((v / (1 - 0.95**k)).sqrt() + 1e-12)
        errors[steps] = log_sigma2 - TRUE
        _, data = gradient(inner.loss, path.theta, tasks.batch())
        total = {n: data[n] + prior.precision(n) * (path.theta[n] - inner.phi[n]) for n in data}
        norms[steps] = float(linear.join(total).norm(dim=1).mean())
        assert ((errors[steps] + TRUE).diff() > 0).all(), errors
    assert norms[100] < 0.3 * norms[5], norms
    assert errors[5][3] > errors[100][3] + 0.3 and errors[5].abs().mean() > errors[100].abs().mean() + 0.5, errors

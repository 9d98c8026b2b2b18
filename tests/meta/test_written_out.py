"""The Bayesian members' objectives written out in plain torch, a task at a time, for a small network: values and the gradients
of every meta-parameter agree (float64, 1e-10)."""

from __future__ import annotations

import math

import pytest
import torch
from torch.distributions import Gamma, Normal, kl_divergence
from torch.func import functional_call
from torch.nn import functional as F

from tts_meta.data.episodes import FewShot
from tts_meta.meta.algorithms.abml import ABML
from tts_meta.meta.algorithms.platipus import Platipus
from tts_meta.meta.algorithms.taml import BayesianTAML
from tts_meta.meta.algorithms.versa import Versa
from tts_meta.meta.loss import ModuleLoss
from tts_meta.meta.tree import pick
from tts_meta.nets.amortised import AmortisedRegressor
from tts_meta.nets.mlp import MLP
from tts_meta.training.fewshot.images import classification_criterion
from tts_meta.training.fewshot.regression import regression_criterion

TASKS, RATE = 3, 0.02


def generators():
    return [torch.Generator().manual_seed(10 + t) for t in range(TASKS)]


def leaves(state):
    return {k: v.detach().clone().requires_grad_() for k, v in state.items()}


def agree(algorithm, state, episodes, total, at):
    """The gradients of the written-out `total` at the leaves `at` are the algorithm's."""
    found = algorithm.meta_grads(state, episodes, generators())
    losses, _ = algorithm.objective(leaves(state), episodes, generators())
    assert abs(float(losses.detach().sum()) - float(total.detach())) < 1e-10 * (1 + abs(float(total.detach())))
    exact = torch.autograd.grad(total, list(at.values()), allow_unused=True)
    for (k, v), g in zip(at.items(), exact, strict=True):
        g = torch.zeros_like(v) if g is None else g
        assert (found.grads[k] - g).abs().max() < 1e-10 * (1 + g.abs().max()), k


def kl(mean_q, sd_q, mean_p, sd_p):
    return sum(kl_divergence(Normal(mean_q[k], sd_q[k]), Normal(mean_p[k], sd_p[k])).sum() for k in mean_q)


@pytest.fixture
def regression():
    """Network, loss and three sinusoid tasks with unequal support and query."""
    torch.manual_seed(4)
    net = MLP(width=4, depth=1).double()
    x = torch.rand(TASKS, 5, 1).double() * 4 - 2
    xq = torch.rand(TASKS, 3, 1).double() * 4 - 2
    phase = torch.arange(TASKS)[:, None, None]
    e = FewShot({"x": x, "y": (x + phase).sin()}, {"x": xq, "y": (xq + phase).sin()})
    return net, ModuleLoss(net, lambda out, b: ((out - b["y"]) ** 2).sum()), e


def forward(p, x):
    return F.linear(F.relu(F.linear(x, p["fc1.weight"], p["fc1.bias"])), p["head.weight"], p["head.bias"])


def squared(p, batch, t):
    return ((forward(p, batch["x"][t]) - batch["y"][t]) ** 2).sum()


def grads(loss, p):
    return dict(zip(p, torch.autograd.grad(loss, list(p.values()), create_graph=True), strict=True))


def test_platipus(regression):
    net, loss, e = regression
    algorithm = Platipus(loss, RATE, steps=2, kl_weight=0.3)
    state = algorithm.init(lambda i: dict(net.named_parameters()))
    state["log_gamma"] = torch.tensor([0.03, 0.07]).double().log()
    for k in list(state):
        if k.startswith("log_sd_q/"):
            state[k] = state[k] + 0.4
    at = leaves(state)
    mu, sd, sd_q = pick(at, "phi"), pick(at, "log_sd"), pick(at, "log_sd_q")
    gamma_p, gamma_q = at["log_gamma"].exp()
    total = 0.0
    for t, rng in enumerate(generators()):
        noise = {k: torch.randn(v.shape, generator=rng, dtype=v.dtype) for k, v in mu.items()}
        g_q, g_p = grads(squared(mu, e.query(), t), mu), grads(squared(mu, e.whole_support(), t), mu)
        mean_q = {k: mu[k] - gamma_q * g_q[k] for k in mu}
        mean_p = {k: mu[k] - gamma_p * g_p[k] for k in mu}
        theta = {k: mean_q[k] + sd_q[k].exp() * noise[k] for k in mu}
        for _ in range(2):
            g = grads(squared(theta, e.whole_support(), t), theta)
            theta = {k: theta[k] - RATE * g[k] for k in theta}
        spread_q, spread_p = ({k: v.exp() for k, v in s.items()} for s in (sd_q, sd))
        total = total + squared(theta, e.query(), t) + 0.3 * kl(mean_q, spread_q, mean_p, spread_p)
    agree(algorithm, state, e, total, at)


def test_abml(regression):
    net, loss, e = regression
    algorithm = ABML(loss, net.noise, RATE, rate_sd=0.05, steps=3, start_sd=0.2, kl_weight=0.3, outer_kl=0.7, prior_tasks=50)
    state = algorithm.init(lambda i: dict(net.named_parameters()))
    at = leaves(state)
    mu, log_sd = pick(at, "phi"), pick(at, "log_sd")

    def expected(mean, spread, batch, t, rng):
        x, variance = batch["x"][t], None
        for layer in ("fc1", "head"):
            w, b = f"{layer}.weight", f"{layer}.bias"
            variance = x**2 @ (2 * spread[w]).exp().T + (2 * spread[b]).exp()
            eps = torch.randn(variance.shape, generator=rng, dtype=variance.dtype)
            x = x @ mean[w].T + mean[b] + variance.sqrt() * eps
            x = F.relu(x) if layer == "fc1" else x
        return ((x - batch["y"][t]) ** 2).sum()

    def spread_of(log):
        return {k: v.exp() for k, v in log.items()}

    hyper = -sum(Normal(0.0, 1.0).log_prob(v).sum() for v in mu.values())
    gamma = Gamma(*torch.tensor([1.0, 0.01], dtype=torch.float64))
    hyper = hyper - sum(gamma.log_prob((-2 * v).exp()).sum() for v in log_sd.values())
    total = 0.0
    for t, rng in enumerate(generators()):
        mean, spread = mu, log_sd
        for _ in range(3):
            inner = expected(mean, spread, e.whole_support(), t, rng)
            inner = inner + 0.3 * kl(mean, spread_of(spread), mu, spread_of(log_sd))
            both = torch.autograd.grad(inner, [*mean.values(), *spread.values()], create_graph=True)
            mean, spread = (
                {k: mean[k] - RATE * g for k, g in zip(mu, both[: len(mu)], strict=True)},
                {k: spread[k] - 0.05 * g for k, g in zip(mu, both[len(mu) :], strict=True)},
            )
        data = expected(mean, spread, e.query(), t, rng) + expected(mean, spread, e.whole_support(), t, rng)
        total = total + data + 0.7 * kl(mean, spread_of(spread), mu, spread_of(log_sd)) + hyper / 50
    agree(algorithm, state, e, total, at)


class Encoder:
    """A set encoder of two numbers a channel: mean and log-sd, moved by the mean of the support inputs."""

    def outputs(self, params, batch):
        return params["e"] + 0.1 * batch["x"].mean((1, 2))[:, None, None]


def test_bayesian_taml():
    torch.manual_seed(5)
    ways, count = 3, 4
    net = MLP(width=4, depth=1, inputs=2, outputs=ways).double()
    loss = ModuleLoss(net, classification_criterion("mean"))
    y = torch.tensor([0, 0, 0, 1, 1, 2]).expand(TASKS, -1)  # unequal classes, so that their weights matter
    yq = torch.tensor([0, 1, 2, 2]).expand(TASKS, -1)
    e = FewShot({"x": torch.randn(TASKS, 6, 2).double(), "y": y}, {"x": torch.randn(TASKS, count, 2).double(), "y": yq})
    sizes = {k: v.shape[0] for k, v in net.named_parameters()}
    start = {"e": torch.randn(2, ways + 2 + sum(sizes.values())).double() * 0.3}
    algorithm = BayesianTAML(loss, Encoder(), lambda: start, ways, RATE, steps=2, kl_weight=0.8)
    state = algorithm.init(lambda i: dict(net.named_parameters()))
    at = leaves(state)
    phi = pick(at, "phi")
    total = 0.0
    for t, rng in enumerate(generators()):
        mean, log_sd = at["encoder/e"] + 0.1 * e.whole_support()["x"][t].mean()
        drawn = mean + log_sd.exp() * torch.randn(mean.shape, generator=rng, dtype=mean.dtype)
        omega, gamma, z = drawn[:ways], drawn[ways : ways + 2], drawn[ways + 2 :]
        theta, begin = {}, 0
        for k, v in phi.items():
            part = z[begin : begin + sizes[k]]
            begin += sizes[k]
            theta[k] = v * (1 + part[:, None]) if v.dim() == 2 else v + part
        rate = {k: RATE * gamma[0 if k.startswith("fc1") else 1].exp() for k in phi}
        x, labels = e.whole_support()["x"][t], y[t]
        for _ in range(2):
            each = F.cross_entropy(forward(theta, x), labels, reduction="none")
            inner = sum(w * each[labels == c].mean() for c, w in enumerate(omega.softmax(0)))
            g = grads(inner, theta)
            theta = {k: theta[k] - rate[k] * g[k] for k in theta}
        data = F.cross_entropy(forward(theta, e.query()["x"][t]), yq[t])
        shrink = kl_divergence(Normal(mean, log_sd.exp()), Normal(torch.zeros_like(mean), torch.ones_like(mean))).sum()
        total = total + data + 0.8 * shrink / (6 + count)
    agree(algorithm, state, e, total, at)


def test_versa():
    """-log (1/L) sum_l p(query | theta_l), theta_l from the support set alone."""
    torch.manual_seed(6)
    net = AmortisedRegressor(width=4, depth=1, d=3).double()
    sd = 0.4
    loss = ModuleLoss(net, regression_criterion("sum", sd))
    x, xq = torch.rand(TASKS, 5, 1).double(), torch.rand(TASKS, 3, 1).double()
    e = FewShot({"x": x, "y": x.sin()}, {"x": xq, "y": xq.cos()})
    algorithm = Versa(loss, net.noise_shape(6))
    state = algorithm.init(lambda i: dict(net.named_parameters()))
    at = leaves(state)
    total = 0.0
    for t, rng in enumerate(generators()):
        eps = torch.randn(6, 1, 4, generator=rng, dtype=torch.float64)
        batch = {"x": xq[t], "support/x": x[t], "support/y": x[t].sin(), "eps": eps}
        out = functional_call(net, pick(at, "phi"), (batch,))
        log_p = Normal(out, sd).log_prob(xq[t].cos()).sum((1, 2)) + 3 * 0.5 * math.log(2 * math.pi)  # without its constant
        total = total - torch.logsumexp(log_p, 0) + math.log(6)
    agree(algorithm, state, e, total, at)

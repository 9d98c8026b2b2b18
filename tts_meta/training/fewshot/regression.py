"""Sinusoid regression and the hierarchical Gaussian as few-shot domains."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from tts_meta.data.episodes import FewShot
from tts_meta.data.hierarchical_gaussian import EXPERIMENTS
from tts_meta.data.sinusoid import Wave, draw_wave, points
from tts_meta.errors import InputError
from tts_meta.meta.posterior import Posterior
from tts_meta.meta.task import Batch, Episodes
from tts_meta.meta.trainer import task_rng
from tts_meta.nets.amortised import AmortisedRegressor
from tts_meta.nets.mlp import MLP, GaussianMean, PreciseMLP
from tts_meta.training.fewshot.base import TEST_SEED, Adapt, Domain, Network, choose, pile, rngs_of
from tts_meta.training.fewshot.plots import plot_waves


def regression_criterion(likelihood: str, sd: float):
    """One task's loss of outputs `[B, 1]`, `[B, 3]` (PreciseMLP) or samples `[L, B, 1]` (VERSA).

    mean: mean squared error. sum: -log N(y | mean, sd^2) summed over the data, without its constant; PreciseMLP's own
    precision and priors where there are any. VERSA: -log of the samples' mean likelihood of all data together (sum), or
    that divided by the number of data (mean). Raises InputError for another likelihood.
    """
    if likelihood not in ("mean", "sum"):
        raise InputError(f"likelihood is {likelihood!r}; mean or sum is expected.")

    def criterion(out: Tensor, batch: Batch) -> Tensor:
        y = batch["y"]
        if out.dim() == 3:
            nll = (0.5 * ((out - y) / sd) ** 2).sum((1, 2)) + y.shape[0] * math.log(sd)
            joint = math.log(out.shape[0]) - torch.logsumexp(-nll, 0)
            return joint if likelihood == "sum" else joint / y.shape[0]
        if out.shape[1] == 3:
            mean, log_gamma, log_prior = out[:, :1], out[:, 1:2], out[0, 2]
            return (0.5 * log_gamma.exp() * (mean - y) ** 2 - 0.5 * log_gamma).sum() - log_prior
        error = (out - y) ** 2
        if likelihood == "mean":
            return error.mean()
        return 0.5 * error.sum() / sd**2 * batch.get("weight", 1.0)

    return criterion


class RegressionDomain(Domain):
    """Tasks drawn from a distribution: a subclass draws a task's truth, then points of it.

    `pool`: how many training tasks there are (None: a new one each time); their truths are fixed, the points are drawn
    anew. `test_points` query points in a test task.
    """

    better = "lower"

    def __init__(
        self, shots: int, queries: int, pool: int | None, train_shots: int | None, inner_batch: int | None,
        test_points: int, seed: int,
    ) -> None:
        self.shots, self.queries, self.pool = shots, queries, pool
        self.train_shots, self.inner_batch, self.test_points, self.seed = train_shots or shots, inner_batch, test_points, seed

    def truth(self, rng: torch.Generator) -> Any:
        raise NotImplementedError

    def points(self, truth: Any, rng: torch.Generator, shots: int, queries: int) -> tuple[Batch, Batch]:
        raise NotImplementedError

    def draw(self, step: int, positions: Sequence[int]) -> FewShot:
        rngs = rngs_of(self.seed, step, positions, 3)
        sources = rngs
        if self.pool is not None:
            numbers = [int(torch.randint(self.pool, (), generator=r)) for r in rngs]
            sources = [task_rng(self.seed, n, 0, 5) for n in numbers]
        return self._pile(rngs, [self.truth(s) for s in sources], self.train_shots, self.queries)

    def test(self, split: str, first: int, count: int) -> FewShot:
        rngs = rngs_of(TEST_SEED + (split == "val"), 0, range(first, first + count), 3)
        return self._pile(rngs, [self.truth(r) for r in rngs], self.shots, self.test_points)

    def _pile(self, rngs: Sequence[torch.Generator], truths: Sequence[Any], shots: int, queries: int) -> FewShot:
        rows = [self.points(t, r, shots, queries) for t, r in zip(truths, rngs, strict=True)]
        return pile(rows, rngs, self.inner_batch)


class SinusoidDomain(RegressionDomain):
    """MAML's sinusoids, or BMAML's wider family with noise.

    Measures: mse; nll and coverage of the predictive Gaussian, whose noise is PreciseMLP's own or `noise_sd`.
    """

    measures = ("mse", "nll", "coverage")

    def __init__(
        self, *, family: str, shots: int, queries: int, pool: int | None, sd: float, likelihood: str, network: str, width: int,
        depth: int, seed: int, train_shots: int | None = None, inner_batch: int | None = None, test_points: int = 100,
        versa_samples: int = 10,
    ) -> None:
        super().__init__(shots, queries, pool, train_shots, inner_batch, test_points, seed)
        self.family, self.noise_sd = family, sd
        builders = {
            "plain": lambda: MLP(width, depth), "precise": lambda: PreciseMLP(width, depth),
            "amortised": lambda: AmortisedRegressor(width, depth),
        }
        self.net = Network(choose(network, builders, "sinusoid"), regression_criterion(likelihood, sd), seed)
        self.loss, self.fresh = self.net.loss, self.net.fresh
        module = self.net.module
        self.noise = getattr(module, "noise", None)
        self.noise_shape = module.noise_shape(versa_samples) if isinstance(module, AmortisedRegressor) else None

    def truth(self, rng: torch.Generator) -> Wave:
        return draw_wave(self.family, rng)

    def points(self, truth: Wave, rng: torch.Generator, shots: int, queries: int) -> tuple[Batch, Batch]:
        (x, y), (xq, yq) = points(truth, shots, rng), points(truth, queries, rng)
        return {"x": x, "y": y}, {"x": xq, "y": yq}

    def predict(self, posterior: Posterior, batch: Batch) -> tuple[Tensor, Tensor]:
        """Mean and variance of the predictive distribution, `[T, B]`."""
        out = posterior.outputs(batch)
        mean = out[..., 0]
        noise = (-out[..., 1]).exp().mean(0) if out.shape[-1] == 3 else torch.full_like(mean[0], self.noise_sd**2)
        return mean.mean(0), mean.var(0, correction=0) + noise

    def measure(self, posterior: Posterior, episodes: Episodes) -> dict[str, Tensor]:
        query = episodes.query()
        mean, variance = self.predict(posterior, query)
        error = (mean - query["y"][..., 0]) ** 2
        nll = 0.5 * (error / variance + variance.log() + math.log(2 * math.pi))
        inside = (error.sqrt() <= 1.96 * variance.sqrt()).float()
        return {"mse": error.mean(1), "nll": nll.mean(1), "coverage": inside.mean(1)}

    def calibrate(self, adapt: Adapt, report: int, seed: int) -> None:
        """Choose `noise_sd`, the noise of the predictive distribution, by its likelihood on validation tasks."""
        episodes = self.test("val", 0, 100)
        posterior = adapt(episodes, rngs_of(seed, 2, range(100), 4), [report])[report]
        best = math.inf
        for sd in torch.logspace(-2, 1, 61).tolist():
            self.noise_sd, keep = sd, self.noise_sd
            nll = float(self.measure(posterior, episodes)["nll"].mean())
            if nll < best:
                best = nll
            else:
                self.noise_sd = keep

    def draw_pictures(self, adapt: Adapt, report: int, folder: Path) -> None:
        """waves.png: regression of three test tasks."""
        episodes, x = self.test("test", 0, 3), torch.linspace(-5, 5, 200)[None, :, None].expand(3, -1, -1)
        dense = {"x": x, "y": torch.zeros_like(x)}
        posteriors = adapt(episodes, rngs_of(TEST_SEED, 1, range(3), 4), sorted({0, 1, report}))
        plot_waves(episodes, x, {k: self.predict(p, dense) for k, p in posteriors.items()}, folder / "waves.png")


class GaussianDomain(RegressionDomain):
    """The synthetic experiments of the paper's workshop version: `kind` linear or spiral, `shots` observations a task.

    Loss: 1/2 sum ((x - mu(theta)) / xi)^2, summed over observations. Measure: loss, per query observation.
    """

    measures = ("loss",)

    def __init__(
        self, *, kind: str, shots: int, queries: int, likelihood: str, network: str, seed: int, train_shots: int | None = None,
        inner_batch: int | None = None, test_points: int = 100, offset: float = 1.0,
    ) -> None:
        super().__init__(shots, queries, None, train_shots, inner_batch, test_points, seed)
        self.experiment = e = EXPERIMENTS[kind]
        self.xi = torch.tensor(e.xi)
        scale = {"sum": lambda rows: 1.0, "mean": lambda rows: 1.0 / rows}[likelihood]

        def criterion(out: Tensor, batch: Batch) -> Tensor:
            total = 0.5 * (((batch["x"] - out) / self.xi) ** 2).sum() * scale(out.shape[0])
            return total * batch["weight"] if likelihood == "sum" and "weight" in batch else total

        start = [v - offset for v in e.phi]  # training has to find phi
        builders = {"plain": lambda: GaussianMean(kind, start)}
        self.net = Network(choose(network, builders, "hierarchical_gaussian"), criterion, seed)
        self.loss, self.fresh = self.net.loss, self.net.fresh

    def truth(self, rng: torch.Generator) -> Tensor:
        e = self.experiment
        theta = torch.tensor(e.phi) + torch.tensor(e.sigma) * torch.randn(len(e.phi), generator=rng)
        return self.net.module.mean(theta)  # type: ignore[operator]

    def points(self, truth: Tensor, rng: torch.Generator, shots: int, queries: int) -> tuple[Batch, Batch]:
        x = truth + self.xi * torch.randn(shots + queries, len(self.xi), generator=rng)
        return {"x": x[:shots]}, {"x": x[shots:]}

    def measure(self, posterior: Posterior, episodes: Episodes) -> dict[str, Tensor]:
        query = episodes.query()
        out = posterior.outputs(query).mean(0)
        error = ((query["x"] - out) / self.xi) ** 2
        return {"loss": 0.5 * error.sum(2).mean(1)}

"""Bayesian TAML (Lee et al. 2020): learn to balance between the initialisation, the rates and the classes.

A set encoder reads the support set and gives Gaussians over z, gamma and omega;

    theta_0 = phi (1 + z) for weights (one z an output channel), phi + z for biases,
    theta <- theta - rate exp(gamma_layer) grad sum_c softmax(omega)_c L_c,

and the loss is the query loss + KL(q | N(0, I)) / (N + M). Test: the mean over `samples` draws.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from tts_meta.meta.algorithms.base import Differentiable, Fresh
from tts_meta.meta.loss import NetLoss, gradient
from tts_meta.meta.posterior import Posterior, Samples
from tts_meta.meta.task import Episodes
from tts_meta.meta.tree import Tree, expand, pick, prefixed, randn_like


@dataclass
class Layout:
    """Where z and gamma of every parameter sit: z has one number an output channel of a weight (dim > 1), one an
    element otherwise; gamma has one a layer (a name without its last part)."""

    shapes: dict[str, tuple[int, ...]]

    def __post_init__(self) -> None:
        self.z, at = {}, 0
        for name, shape in self.shapes.items():
            self.z[name] = slice(at, at + shape[0])
            at += shape[0]
        self.z_size = at
        self.layers = list(dict.fromkeys(n.rpartition(".")[0] for n in self.shapes))
        self.layer = {n: self.layers.index(n.rpartition(".")[0]) for n in self.shapes}

    def modulate(self, phi: Tree, z: Tensor) -> Tree:
        """theta_0 `{name: [T, ...]}` for phi `{name: [T, ...]}` and z `[T, Z]`."""
        out = {}
        for name, value in phi.items():
            part = z[:, self.z[name]]
            many = value.dim() > 2
            out[name] = value * (1 + part.reshape(*part.shape, *[1] * (value.dim() - 2))) if many else value + part
        return out


@dataclass
class BayesianTAML(Differentiable):
    """State: phi/<name> of the classifier, encoder/<name> of the set encoder.

    `encoder` is a NetLoss over the support batch whose outputs are means and log-sds `[T, 2, ways + layers + Z]`;
    `encoder_params` its initial parameters.
    """

    loss: NetLoss
    encoder: NetLoss
    encoder_params: Callable[[], Tree]
    ways: int
    rate: float
    steps: int = 5
    kl_weight: float = 1.0
    samples: int = 10
    layout: Layout | None = None

    def init(self, fresh: Fresh) -> Tree:
        phi = {k: v.detach().clone() for k, v in fresh(0).items()}
        return prefixed("phi", phi) | prefixed("encoder", {k: v.detach().clone() for k, v in self.encoder_params().items()})

    def _encode(self, state: Tree, episodes: Episodes) -> tuple[Tensor, Tensor, Layout]:
        if self.layout is None:
            self.layout = Layout({k: tuple(v.shape) for k, v in pick(state, "phi").items()})
        found = self.encoder.outputs(expand(pick(state, "encoder"), episodes.tasks), episodes.whole_support())
        return found[:, 0], found[:, 1], self.layout

    def _run(
        self, state: Tree, episodes: Episodes, values: Tensor, layout: Layout, steps: int, graph: bool, watch=None
    ) -> Tree:
        omega, gamma, z = values.split([self.ways, len(layout.layers), layout.z_size], 1)
        theta = layout.modulate(expand(pick(state, "phi"), episodes.tasks), z)
        if not graph:
            theta = {k: v.detach() for k, v in theta.items()}
        weight = omega.softmax(1)
        for k in range(steps + 1):
            if watch:
                watch(k, theta)
            if k < steps:
                batch = {**episodes.support(k), "class_weight": weight}
                _, g = gradient(self.loss, theta, batch, graph=graph)
                scale = {n: (self.rate * gamma[:, layout.layer[n]].exp()) for n in theta}
                theta = {
                    n: v - scale[n].reshape(-1, *[1] * (v.dim() - 1)) * g[n] for n, v in theta.items()
                }
        return theta

    def objective(
        self, state: Tree, episodes: Episodes, rngs: Sequence[torch.Generator]
    ) -> tuple[Tensor, dict[str, Tensor]]:
        mean, log_sd, layout = self._encode(state, episodes)
        noise = randn_like({"": mean[0]}, list(rngs))[""]
        theta = self._run(state, episodes, mean + log_sd.exp() * noise, layout, self.steps, graph=True)
        query = episodes.query()
        loss = self.loss(theta, query)
        kl = 0.5 * ((2 * log_sd).exp() + mean**2 - 1 - 2 * log_sd).sum(1)
        count = query["y"].shape[1] + episodes.whole_support()["y"].shape[1]
        return loss + self.kl_weight * kl / count, {"query_loss": loss, "kl": kl}

    @torch.no_grad()
    def adapt(
        self, state: Tree, episodes: Episodes, rngs: Sequence[torch.Generator], at: Sequence[int]
    ) -> dict[int, Posterior]:
        mean, log_sd, layout = self._encode(state, episodes)
        found: dict[int, list[Tree]] = {k: [] for k in at}
        for _ in range(self.samples):
            noise = randn_like({"": mean[0]}, list(rngs))[""]
            with torch.enable_grad():
                self._run(
                    state, episodes, mean + log_sd.exp() * noise, layout, max(at), False,
                    lambda k, t: found[k].append(t) if k in found else None,
                )
        return {k: Samples(v, self.loss.outputs) for k, v in found.items()}

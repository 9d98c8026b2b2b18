"""Meta-gradients as one graph: the plain ones on data that the graph was not made of, and a sentence where there is no graph."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass

import pytest
import torch

from tests.conftest import ROOT
from tts_meta.data.episodes import FewShot
from tts_meta.errors import InputError
from tts_meta.meta.algorithms.gradient import Gradient
from tts_meta.meta.hypergrad.implicit import Implicit
from tts_meta.meta.hypergrad.unroll import FirstOrder, Unroll
from tts_meta.meta.partition import Partition
from tts_meta.meta.solvers.adam import ProximalAdam
from tts_meta.meta.solvers.gd import ProximalGD
from tts_meta.nets.conv4 import Conv4
from tts_meta.training import compiled
from tts_meta.training.compiled import Compiled
from tts_meta.training.fewshot.base import Network
from tts_meta.training.fewshot.images import classification_criterion

WAYS = {
    "maml": (ProximalGD(0.1), Unroll(), float("inf")),
    "sigma_maml": (ProximalGD(0.1), Unroll(), 0.5),
    "fomaml": (ProximalGD(0.1), FirstOrder(), float("inf")),
    "adam": (ProximalAdam(0.01), Unroll(), 0.5),
}


def made(solver, hypergrad, sigma) -> tuple[Gradient, dict]:
    net = Network(lambda: Conv4(3, 4, 1, 28, False), classification_criterion("mean"))
    algorithm = Gradient(net.loss, Partition.by_layer, solver, hypergrad, 2, sigma)
    return algorithm, algorithm.init(net.fresh)


def episodes(seed: int) -> FewShot:
    rng = torch.Generator().manual_seed(seed)
    x = [torch.rand(2, 6, 1, 28, 28, generator=rng) for _ in range(2)]
    y = torch.arange(3).repeat(2).expand(2, 6)
    return FewShot({"x": x[0], "y": y}, {"x": x[1], "y": y})


@pytest.fixture
def traced(monkeypatch):
    """The graph as it was traced, run as it is: whether it is the right one needs no compiler."""
    monkeypatch.setattr(torch, "compile", lambda graph, **how: graph)


@pytest.mark.parametrize("name", WAYS)
def test_the_graph_gives_the_gradients_of_other_data(traced, name):
    algorithm, state = made(*WAYS[name])
    learner = Compiled(algorithm)
    for seed in range(4):  # the last ones are not checked by the class itself
        state = {k: v + 0.01 * seed if v.isfinite().all() else v for k, v in state.items()}
        found, plain = (a.meta_grads(state, episodes(seed), []) for a in (learner, algorithm))
        assert found.tasks == plain.tasks == 2 and found.grads.keys() == plain.grads.keys()
        for k, v in plain.grads.items():
            assert torch.allclose(found.grads[k], v, rtol=1e-3, atol=1e-5), k
        assert {k: float(v) for k, v in found.metrics.items()} == pytest.approx({k: float(v) for k, v in plain.metrics.items()})
    assert len(learner.graphs) == 1


def test_each_shape_has_its_graph(traced):
    algorithm, state = made(*WAYS["maml"])
    learner, whole = Compiled(algorithm), episodes(0)
    one = FewShot(*({k: v[:1] for k, v in b.items()} for b in (whole.support_batch, whole.query_batch)))
    for e in (whole, one, whole):
        found, plain = learner.meta_grads(state, e, []), algorithm.meta_grads(state, e, [])
        assert all(torch.allclose(found.grads[k], v, rtol=1e-3, atol=1e-5) for k, v in plain.grads.items())
    assert len(learner.graphs) == 2


def test_what_has_no_graph_is_one_sentence(traced):
    algorithm, state = made(ProximalGD(0.1), Implicit(cg_steps=2), 0.5)
    with pytest.raises(InputError, match="cannot be compiled .*leave compile out"):
        Compiled(algorithm).meta_grads(state, episodes(0), [])
    assert algorithm.known_flat is None
    algorithm.meta_grads(state, episodes(0), [])  # plain, it still works
    drawing = FewShot(**{**vars(episodes(0)), "inner_batch": 3, "rngs": [torch.Generator(), torch.Generator()]})
    with pytest.raises(InputError, match="mini-batches cannot be compiled"):
        Compiled(made(*WAYS["maml"])[0]).meta_grads(state, drawing, [])


@dataclass
class Drawing(Gradient):
    """Whose steps are never the same."""

    def meta_grads(self, state, episodes, rngs):
        found = super().meta_grads(state, episodes, rngs)
        return compiled.MetaGrads({k: v * torch.rand(()) for k, v in found.grads.items()}, found.tasks, found.metrics)


def test_a_graph_that_does_not_hold_is_noticed(traced):
    plain, state = made(*WAYS["maml"])
    algorithm = Drawing(plain.loss, plain.partition, plain.solver, plain.hypergrad, 2)
    with pytest.raises(InputError, match="are not the same operations every time; leave compile out"):
        learner = Compiled(algorithm)
        for seed in range(compiled.CHECKED):
            learner.meta_grads(state, episodes(seed), [])


def test_a_recipe_says_it_in_a_sentence(tmp_path):
    command = ["recipes/train.py", "domain=sinusoid", "algorithm=reptile", "compile=true", "meta_steps=2", f"run={tmp_path}"]
    done = subprocess.run([sys.executable, *command], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 2 and "Traceback" not in done.stderr
    assert "Error: Inner steps that draw mini-batches cannot be compiled; leave compile out.\n" in done.stderr


@pytest.mark.sweep
def test_the_compilers_code_gives_them_too():
    algorithm, state = made(*WAYS["sigma_maml"])
    learner = Compiled(algorithm)
    for seed in range(3):
        found, plain = (a.meta_grads(state, episodes(seed), []) for a in (learner, algorithm))
        for k, v in plain.grads.items():
            assert torch.allclose(found.grads[k], v, rtol=1e-3, atol=1e-5), k

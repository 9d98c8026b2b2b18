"""Weights meta-trained without a prior: what moves is the network's own weights, and clones of the comparison begin with them."""

import json
import runpy
import sys
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from tests.conftest import ROOT
from tts_meta.clips.recordings import find_clips
from tts_meta.clips.transcripts import complete_transcripts
from tts_meta.clips.whole_clips import whole_clips
from tts_meta.meta.partition import Partition
from tts_meta.starters.kokoro_starter import load_kokoro

sys.path[:0] = [str(ROOT / "recipes"), str(ROOT / "recipes" / "kokoro")]
import arms  # noqa: E402
from people import Person, pool  # noqa: E402

CLIPS = ROOT / "app" / "examples" / "p225" / "clips"
LAYER = "head.blocks.5.down."


@pytest.fixture(scope="module")
def recipe():
    return SimpleNamespace(**runpy.run_path(str(ROOT / "recipes" / "kokoro" / "meta_weights.py")))


@pytest.fixture(scope="module")
def starter():
    return load_kokoro()


@pytest.fixture(scope="module")
def items(starter):
    paths = find_clips([CLIPS])[:3]
    return [starter.item(c) for c in whole_clips(paths, complete_transcripts(paths, None), starter).values()]


@pytest.fixture
def task(recipe, starter, items):
    person = SimpleNamespace(name="somebody", split=lambda support, query, rng: (items[:2], items[2:]))
    return recipe.OnePerson(starter, person, recipe.PARTS, 2, 1, np.random.default_rng(0)).again(np.random.default_rng(1))


@pytest.fixture
def phi(starter):
    return {n: v.detach().clone() for n, v in starter.net.named_parameters() if n.startswith(LAYER)}


def test_the_loss_is_the_network_s_at_the_weights_given(recipe, starter, task, phi):
    loss, batch = recipe.WeightsLoss(starter), task.query()
    here = float(loss({n: v[None] for n, v in phi.items()}, batch))
    assert here == pytest.approx(float(starter.task_loss(recipe.bf16_is_fast(), ["timbre"])(starter.start({}), batch)), rel=1e-4)
    assert float(loss({n: 2 * v[None] for n, v in phi.items()}, batch)) > here * 1.001
    assert all(torch.equal(v, phi[n]) for n, v in starter.net.named_parameters() if n in phi)  # they are back


def test_reptile_goes_where_tasks_go_and_fomaml_down_the_query_s_gradient(recipe, starter, task, phi):
    loss, found = recipe.WeightsLoss(starter), {}
    for name, method in recipe.METHODS.items():
        algorithm = recipe.Gradient(loss, Partition.single, recipe.ProximalAdam(recipe.RATE, whiten=False), method.hypergrad, 1)
        found[name] = algorithm.meta_grads(algorithm.init(lambda _: phi), task.again(np.random.default_rng(1)), [])
    # One step of Adam from nothing moves every weight by its rate, against the sign of its gradient.
    task.again(np.random.default_rng(1))
    theta = {n: v[None].clone().requires_grad_() for n, v in phi.items()}
    grads = torch.autograd.grad(loss(theta, task.support(0)).sum(), list(theta.values()))
    for n, g in zip(theta, grads, strict=True):
        big = g[0].abs() > 1e-3 * g.abs().max()
        assert torch.allclose(found["reptile"].phi[n][big], recipe.RATE * g[0][big].sign(), rtol=0.02)
    after = {n: (v - found["reptile"].phi[n])[None].clone().requires_grad_() for n, v in phi.items()}
    query = torch.autograd.grad(loss(after, task.query()).sum(), list(after.values()))
    for n, g in zip(after, query, strict=True):
        assert torch.allclose(found["fomaml"].phi[n], g[0], rtol=0.05, atol=0.02 * float(g.abs().max()))


def test_three_tasks_of_four_are_of_people_with_minutes():
    item = SimpleNamespace(seconds=200.0)
    crowd = [Person("long", "sigma", [("a", item)]), Person("short", "sigma", [("b", SimpleNamespace(seconds=5.0))])]
    rng = np.random.default_rng(0)
    alone = sum([q.name for q in pool(crowd, rng)] == ["long"] for _ in range(400))
    assert 270 < alone < 330


def test_a_clone_begins_with_the_weights_of_a_file(starter, items, phi, tmp_path):
    other = {n: (v + 0.5).half().contiguous() for n, v in phi.items()}
    save_file(other, tmp_path / "weights.safetensors")
    spec = {"dense": [LAYER], "rate": 1e-4, "weights": str(tmp_path / "weights.safetensors"), "steps": [0]}
    [(step, begun, deltas)] = list(arms.dense(starter, items, spec, 0))
    own = dict(begun.net.named_parameters())
    assert step == 0 and all(torch.allclose(own[n], v.float(), atol=1e-3) for n, v in other.items())
    assert all(torch.equal(v, phi[n]) for n, v in starter.net.named_parameters() if n in phi) and "register" in deltas


def test_sigmas_of_a_file_are_those_of_its_modules(starter, tmp_path):
    module = "head.out.factor"
    at = starter.partition.index[module]
    save_file({"log_sigma2": torch.tensor([-3.0])}, tmp_path / "s.safetensors", {"modules": json.dumps([module])})
    before, after = (s.clone_prior.log_sigma2 for s in (starter, arms.with_sigmas(starter, tmp_path / "s.safetensors")))
    assert float(after[at]) == -3.0 and torch.equal(after[:at], before[:at]) and torch.equal(after[at + 1 :], before[at + 1 :])

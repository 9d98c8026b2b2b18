"""Sigma of what goes on alone is learned where a clone goes on: on blocks that its first steps of all modules have moved."""

import runpy
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from tests.conftest import ROOT
from tts_meta.adaptation.adaptation_run import AdaptationRun
from tts_meta.adaptation.methods import shrinking
from tts_meta.clips.recordings import find_clips
from tts_meta.clips.transcripts import complete_transcripts
from tts_meta.clips.whole_clips import whole_clips
from tts_meta.starters.kokoro_starter import load_kokoro

CLIPS = ROOT / "app" / "examples" / "p225" / "clips"


@pytest.fixture(scope="module")
def sigma():
    return SimpleNamespace(**runpy.run_path(str(ROOT / "recipes" / "kokoro" / "sigma.py")))


@pytest.fixture(scope="module")
def starter():
    found = load_kokoro()
    return replace(found, adaptation=replace(found.adaptation, together=2))


@pytest.fixture(scope="module")
def items(starter):
    paths = find_clips([CLIPS])[:4]
    return [starter.item(c) for c in whole_clips(paths, complete_transcripts(paths, None), starter).values()]


def test_a_task_begins_where_a_clone_goes_on_alone(sigma, starter, items):
    method = shrinking(starter)
    run = AdaptationRun(starter, method, items[:3], steps=3, clips=starter.adaptation.clips, chunk=3, seed=7)
    for _ in run:
        pass
    still = sigma.settled(starter, items[:3], 7)
    assert set(still) == set(method.modules) - set(method.long)
    assert all(torch.equal(still[n], v[0]) for n, v in run.settled.items())
    long = list(method.long)
    before, after = (starter.encoded(items[3], long, p).features for p in ({}, still))
    assert (after - before).abs().max() > 1e-3


def test_a_task_s_sigma_has_a_gradient_by_the_expected_curvature(sigma, starter, items):
    moved = list(shrinking(starter).long)
    person = SimpleNamespace(name="somebody", split=lambda support, query, rng: (items[:3], items[3:]))
    task = sigma.OnePerson(starter, person, moved, 3, 1, np.random.default_rng(0), settle=True).again(np.random.default_rng(1))
    assert all("features" in b for b in (task.support(0), task.query(), task.whole_support()))
    frames = sum(len(i.mel) for i in items[:3])
    whole = task.whole_support()
    assert float(whole["weight"] * whole["frame_mask"].sum()) == pytest.approx(frames)
    loss, parts = sigma.MovedLoss(starter, moved), sigma.Partition({n: [n] for n in moved}, {n: starter.phi[n] for n in moved})
    index = {m: i for i, m in enumerate(starter.partition.modules)}
    begin = torch.stack([starter.clone_prior.log_sigma2[index[m]] for m in parts.modules])
    solver = sigma.build(starter.adaptation.need("solver"), sigma.ADAM)
    algorithm = sigma.Gradient(loss, lambda names: parts, solver, sigma.estimator("imaml", 2, loss), 2)
    state = {f"phi/{n}": starter.phi[n].clone() for n in moved} | {"log_sigma2": begin}
    found, same = (algorithm.meta_grads(state, task.again(np.random.default_rng(1)), []) for _ in range(2))
    assert found.metrics["cg_indefinite"] == 0  # absolute errors alone have no curvature, and would end the first step here
    assert (found.grads["log_sigma2"] != 0).all() and torch.isfinite(found.grads["log_sigma2"]).all()
    assert torch.equal(same.grads["log_sigma2"], found.grads["log_sigma2"])

"""Modules: who belongs to which, how large they are, how far they moved."""

from __future__ import annotations

import math

import pytest
import torch

from tts_meta.meta.partition import FROZEN, Partition
from tts_meta.meta.prior import Shrinkage, module_distance, module_rms, relative_sigma
from tts_meta.meta.tree import flatten, unflatten

PHI = {
    "conv.weight": torch.tensor([[3.0, 4.0]]), "conv.bias": torch.tensor([0.0]), "head.weight": torch.tensor([[2.0, -2.0]]),
    "table": torch.tensor([9.0]),
}


def parts() -> Partition:
    return Partition.by_layer(PHI, frozen=["table"])


def test_members_are_those_of_the_module_alone():
    found = parts()
    assert found.modules == ["conv", "head"]
    assert found.members("conv") == ["conv.weight", "conv.bias"] and found.members("head") == ["head.weight"]
    assert found.members(FROZEN) == ["table"] and found.free() == ["conv.weight", "conv.bias", "head.weight"]
    alone = Partition.by_layer(PHI, alone=["conv.bias"], frozen=["table"])
    assert alone.modules == ["conv", "conv.bias", "head"] and alone.members("conv.bias") == ["conv.bias"]


def test_a_name_without_a_module_and_a_pattern_without_a_name_are_errors():
    with pytest.raises(ValueError, match="'table' belongs to no module"):
        Partition({"conv": ["conv.*"], "head": ["head.*"]}, PHI)
    with pytest.raises(ValueError, match="tail: tail"):
        Partition({"all": ["*"], "tail": ["tail.*"]}, PHI)


def test_the_size_of_a_module_is_its_root_mean_square():
    found = module_rms(parts(), PHI)
    assert found.tolist() == pytest.approx([5 / math.sqrt(3), 2.0])
    assert module_rms(parts(), PHI, {"head": 7.0})[1] == 7.0
    assert module_rms(parts(), {k: 0 * v for k, v in PHI.items()}).tolist() == [1e-3, 1e-3]
    prior = Shrinkage(parts(), 2 * torch.tensor([5 / math.sqrt(3), 1.0]).log())
    assert relative_sigma(prior, PHI).tolist() == pytest.approx([1.0, 0.5])


def test_the_distance_of_a_module_is_that_of_its_parameters_over_the_root_of_their_number():
    deltas = {"conv.weight": torch.tensor([[1.0, 2.0]]), "conv.bias": torch.tensor([2.0]), "head.weight": torch.zeros(1, 2)}
    assert module_distance(parts(), deltas, ["conv", "head"]) == {"conv": pytest.approx(math.sqrt(3)), "head": 0.0}


def test_the_proximal_step_is_the_minimiser_and_a_frozen_module_stays():
    prior = Shrinkage(parts(), torch.tensor([0.8, -math.inf]))
    theta = {k: PHI[k][None] for k in ("conv.weight", "head.weight")}
    at, rate = torch.tensor([[1.0, -2.0, 5.0, 6.0]]), torch.tensor([[0.1, 2.0, 1.0, 0.3]])
    phi = torch.tensor([0.5, 3.0, 2.0, -2.0])
    found = prior.proximal(theta, at, phi, rate)
    # The gradient of |x - at|^2 / (2 rate) + |x - phi|^2 / (2 sigma^2) is zero there.
    slope = (found - at)[:, :2] / rate[:, :2] + (found - phi)[:, :2] / math.exp(0.8)
    assert slope.abs().max() < 1e-5 and torch.equal(found[0, 2:], phi[2:])


def test_distance_and_penalty_count_what_may_move():
    prior = Shrinkage(parts(), torch.tensor([math.log(4.0), math.inf]))
    theta = {"conv.weight": torch.tensor([[[3.0, 6.0]], [[1.0, 4.0]]]), "head.weight": torch.tensor([[[9.0, 9.0]], [[2.0, 9.0]]])}
    found = prior.distance(theta, PHI)
    assert torch.allclose(found["conv.weight"], torch.tensor([1.0, 1.0])) and not found["head.weight"].any()
    assert torch.allclose(prior.penalty(theta, PHI), torch.tensor([0.5, 0.5]))


@pytest.mark.parametrize("lead", [(), (3,), (2, 3)])
def test_unflatten_is_the_inverse_of_flatten_whatever_leads(lead):
    like = {"a": torch.zeros(2, 2), "b": torch.zeros(5)}
    tree = {k: torch.randn(*lead, *v.shape) for k, v in like.items()}
    flat = flatten(tree, len(lead))
    assert flat.shape == (*lead, 9)
    assert all(torch.equal(v, tree[k]) for k, v in unflatten(flat, like).items())

"""The outer step: who moves which key, how large a gradient may be, and what a meta-step refuses."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
import torch

from tts_meta.meta.hypergrad.base import MetaGrads
from tts_meta.meta.outer import Group, Outer
from tts_meta.meta.trainer import MetaTrainer, task_rng


def sgd(rate: float):
    return lambda params: torch.optim.SGD(params, lr=rate)


def test_the_first_group_that_matches_a_key_moves_it_and_the_others_stay():
    state = {k: torch.zeros(1) for k in ("phi/a", "phi/b", "rest")}
    outer = Outer({"a": Group("phi/a", sgd(1.0)), "phi": Group("phi/*", sgd(10.0))}, state)
    outer.step({k: torch.ones(1) for k in state}, {})
    assert {k: float(v) for k, v in state.items()} == {"phi/a": -1.0, "phi/b": -10.0, "rest": 0.0}
    with pytest.raises(ValueError, match=r"'none' \(sigma\) matches no key of the state; there are \['phi', 'rest'\]"):
        Outer({"none": Group("sigma", sgd(1.0))}, state)


def test_the_gradient_of_a_group_is_clipped_as_a_whole():
    state = {"a": torch.zeros(1), "b": torch.zeros(1), "c": torch.zeros(1)}
    groups = {"ab": Group("[ab]", sgd(1.0), clip=1.0), "c": Group("c", sgd(1.0))}
    Outer(groups, state).step({"a": torch.tensor([3.0]), "b": torch.tensor([4.0]), "c": torch.tensor([5.0])}, {})
    assert [round(-float(v), 4) for v in state.values()] == [0.6, 0.8, 5.0]


def test_bounds_hold_after_the_step_and_gradients_are_not_added_up():
    state = {"a": torch.zeros(3)}
    outer, bounds = Outer({"a": Group("a", sgd(1.0))}, state), {"a": (torch.full((3,), -1.5), torch.full((3,), 0.5))}
    for after in ([-1.0, 0.5, 0.0], [-1.5, 0.5, 0.0]):
        outer.step({"a": torch.tensor([1.0, -1.0, 0.0])}, bounds)
        assert state["a"].tolist() == after
    assert outer.step_count == 2


@dataclass
class Positions:
    """An algorithm whose gradient of a task is the task's position plus one."""

    worst: float = 0.0

    def meta_grads(self, state, episodes, rngs) -> MetaGrads:
        assert len(rngs) == len(episodes)
        values = torch.tensor([float(p + 1) for p in episodes])
        return MetaGrads({"x": values.sum().reshape(1) + self.worst}, len(episodes), {"loss": float(values.sum())})


def trainer(algorithm, chunk: int = 1, **more) -> MetaTrainer:
    return MetaTrainer(algorithm, {"x": torch.zeros(1)}, lambda step, at: list(at), {"x": Group("x", sgd(1.0))}, 4, chunk, **more)


@pytest.mark.parametrize("chunk", [1, 3, 4])
def test_a_meta_step_goes_along_the_mean_over_its_tasks(chunk):
    one = trainer(Positions(), chunk)
    assert one.step() == {"loss": 2.5} and one.state["x"].tolist() == [-2.5] and one.step_count == 1


def test_every_rank_takes_its_share_of_the_tasks():
    shares = [trainer(Positions(), rank=r, world=3).meta_grads() for r in range(3)]
    assert [float(s.grads["x"]) for s in shares] == [1 + 4, 2, 3] and [s.tasks for s in shares] == [2, 1, 1]
    with pytest.raises(ValueError, match="4 tasks cannot be shared by 5 ranks"):
        trainer(Positions(), world=5)
    trainer(Positions(), world=4)


def test_a_gradient_that_is_not_finite_moves_nothing_and_is_told():
    one = trainer(Positions(worst=float("inf")))
    with pytest.raises(FloatingPointError, match="of x is not finite at meta-step 0"):
        one.step()
    assert one.state["x"].tolist() == [0.0] and one.step_count == 0


def test_the_start_is_copied_and_no_two_tasks_draw_alike():
    start = {"x": torch.zeros(1)}
    one = MetaTrainer(Positions(), start, lambda s, p: list(p), {"x": Group("x", sgd(1.0))})
    one.step()
    assert float(start["x"]) == 0
    seeds = {task_rng(a, b, c, d).initial_seed() for a in (0, 1) for b in (0, 1, 2) for c in range(5) for d in range(3)}
    assert len(seeds) == 2 * 3 * 5 * 3

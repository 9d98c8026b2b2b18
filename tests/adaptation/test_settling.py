"""The first steps of a clone move all modules, the others only some: what stays, what is kept, and what is computed once."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from tests.conftest import EXAMPLES
from tts_meta.adaptation.adaptation_run import AdaptationRun
from tts_meta.adaptation.methods import shrinking
from tts_meta.clips.transcripts import complete_transcripts, find_clips
from tts_meta.clips.whole_clips import whole_clips
from tts_meta.meta.solvers.adam import ProximalAdam
from tts_meta.meta.solvers.base import part_of_state
from tts_meta.meta.tree import flatten
from tts_meta.starters.kokoro_starter import load_kokoro

TOGETHER = 2


@pytest.fixture(scope="module")
def clips(starter):
    paths = find_clips([EXAMPLES / "clips"])[:4]
    return list(whole_clips(paths, complete_transcripts(paths, None), starter).values())


@pytest.fixture(scope="module")
def small(starter):
    return replace(starter, adaptation=replace(starter.adaptation, together=TOGETHER, long=("decoder.out", "speaker")))


def begin(starter, clips, steps=5, **kwargs) -> AdaptationRun:
    items = [starter.item(c) if starter.kind == "kokoro" else c.item for c in clips]
    return AdaptationRun(starter, shrinking(starter), items[1:], items[:1], steps, 1, 2, **kwargs)


def test_after_the_first_steps_only_what_is_long_moves(small, starter, clips):
    run, joint = begin(small, clips), begin(starter, clips)
    after = {p.step: run.now() for p in run}
    same = {p.step: joint.now() for p in joint}
    long = {n for n in after[5] if small.partition.module_of[n] in run.method.long}
    assert long and long < set(after[5]) == set(same[5])
    for n in after[5]:
        assert torch.equal(after[TOGETHER][n], same[TOGETHER][n])
        assert torch.equal(after[TOGETHER][n], after[5][n]) == (n not in long), n
    assert set(run.deltas()) == set(after[5]), "a voice has what settled too"
    # The solver goes on where it was, with the moments of what still moves.
    assert run.state["count"] == 5 and run.state["m"]["flat"].shape == (1, sum(v.numel() for v in run.phi.values()))


def test_a_run_that_is_shorter_than_that_is_as_it_was(small, starter, clips):
    run, joint = begin(small, clips, TOGETHER), begin(starter, clips, TOGETHER)
    assert [p.heldout_loss for p in run] == [p.heldout_loss for p in joint]


@pytest.mark.parametrize("at", [1, 4])
def test_a_run_goes_on_bit_for_bit_before_and_after(small, clips, tmp_path, at):
    whole, first, second = (begin(small, clips) for _ in range(3))
    told = [p.heldout_loss for p in whole]
    for _ in range(at + 1):
        next(first)
    first.save(tmp_path / "run.safetensors")
    second.restore(tmp_path / "run.safetensors")
    assert [p.heldout_loss for p in second] == told[at + 1 :]
    assert all(torch.equal(v, second.deltas()[n]) for n, v in whole.deltas().items())


def test_part_of_a_solvers_state_is_that_of_the_parameters_that_go_on():
    """Two steps on two parameters and one on the first alone, which is what three on the first alone are."""
    rng = torch.Generator().manual_seed(0)
    theta = {n: torch.randn(1, *s, generator=rng) for n, s in {"a": (2, 3), "b": (4,), "c": (3,)}.items()}
    phi = {n: v[0] for n, v in theta.items()}
    grads = [{n: torch.randn(v.shape, generator=rng) for n, v in theta.items()} for _ in range(3)]
    from tts_meta.meta.partition import Partition
    from tts_meta.meta.prior import Shrinkage

    partition = Partition({n: [n] for n in phi}, phi)
    prior, solver = Shrinkage(partition, torch.tensor([0.1, -1.0, 0.5])), ProximalAdam(0.1, decay=0.1)
    state, at = solver.init(theta), theta
    with torch.no_grad():
        for g in grads[:2]:
            at = solver.step(at, g, phi, prior, state)
        kept = ["a", "c"]
        state = part_of_state({**state, "tree": {"a": 1, "b": 2, "c": 3}}, at, kept)
        assert state.pop("tree") == {"a": 1, "c": 3} and state["count"] == 2
        found = solver.step({n: at[n] for n in kept}, grads[2], {n: phi[n] for n in kept}, prior, state)
        whole, straight = solver.init(theta), theta
        for g in grads:
            straight = solver.step(straight, g, phi, prior, whole)
    assert torch.equal(flatten(found), flatten({n: straight[n] for n in kept}))


def test_what_kokoros_blocks_made_of_a_clip_is_what_they_would_make_again(clips):
    """The loss of the head alone, on kept features, is that of the whole network with the blocks where they settled."""
    kokoro = load_kokoro()
    kokoro = replace(kokoro, adaptation=replace(kokoro.adaptation, together=1, long=("head.*",)))
    run = begin(kokoro, clips[:3], 2, bf16=False)
    list(run)
    assert all(n.startswith("head.") for n in run.theta) and all(not n.startswith("head.") for n in run.settled)
    assert all(e.features is not None for e in run.encoded.values())
    item = run.heldout[0]
    plain = replace(run.encoded[id(item)], features=None)
    again = run.loss(run.theta, run._batch(item, plain, 1.0))
    assert torch.allclose(again, run.loss(run.theta, run.heldout_batches[0]), rtol=1e-5)
    moved = {n: float(v.abs().max()) for n, v in run.settled.items() if n != "timbre"}
    assert min(moved.values()) > 0, "the blocks had moved"

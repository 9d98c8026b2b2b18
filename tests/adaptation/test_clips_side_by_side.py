"""Clips of a step side by side: the same numbers, and one at a time where memory does not suffice."""

from __future__ import annotations

import threading

import pytest
import torch

from tests.conftest import EXAMPLES
from tts_meta.adaptation.adaptation_run import AdaptationRun
from tts_meta.adaptation.methods import choose_method
from tts_meta.clips.transcripts import complete_transcripts, find_clips
from tts_meta.clips.whole_clips import whole_clips
from tts_meta.errors import InputError
from tts_meta.processor import THREADS, cores, side_by_side
from tts_meta.side_by_side import each
from tts_meta.starters.kokoro_starter import load_kokoro


@pytest.fixture(scope="module")
def kokoro():
    return load_kokoro()


@pytest.fixture(scope="module")
def items(kokoro):
    paths = find_clips([EXAMPLES / "clips"])[:3]
    return [kokoro.item(c) for c in whole_clips(paths, complete_transcripts(paths, None), kokoro).values()]


def test_they_are_computed_at_the_same_time_and_come_in_order():
    together = threading.Barrier(2, timeout=30)

    def double(x: int) -> tuple[int, int]:
        together.wait()
        return 2 * x, torch.get_num_threads()

    assert list(each(double, range(4), 2)) == [(0, 1), (2, 1), (4, 1), (6, 1)]
    here = threading.get_ident()
    assert list(each(lambda _: threading.get_ident(), range(3), 1)) == [here] * 3


def test_what_one_raises_is_raised():
    def fail(x: int) -> int:
        if x == 2:
            raise ValueError("two")
        return x

    for at_once in (1, 2):
        with pytest.raises(ValueError, match="two"):
            list(each(fail, range(4), at_once))


def run_of(kokoro, items, at_once: int) -> AdaptationRun:
    return AdaptationRun(kokoro, choose_method(kokoro, "sigma"), items[1:], items[:1], 2, 1, 2, at_once=at_once)


def test_how_many_at_once_changes_no_bit(kokoro, items):
    one, many = run_of(kokoro, items, 1), run_of(kokoro, items, 2)
    assert [(p.train_loss, p.heldout_loss) for p in one][1:] == [(p.train_loss, p.heldout_loss) for p in many][1:]
    assert all(torch.equal(v, many.now()[n]) for n, v in one.now().items())


def test_clips_of_a_step_stand_for_the_whole_support(kokoro, items):
    """The weighted clips' losses sum to what all of the support is estimated to have."""
    run = run_of(kokoro, items, 1)
    run.clips = 1
    drawn = run.draw()
    losses = [float(run.loss(run.theta, b)) for b in drawn]
    frames = [b["mel"].shape[2] for b in drawn]
    alone = [float(run.loss(run.theta, {**b, "weight": torch.tensor([1.0])})) for b in drawn]
    assert sum(losses) == pytest.approx(sum(alone) * run.frames / sum(frames), rel=1e-5)


def test_without_memory_for_all_they_go_one_after_another(kokoro, items, monkeypatch):
    calm, run = run_of(kokoro, items, 1), run_of(kokoro, items, 2)
    list(calm)
    network, alone = run.network, threading.Lock()

    def narrow(params, batch):
        if not alone.acquire(blocking=False):
            raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 1 bytes.")
        try:
            threading.Event().wait(0.2)
            return network(params, batch)
        finally:
            alone.release()

    monkeypatch.setattr(run, "network", narrow)
    next(run)  # measures only
    list(run)
    assert run.at_once == 1 and run.step == 2
    assert all(torch.equal(v, run.now()[n]) for n, v in calm.now().items())


def test_another_failure_is_no_lack_of_memory(kokoro, items, monkeypatch):
    run = run_of(kokoro, items, 2)
    next(run)

    def broken(params, batch):
        raise RuntimeError("mat1 and mat2 shapes cannot be multiplied")

    monkeypatch.setattr(run, "network", broken)
    with pytest.raises(RuntimeError, match="mat1"):
        next(run)
    assert run.at_once == 2


def test_threads_are_the_cores_or_what_the_user_says(monkeypatch):
    monkeypatch.delenv(THREADS, raising=False)
    assert side_by_side() == cores()
    monkeypatch.setenv(THREADS, "3")
    assert side_by_side() == 3
    for wrong in ("0", "two", "-1"):
        monkeypatch.setenv(THREADS, wrong)
        with pytest.raises(InputError, match=f"{THREADS} is '{wrong}'; a number from 1 on is expected"):
            side_by_side()


def test_a_network_whose_module_holds_the_parameters_goes_one_at_a_time(starter, items):
    """Two threads in one functional_call would compute with each other's parameters."""
    paths = find_clips([EXAMPLES / "clips"])[:2]
    small = [c.item for c in whole_clips(paths, complete_transcripts(paths, None), starter).values()]
    assert AdaptationRun(starter, choose_method(starter, "sigma"), small, steps=1, at_once=2).at_once == 1

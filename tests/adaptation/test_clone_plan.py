"""What the plan of a clone promises, against its parts."""

from __future__ import annotations

import itertools
import time
from dataclasses import replace
from types import SimpleNamespace

import pytest

from tests.conftest import EXAMPLES
from tts_meta.adaptation import clone_in_progress, clone_plan
from tts_meta.adaptation.adaptation_run import LONG_SHARE, Progress
from tts_meta.adaptation.clone_in_progress import CHECK, Cloning
from tts_meta.adaptation.clone_settings import Settings
from tts_meta.clips.checkup import check_clips
from tts_meta.clips.prepared_clips import prepare
from tts_meta.clips.transcripts import find_clips, find_transcripts


@pytest.fixture(scope="module")
def cloning(starter):
    paths = find_clips([EXAMPLES / "clips"])[:4]
    clips = prepare(check_clips(paths, find_transcripts(paths, None), starter).require(), starter)
    return Cloning(starter, clips, Settings("planned", 300, stop=True, consent="a test"))


def test_minutes_are_of_all_steps_and_memory_is_the_workers_and_the_speechs(cloning, monkeypatch):
    """A step takes 2 s here, and nothing is watched."""
    clock = itertools.count(0, 2)
    monkeypatch.setattr(clone_plan, "watch_seconds", lambda: 0)
    monkeypatch.setattr(clone_plan, "time", SimpleNamespace(monotonic=lambda: next(clock)))
    found = clone_plan.plan(cloning)
    assert found.steps == 360 and found.minutes == pytest.approx(360 * 2 * 1.1 / 60, abs=0.06)
    assert found.seconds == pytest.approx(sum(c.seconds for c in cloning.clips), abs=0.1)
    frames = sum(b["mel"].shape[1] * b["mel"].shape[2] for b in cloning.run.draw())
    worker = clone_plan.WORKER_MB[cloning.starter.kind]
    assert found.memory_mb == int(worker + clone_plan.MEGABYTES_A_FRAME * frames) and worker < found.memory_mb < worker + 500


def test_steps_of_some_modules_alone_are_cheaper(cloning, monkeypatch):
    """Of 360 steps 20 of all modules, and the seconds left are by their worth, not by their number."""
    run = cloning.run
    monkeypatch.setattr(run, "method", replace(run.method, together=20))
    assert [run.worth(n) for n in (10, 20, 30, 360)] == pytest.approx([10, 20, 20 + 10 * LONG_SHARE, 20 + 340 * LONG_SHARE])
    clock = itertools.count(0, 2)
    monkeypatch.setattr(clone_plan, "watch_seconds", lambda: 0)
    monkeypatch.setattr(clone_plan, "time", SimpleNamespace(monotonic=lambda: next(clock)))
    assert clone_plan.plan(cloning).minutes == pytest.approx(run.worth(360) * 2 * 1.1 / 60, abs=0.06)
    for step, seconds in ((0, 1.0), (10, 30.0), (180, 100.0)):
        monkeypatch.setattr(run, "step", step)
        monkeypatch.setattr(run, "seconds", seconds)
        pace = seconds / run.worth(step) if step else 0.0
        assert cloning.left == pytest.approx(pace * (run.worth(360) - run.worth(step)))


def test_watching_takes_a_sentence_and_hearing_it(monkeypatch):
    for fast, realtime in ((True, 0.16), (False, 0.7)):
        monkeypatch.setattr(clone_plan, "bf16_is_fast", lambda fast=fast: fast)
        assert clone_plan.watch_seconds() == pytest.approx(clone_plan.HEAR_SECONDS + realtime * clone_plan.SENTENCE_SECONDS)


def test_the_seconds_of_a_run_are_those_of_its_steps(cloning):
    begin, before = time.monotonic(), cloning.run.seconds
    next(cloning.run)
    first = cloning.run.seconds - before
    next(cloning.run)
    assert 0 < first < cloning.run.seconds - before <= time.monotonic() - begin


def test_stopping_is_told_of_every_check_its_loss_and_its_likeness(cloning, monkeypatch):
    told = []
    monkeypatch.setattr(clone_in_progress, "plateau", lambda checks: told.append(checks) or len(checks) == 2)
    monkeypatch.setattr(cloning, "measure_likeness", lambda: 0.5)
    for step in (30, 60):
        cloning._check(Progress(step, 41.0, 40.0 + step, step, {}, 1.0, 360))
    assert told[-1] == [(70.0, 0.5), (100.0, 0.5)] and cloning.plateau_at == 60


def test_a_clone_is_checked_every_so_many_steps_and_at_no_other(cloning, monkeypatch):
    seen, reached = [], []
    monkeypatch.setattr(cloning, "_check", lambda progress: seen.append(progress.step))
    monkeypatch.setattr(cloning, "plateau_at", None)
    first = cloning.run.step
    while not reached or reached[-1] < 2 * CHECK:
        reached.append(next(cloning).step)
    assert seen == [s for s in (CHECK, 2 * CHECK) if s > first] and set(seen) < set(reached)

"""Phase 3: the refiner puts back the spread that a smooth mel has lost, and resumes bit-equal."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from tts_meta.training.refiner import RefinerConfig, RefinerTrainer


@pytest.fixture
def pairs(tmp_path):
    """A folder with made-up predictions: the smooth mel is half of a real one that also has noise in it."""
    g = np.random.default_rng(0)
    smooth = g.normal(0, 0.5, (600, 80)).astype(np.float16)
    real = (smooth + g.normal(0, 0.6, smooth.shape)).astype(np.float16)
    np.savez(
        tmp_path / "predictions.npz", smooth=smooth, real=real, f0=np.full(600, 200.0, np.float32),
        frames=np.array([200, 200, 200]), weights=np.array([0.5, 0.25, 0.25]),
    )
    return tmp_path


def config(folder, **more) -> RefinerConfig:
    base = {"net": {"channels": 8, "blocks": 2}, "steps": 60, "batch": 4, "frames": 32, "bf16": False, "lr": 2e-3}
    return RefinerConfig(run=str(folder), distance=0.2, **{**base, **more})


def test_training_restores_the_spread(pairs):
    trainer = RefinerTrainer(config(pairs))
    logs = [trainer.train_step() for _ in range(60)]
    first, last = (np.mean([x["std"] for x in part]) for part in (logs[:5], logs[-10:]))
    assert first < 0.75 and last > first + 0.1, (first, last)
    assert logs[0]["l1"] == pytest.approx(logs[0]["l1_smooth"], rel=1e-4), "the refiner does not start as the identity"


def test_resume_is_bit_equal(pairs):
    whole = RefinerTrainer(config(pairs))
    for _ in range(6):
        whole.train_step()
    first = RefinerTrainer(config(pairs))
    for _ in range(3):
        first.train_step()
    first.save()
    second = RefinerTrainer(config(pairs))
    assert second.step == 3
    for _ in range(3):
        second.train_step()
    for a, b in zip(whole.refiner.parameters(), second.refiner.parameters(), strict=True):
        assert torch.equal(a, b)
    assert all(torch.equal(v, second.average[k]) for k, v in whole.average.items())

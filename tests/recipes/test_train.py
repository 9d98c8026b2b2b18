"""recipes/train.py end to end on a tiny corpus: all phases, kill -9 and resume, what a run folder holds."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time

import pytest
import torch

from tests.conftest import ROOT
from tests.recipes.running import recipe
from tts_meta.training.checkpoint import load_checkpoint


def command(run, corpus, steps: int, *more: str) -> list[str]:
    return [
        sys.executable, "recipes/train.py", "experiment=own", f"run={run}", f"aligner.cfg.data={corpus}",
        "aligner.cfg.rounds=3", f"multispeaker.cfg.data={corpus}", f"sigma_reptile.cfg.data={corpus}",
        "multispeaker.cfg.net={hidden: 32, speaker: 8, encoder_layers: 1, decoder_layers: 2, predictor_layers: 1, "
        "predictor_hidden: 16}",
        f"multispeaker.cfg.steps={steps}", "multispeaker.cfg.batch=4", "multispeaker.cfg.save_seconds=0",
        "++multispeaker.cfg.corpus_weights={task: 1, teach: 1}", "multispeaker.cfg.teachers=[teach]",
        "multispeaker.cfg.fold=0.7", "sigma_reptile.cfg.meta_steps=2", "sigma_reptile.cfg.save_seconds=0",
        "++sigma_reptile.cfg.corpus_share={task: 1}", "sigma_reptile.cfg.dev=0", "sigma_reptile.cfg.outer.inner_steps=3",
        "sigma_reptile.cfg.support=2", "sigma_reptile.cfg.query=1", *more,
    ]


def environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}


@pytest.fixture(scope="module")
def whole(tiny_corpus, tmp_path_factory):
    """An uninterrupted run: (folder, stderr)."""
    run = tmp_path_factory.mktemp("whole")
    done = subprocess.run(command(run, tiny_corpus, 12), cwd=ROOT, env=environment(), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    return run, done.stderr


def test_a_run_folder_holds_everything(whole):
    run, log = whole
    assert "rounds: 3" in (run / "config.yaml").read_text() and "${" not in (run / "config.yaml").read_text()
    assert (run / "aligner" / "durations.npz").is_file()
    for phase, steps in (("phase1", 12), ("phase2", 2)):
        assert load_checkpoint(run / phase / "last.safetensors")[1]["step"] == steps
        assert list((run / phase / "tensorboard").iterdir())
    rows = load_checkpoint(run / "phase2" / "last.safetensors")[1]["modules"]
    assert {"name", "parameters", "sigma_relative", "moved"} == set(rows[0])
    assert log.count("sigma/RMS") >= 2 and "decoder.blocks.1.film.weight" in log, "no module table at the checkpoints"
    lines = [json.loads(line) for line in (run / "phase2" / "log.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == [1, 2] and "query_loss" in lines[0]


def test_sigma_is_learned_on_speakers_that_phi_never_saw(whole):
    phase1 = load_checkpoint(whole[0] / "phase1" / "last.safetensors")[1]
    assert phase1["fold"] and not set(phase1["fold"]) & set(phase1["speakers"])
    assert all(s.startswith("task/") for s in phase1["fold"])


def test_a_packed_phase_1_can_be_meta_trained_from(whole, tiny_corpus, tmp_path):
    source, packed = (folder / "phase1" / "last.safetensors" for folder in (whole[0], tmp_path))
    words = [sys.executable, "recipes/starter/export_phase1.py", str(source), str(packed)]
    assert subprocess.run(words, cwd=ROOT, env=environment()).returncode == 0
    (a, _), (b, meta) = load_checkpoint(source), load_checkpoint(packed)
    assert packed.stat().st_size * 4 < source.stat().st_size and meta["step"] == 12
    assert b.keys() == {k for k in a if k.startswith("ema/")}
    for k, v in b.items():
        assert v.dtype == torch.float32
        torch.testing.assert_close(v, a[k], rtol=1e-3, atol=1e-4)
    more = f"sigma_reptile.cfg.start={packed}"
    done = recipe(*command(tmp_path, tiny_corpus, 12, "stages=[sigma_reptile]", more)[1:])
    assert done.returncode == 0, done.stderr[-3000:]
    assert load_checkpoint(tmp_path / "phase2" / "last.safetensors")[1]["step"] == 2


def test_resume_after_kill_is_bit_equal(whole, tiny_corpus, tmp_path):
    """kill -9 in the middle of phase 1, then of the wait for phase 2; the same command ends where the whole run did."""
    words = command(tmp_path, tiny_corpus, 12)
    process = subprocess.Popen(words, cwd=ROOT, env=environment(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    checkpoint = tmp_path / "phase1" / "last.safetensors"
    deadline = time.monotonic() + 200
    while not checkpoint.exists() and time.monotonic() < deadline and process.poll() is None:
        time.sleep(0.02)
    process.kill()
    process.wait()
    assert checkpoint.exists()
    assert load_checkpoint(checkpoint)[1]["step"] < 12, "the run ended before it was killed; give it more steps"
    done = subprocess.run(words, cwd=ROOT, env=environment(), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    for phase in ("phase1", "phase2"):
        a, _ = load_checkpoint(whole[0] / phase / "last.safetensors")
        b, _ = load_checkpoint(tmp_path / phase / "last.safetensors")
        assert a.keys() == b.keys()
        for k in a:
            assert torch.equal(a[k], b[k]), f"{phase} {k}"


@pytest.mark.parametrize(("more", "told"), [
    ("multispeaker.cfg.lr=0.002", "lr was 0.001 and is 0.002"), ("aligner.cfg.rounds=2", "rounds was 3 and is 2"),
    ("sigma_reptile.cfg.solver.rate=0.2", "solver.rate was 0.1 and is 0.2"),
])
def test_a_speech_run_is_not_continued_under_other_settings(whole, tiny_corpus, more, told):
    """Whichever of the three phases it is: one sentence, and the folder stays as it was."""
    run = whole[0]
    before = {f: f.read_bytes() for f in run.rglob("*") if f.is_file() and "tensorboard" not in str(f)}
    done = recipe(*command(run, tiny_corpus, 12, more)[1:])
    assert done.returncode == 2, done.stderr[-2000:]
    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith("Error: ") and told in last and "resume=false" in last, last
    after = {f: f.read_bytes() for f in run.rglob("*") if f.is_file() and "tensorboard" not in str(f)}
    changed = {f.name for f in before.keys() | after.keys() if before.get(f) != after.get(f)}
    assert changed <= {"config.yaml"}
    if "config.yaml" in changed:  # an earlier phase was accepted; what is refused is not written down
        assert told.split(" was ")[0].split(".")[-1] + ": " + told.split(" is ")[1] not in (run / "config.yaml").read_text()


def test_phase_2_is_not_continued_on_another_phase_1(whole, tiny_corpus, tmp_path):
    import shutil

    run = tmp_path / "copy"
    shutil.copytree(whole[0], run)
    assert recipe(*command(run, tiny_corpus, 13, "resume=false", "stages=[aligner,multispeaker]")[1:]).returncode == 0
    assert load_checkpoint(run / "phase1" / "last.safetensors")[1]["step"] == 13
    done = recipe(*command(run, tiny_corpus, 13)[1:])
    assert done.returncode == 2 and "inputs.start was" in done.stderr, done.stderr[-2000:]

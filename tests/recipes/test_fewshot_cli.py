"""recipes/train.py and recipes/validation/validate.py on few-shot domains from the command line: kill -9, ranks, the table."""

from __future__ import annotations

import json
import os
import shutil
import statistics
import subprocess
import sys
import time

import pytest
import torch

from tests.conftest import ROOT
from tests.recipes.running import recipe
from tts_meta.training.checkpoint import load_checkpoint


def environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}


def command(run, *more: str) -> list[str]:
    return [
        sys.executable, "recipes/train.py", "algorithm=sigma_reptile", "domain=sinusoid", f"run={run}", "meta_steps=60",
        "tasks=4", "inner.sigma.steps=5", "test.tasks=4", "fewshot.cfg.save_seconds=0", *more,
    ]


def state(run) -> dict:
    tensors, meta = load_checkpoint(run / "last.safetensors")
    return {k: v for k, v in tensors.items() if not k.startswith("outer/")} | {"step": torch.tensor(meta["step"])}


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    run = tmp_path_factory.mktemp("whole")
    done = subprocess.run(command(run), cwd=ROOT, env=environment(), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    return run


def test_kill_and_resume_is_bit_equal(whole, tmp_path):
    quiet = subprocess.DEVNULL
    process = subprocess.Popen(command(tmp_path), cwd=ROOT, env=environment(), stdout=quiet, stderr=quiet)
    checkpoint = tmp_path / "last.safetensors"
    deadline = time.monotonic() + 120
    while not checkpoint.exists() and time.monotonic() < deadline and process.poll() is None:
        time.sleep(0.01)
    process.kill()
    process.wait()
    assert 0 < load_checkpoint(checkpoint)[1]["step"] < 60, "the run was killed too late to test anything"
    subprocess.run(command(tmp_path), cwd=ROOT, env=environment(), check=True, capture_output=True)
    a, b = state(whole), state(tmp_path)
    assert all(torch.equal(v, b[k]) for k, v in a.items())
    one, two = (json.loads((r / "results.json").read_text())["curve"] for r in (whole, tmp_path))
    assert one == two


def test_two_workers_learn_what_one_does(whole, tmp_path):
    done = subprocess.run(command(tmp_path, "workers=2"), cwd=ROOT, env=environment(), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    assert json.loads((tmp_path / "results.json").read_text())["ranks"] == 2
    a, b = state(whole), state(tmp_path)
    # Sums over tasks are made in another order; 60 steps of float32 let that grow a little.
    assert all((v.float() - b[k].float()).abs().max() < 1e-2 for k, v in a.items())


def test_the_validation_table_is_resumable_row_by_row(tmp_path):
    words = [
        sys.executable, "recipes/validation/validate.py", f"folder={tmp_path}/runs", f"docs={tmp_path}/docs",
        "only=[few_tasks_100]",
        "blocks.few_tasks_100.algorithms=[maml,sigma_reptile]", "+blocks.few_tasks_100.repeated=[maml]", "seeds=2",
        'blocks.few_tasks_100.overrides=["domain=sinusoid","meta_steps=3","test.tasks=4","inner.sigma.steps=3"]',
    ]
    done = subprocess.run(words, cwd=ROOT, env=environment(), capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "3/3" in done.stdout and "min left" in done.stdout
    table = (tmp_path / "docs" / "validation_tables.md").read_text()
    assert table.count("| maml | 10 |") == 1 and "100 training tasks" in table and "±" in table
    first, second = (json.loads((tmp_path / f"runs/cpu/few_tasks_100/maml-seed{n}/results.json").read_text()) for n in (0, 1))
    found = [r["result"]["mse"]["mean"] for r in (first, second)]
    assert found[0] != found[1] and f"| {statistics.mean(found):.3f} ± {statistics.stdev(found):.3f} (2) |" in table
    assert (tmp_path / "docs" / "validation" / "few_tasks_100.png").stat().st_size > 3000
    (row,) = (tmp_path / "runs").rglob("maml-seed0")
    (row / "results.json").unlink()
    done = recipe(*words[1:])
    assert done.returncode == 0 and "1/1" in done.stdout and "3/3" not in done.stdout
    other = [w.replace('"test.tasks=4"', '"test.tasks=6"') for w in words]
    done = recipe(*other[1:])
    assert done.returncode == 2 and "test_tasks was 4 and is 6" in done.stderr and "resume=false" in done.stderr, done.stderr
    assert '"test_tasks": 4' in next((tmp_path / "runs").rglob("maml-seed0/results.json")).read_text()
    done = recipe(*other[1:], "resume=false")
    assert done.returncode == 0 and "3/3" in done.stdout, done.stderr
    assert '"test_tasks": 6' in next((tmp_path / "runs").rglob("maml-seed0/results.json")).read_text()
    # The folders of another machine are not here: their rows stay in the documents.
    shutil.rmtree(tmp_path / "runs")
    words = [w for w in words if not w.startswith("only")]
    words += ["only=[omniglot_5w5s]", "workers=0", "+blocks.few_tasks_100.published={maml: [0.5, 0.1]}"]
    done = recipe(*words[1:])
    assert done.returncode == 0, done.stderr
    rows = json.loads((tmp_path / "docs" / "validation.json").read_text())
    assert [r["algorithm"] for r in rows["few_tasks_100"]] == ["maml", "maml", "sigma_reptile"]
    assert "| tasks | published |" in (tmp_path / "docs" / "validation_tables.md").read_text()


def test_a_longer_schedule_runs_only_when_it_is_named(tmp_path):
    """Nothing waits in the short block, and the one row of the long block is not begun."""
    words = [
        "recipes/validation/validate.py", f"folder={tmp_path}/runs", f"docs={tmp_path}/docs",
        "~blocks", '+blocks.short={title: short, overrides: ["domain=sinusoid"], algorithms: []}',
        '+blocks.slow={title: slow, size: paper, overrides: ["domain=sinusoid", "meta_steps=1", "test.tasks=2"],'
        " algorithms: [maml]}",
    ]
    done = recipe(*words)
    assert done.returncode == 0 and not (tmp_path / "runs").exists(), done.stdout + done.stderr
    done = recipe(*words, "only=[slow]")
    assert done.returncode == 0 and "1/1" in done.stdout, done.stdout + done.stderr
    assert (tmp_path / "runs/paper/slow/maml-seed0/results.json").is_file()


def test_discovery_needs_a_sigma_run(whole, tmp_path):
    script = "recipes/validation/discover_modules.py"
    from_nothing = recipe(script, str(tmp_path))
    assert from_nothing.returncode and "is not a finished run" in from_nothing.stderr
    done = subprocess.run([sys.executable, script, str(whole), "--tasks", "4"], cwd=ROOT, env=environment(), capture_output=True,
                          text=True)
    assert done.returncode == 0, done.stderr
    rows = (whole / "modules.csv").read_text().splitlines()
    assert rows[0].startswith("k,added,sigma_relative,parameters") and len(rows) == 5 and rows[1].startswith("0,(none)")
    assert (whole / "top_k.png").is_file()

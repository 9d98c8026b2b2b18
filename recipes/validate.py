"""The validation table: every row a resumable run of recipes/train.py, two at a time; writes docs/validation.json and
docs/validation_tables.md with pictures.

    python recipes/validate.py                       # all rows that are not done yet
    python recipes/validate.py only=[sinusoid_10]    # one block
    python recipes/validate.py workers=0             # only rewrite the documents from what is there
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import hydra
from nearest import check_overrides
from omegaconf import DictConfig, OmegaConf
from validation_tables import write_tables

ROOT = Path(__file__).parent.parent


def rows(cfg: DictConfig) -> list[tuple[str, Path, list[str]]]:
    """(block, folder, overrides) of every row."""
    out = []
    for block, spec in cfg.blocks.items():
        if cfg.only and block not in cfg.only:
            continue
        for algorithm in spec.algorithms:
            folder = Path(cfg.folder) / cfg.size / block / f"{algorithm}-seed{cfg.seed}"
            words = [*spec.overrides, f"algorithm={algorithm}", f"size={cfg.size}", f"seed={cfg.seed}", f"run={folder}"]
            out.append((str(block), folder, words))
    return out


@hydra.main(version_base="1.3", config_path="../configs", config_name="validation")
def main(cfg: DictConfig) -> None:
    table = rows(cfg)
    waiting = [r for r in table if not (r[1] / "results.json").exists()] if cfg.workers else []
    running: list[tuple[subprocess.Popen, Path]] = []
    start, done, total = time.monotonic(), 0, len(waiting)
    failed = []
    while waiting or running:
        while waiting and len(running) < cfg.workers:
            _, folder, words = waiting.pop(0)
            folder.mkdir(parents=True, exist_ok=True)
            with open(folder / "log.txt", "a") as log:
                process = subprocess.Popen(
                    [sys.executable, str(ROOT / "recipes" / "train.py"), *words], stdout=log, stderr=log,
                    env={**os.environ, "OMP_NUM_THREADS": "1"},
                )
            running.append((process, folder))
        time.sleep(0.5)
        for item in [r for r in running if r[0].poll() is not None]:
            running.remove(item)
            done += 1
            minutes = (time.monotonic() - start) / 60
            print(f"{done}/{total} {item[1]} {minutes:.0f} min, about {minutes / done * (total - done):.0f} min left", flush=True)
            if item[0].returncode:
                failed.append(item[1])
                print(f"  failed, see {item[1]}/log.txt", flush=True)
    found = {}
    for block, folder, words in rows(cfg):
        if (folder / "results.json").exists():
            found.setdefault(block, []).append(json.loads((folder / "results.json").read_text()) | {"overrides": words[:-1]})
    write_tables(found, OmegaConf.to_container(cfg, resolve=True), Path(cfg.docs))  # type: ignore[arg-type]
    if failed:
        sys.exit(f"{len(failed)} of {total} rows failed: {', '.join(map(str, failed))}")


if __name__ == "__main__":
    check_overrides("validation", sys.argv[1:])
    main()

"""The validation table: every row a resumable run of recipes/train.py, two at a time; writes docs/validation.json and
docs/validation_tables.md with pictures.

    python recipes/validation/validate.py                       # all rows that are not done yet, but those of longer schedules
    python recipes/validation/validate.py only=[sinusoid_10]    # one block; so are the longer schedules asked for, by name
    python recipes/validation/validate.py workers=0             # only rewrite the documents from what is there

A row whose results were made with other settings is refused, with the difference; `resume=false` makes it anew.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import hydra
from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf
from validation_tables import write_tables

from tts_meta.errors import InputError
from tts_meta.training.fewshot.run import ELSEWHERE
from tts_meta.training.settings import check_same, settings_of

sys.path.append(str(Path(__file__).resolve().parents[1]))  # recipes/, for what they share

from shared.nearest import CONFIGS, check_overrides  # noqa: E402

ROOT = Path(__file__).resolve().parents[2]


def rows(cfg: DictConfig, only: Sequence[str]) -> list[tuple[str, Path, list[str]]]:
    """(block, folder, overrides) of every row of the blocks `only`, or of all; those with more seeds have a folder of each."""
    out = []
    for block, spec in cfg.blocks.items():
        if only and block not in only:
            continue
        for algorithm in spec.algorithms:
            size = spec.get("size", cfg.size)
            for seed in range(cfg.seed, cfg.seed + (cfg.seeds if algorithm in spec.get("repeated", ()) else 1)):
                folder = Path(cfg.folder) / size / block / f"{algorithm}-seed{seed}"
                chosen = {"algorithm": algorithm, "size": size, "seed": seed, "device": cfg.device, "run": folder}
                out.append((str(block), folder, [*spec.overrides, *(f"{k}={v}" for k, v in chosen.items())]))
    return out


def asked(cfg: DictConfig) -> list[str]:
    """The blocks that are run: those named, or all of the table's own size. A longer schedule is hours a row."""
    return list(cfg.only) or [str(block) for block, spec in cfg.blocks.items() if spec.get("size", cfg.size) == cfg.size]


def changed(row: tuple[str, Path, list[str]]) -> str:
    """What speaks against the results that a row's folder holds: a sentence, or nothing."""
    _, folder, words = row
    with initialize_config_dir(str(CONFIGS), version_base="1.3"):
        cfg = instantiate(compose("train", words).fewshot.cfg, _convert_="all")
    try:
        found = json.loads((folder / "results.json").read_text())
        check_same(folder, found.get("settings"), settings_of(cfg, ELSEWHERE))
    except InputError as e:
        return str(e)
    return ""


def collect(cfg: DictConfig) -> dict[str, list[dict]]:
    """{block: results of its rows}. A row whose folder is not here, made on another machine perhaps, is as the documents have
    it."""
    path = Path(cfg.docs) / "validation.json"
    written = json.loads(path.read_text()) if path.is_file() else {}
    known = {(block, f"{r['algorithm']}-seed{r['seed']}"): r for block, results in written.items() for r in results}
    found: dict[str, list[dict]] = {}
    for block, folder, words in rows(cfg, []):
        if (folder / "results.json").exists():
            found.setdefault(block, []).append(json.loads((folder / "results.json").read_text()) | {"overrides": words[:-1]})
        elif row := known.get((block, folder.name)):
            found.setdefault(block, []).append(row)
    return found


@hydra.main(version_base="1.3", config_path="../../configs", config_name="validation")
def main(cfg: DictConfig) -> None:
    table = rows(cfg, asked(cfg))
    GlobalHydra.instance().clear()  # the rows' configurations are composed here too
    stale = {r[1]: why for r in table if (r[1] / "results.json").exists() and (why := changed(r))}
    if stale and cfg.resume:
        print(f"Error: {next(iter(stale.values()))}", file=sys.stderr)
        sys.exit(2)
    waiting = [r for r in table if r[1] in stale or not (r[1] / "results.json").exists()] if cfg.workers else []
    running: list[tuple[subprocess.Popen, Path]] = []
    start, done, total = time.monotonic(), 0, len(waiting)
    failed = []
    while waiting or running:
        while waiting and len(running) < cfg.workers:
            _, folder, words = waiting.pop(0)
            folder.mkdir(parents=True, exist_ok=True)
            words = [*words, f"resume={folder not in stale}"]
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
    write_tables(collect(cfg), OmegaConf.to_container(cfg, resolve=True), Path(cfg.docs))  # type: ignore[arg-type]
    if failed:
        sys.exit(f"{len(failed)} of {total} rows failed: {', '.join(map(str, failed))}")


if __name__ == "__main__":
    check_overrides("validation", sys.argv[1:])
    main()

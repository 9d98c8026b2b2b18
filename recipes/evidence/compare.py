"""Compare methods of adaptation on real held-out speakers: the evidence. Resumable cell by cell, safe to kill.

    python recipes/evidence/compare.py experiment=adaptation_grid              # all blocks, two cells at a time
    python recipes/evidence/compare.py only=[main] 'blocks.main.speakers=[p225]' out=/tmp/try
    python recipes/evidence/evidence.py                                        # docs/small-network-evidence.md and the HTML page

A cell is one method, speaker, number of clips and draw of them. Its JSON has the curve (loss of clips that no method
sees, every few steps) and, at the steps `judged` (of the block, or of all), what the clone says and how it measures; the
solver's state stays beside it, so that a longer block continues it. Nothing is chosen by these numbers.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

import hydra
import torch
from compare_measures import Query, bounds, keep_sounds, measured
from compare_walk import Walk, support_of, watched
from compare_world import Cell, World, cells
from omegaconf import DictConfig, OmegaConf

from tts_meta.audio.files import replace_file
from tts_meta.audio.mel import HOP, SAMPLE_RATE
from tts_meta.evaluation.judge import realtime_factor
from tts_meta.meta.tree import Tree
from tts_meta.speaking.synthesize import Synthesizer
from tts_meta.starters.variance import measure_gains

sys.path.append(str(Path(__file__).resolve().parents[1]))  # recipes/, for what they share

from shared.nearest import check_overrides  # noqa: E402


def run_cell(world: World, cell: Cell) -> None:
    """Make or continue a cell up to its steps."""
    cfg, path = world.cfg, world.out / "cells" / f"{cell.name()}.json"
    state = world.out / "states" / f"{cell.name()}.safetensors"
    done = json.loads(path.read_text()) if path.exists() else None
    identity = world.identity(cell.method)
    if done and done["identity"] != identity:
        done = None
    if done and done["steps"] >= cell.steps:
        return
    judge, clips = world.speaker(cell.speaker)
    s = world.speakers[cell.speaker]
    walk = Walk(world, cell, support_of(s, clips, cell))
    query = Query(walk.starter, [clips[p].item for p in s.reference if p in clips])
    result: dict = done or {"curve": {}, "judged": {}, "seconds": 0.0, "best": None}
    if done and state.exists():
        walk.restore(state)
    elif done:
        result = {"curve": {}, "judged": {}, "seconds": 0.0, "best": None}
    last = max(map(int, result["curve"]), default=-1)
    # phi itself speaks alike for every method that starts from it with the same clips.
    known = walk.starter.identity[:16] + f"-{cell.speaker}-{cell.shots}-{cell.seed}"
    start = world.out / "starts" / f"{known}.json"
    best_loss, best = (result["best"] or {}).get("loss", float("inf")), None

    def speak(deltas: Tree, step: int | str) -> None:
        quality = step in ("best", cell.steps) or step in cfg.quality
        gains = measure_gains(walk.starter, deltas, [*walk.inside, *walk.outside])  # as `clone` does, for every method
        said = list(judge.saying(Synthesizer(walk.starter, deltas, gains=gains), quality))
        found = measured([(s.measured, s.beside) for s in said], quality)
        result["judged"][str(step)] = found | {"realtime_factor": realtime_factor(said)}
        if step == 0:
            replace_file(start, json.dumps(result["judged"]["0"]).encode())
        if cell.speaker in cfg.sounds and cell.seed == 0:
            keep_sounds(world, f"{cell.name()}-{step}", [s.sound.samples for s in said])

    for step in sorted({*watched(cell.steps), *(j for j in cell.judged if isinstance(j, int) and j <= cell.steps)}):
        if step <= last:
            continue
        deltas = walk.at(step)
        loss = query(deltas)
        result["curve"][str(step)] = loss
        if loss["total"] < best_loss:
            best_loss, best = loss["total"], {k: v.clone() for k, v in deltas.items()}
            result["best"] = {"step": step, "loss": best_loss}
        if step == 0 and 0 in cell.judged and start.exists():
            result["judged"]["0"] = json.loads(start.read_text())
        elif step in cell.judged:
            speak(deltas, step)
    if best is not None and "best" in cell.judged:
        at = str(result["best"]["step"])
        if at in result["judged"] and "dnsmos" in result["judged"][at]["rows"][0]:
            result["judged"]["best"] = result["judged"][at]
            for file in (world.out / "sounds").glob(f"{cell.name()}-{at}-*.ogg"):
                replace_file(file.with_name(file.name.replace(f"-{at}-", "-best-")), file.read_bytes())
        else:
            speak(best, "best")
    result |= {
        "steps": cell.steps, "seconds": result["seconds"] + walk.seconds, "parameters": walk.moved,
        "seconds_of_speech": sum(len(i.mel) for i in walk.inside + walk.outside) * HOP / SAMPLE_RATE,
        "identity": identity, **{k: getattr(cell, k) for k in ("method", "speaker", "shots", "seed")},
    }
    walk.save(state)
    replace_file(path, json.dumps(result).encode())


@hydra.main(version_base="1.3", config_path="../../configs/compare", config_name="compare")
def main(cfg: DictConfig) -> None:
    torch.set_num_threads(1)
    world = World(cfg)
    table = cells(cfg, list(world.speakers.values()))
    if cfg.workers > 1 and cfg.share[1] == 1:
        for cell in table:  # made once, before the workers want them
            world.starter(cfg.methods[cell.method].starter)
        command = [sys.executable, *sys.argv]
        started = [subprocess.Popen([*command, f"share=[{i},{cfg.workers}]"]) for i in range(cfg.workers)]
        sys.exit(max(p.wait() for p in started))
    begin, todo = time.monotonic(), table[cfg.share[0] :: cfg.share[1]]
    for number, cell in enumerate(todo):
        bounds(world, cell.speaker)
        run_cell(world, cell)
        minutes = (time.monotonic() - begin) / 60
        print(f"{number + 1}/{len(todo)} {cell.name()} {minutes:.0f} min", flush=True)
    replace_file(world.out / "config.yaml", OmegaConf.to_yaml(cfg, resolve=True).encode())


if __name__ == "__main__":
    check_overrides("compare", sys.argv[1:], folder="compare")
    main()

"""Choose the learning rates of the compared methods on development speakers of the fold (never held-out ones).

    python recipes/evidence/choose_rates.py --speakers 3 --steps 200 [--methods finetune_all cln] [--share 0 2]

Development speakers were seen neither by phase 1 nor by a phase 2. Every method of the comparison that has `rates`
(configs/compare/experiment/adaptation_grid.yaml) gets the same number of rates, speakers and steps; kept is the rate
whose mean loss at each speaker's own best step is lowest: the choice that flatters the method most. Of rates that are
within 0.15 nats of it, the one with the lowest last loss is kept, which flatters it at long horizons too. Resumable.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

import numpy as np
import torch
from compare_measures import Query
from compare_world import World
from hydra import compose, initialize_config_dir
from omegaconf import open_dict

from tts_meta.adaptation.adaptation_run import AdaptationRun
from tts_meta.audio.files import replace_file

sys.path.append(str(Path(__file__).resolve().parents[1]))  # recipes/, for what they share

from shared.nearest import CONFIGS  # noqa: E402
from shared.speech_run import load_trainer  # noqa: E402

TIE = 0.15  # nats per frame


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--run", type=Path, default=Path("runs/starter"))
    parser.add_argument("--data", help="the prepared corpus, where it has moved since the training")
    parser.add_argument("--out", type=Path, default=Path("runs/evidence/rates"))
    parser.add_argument("--methods", nargs="*")
    parser.add_argument("--speakers", type=int, default=3)
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--share", type=int, nargs=2, default=[0, 1], help="take every n-th candidate from the i-th on: I N")
    args = parser.parse_args()
    torch.set_num_threads(1)
    with initialize_config_dir(str(CONFIGS / "compare"), version_base="1.3"):
        cfg = compose("compare")
    world, trainer = World(cfg), load_trainer(args.run, args.data)
    names = sorted(trainer.dev, key=lambda s: -len(trainer.groups[s]))[: args.speakers]
    rated = [m for m in args.methods or cfg.methods if "rates" in cfg.methods[m]]
    candidates = [(m, rate) for m in rated for rate in cfg.methods[m].rates]
    for method, rate in candidates[args.share[0] :: args.share[1]]:
        with open_dict(cfg):
            cfg.methods[method].rate = rate
        starter, chosen = world.method(method)
        for name in names:
            path = args.out / starter.digest[:8] / str(args.steps) / f"{method} {rate:.3g} {name.replace('/', '_')}.json"
            if path.exists():
                continue
            task = trainer.task(name, torch.Generator().manual_seed(0))
            query = Query(starter, list(task.query_items))
            run = AdaptationRun(
                starter, chosen, list(task.support_items), (), args.steps, 10, starter.adaptation.clips
            )
            curve = [(p.step, query(run.now())["total"]) for p in run]
            replace_file(path, json.dumps(curve).encode())
            print(f"{path.stem}: best {min(v for _, v in curve):.2f}, last {curve[-1][1]:.2f}", flush=True)
    print("\n| method | rate | best (mean over speakers) | last |\n|---|---|---|---|")
    for method in rated:
        digest, rows = world.starter(cfg.methods[method].starter).digest[:8], []
        for rate in cfg.methods[method].rates:
            files = sorted((args.out / digest / str(args.steps)).glob(f"{method} {rate:.3g} *.json"))
            found = [json.loads(p.read_text()) for p in files]
            if len(found) == len(names):
                rows.append((
                    float(np.mean([min(v for _, v in c) for c in found])), float(np.mean([c[-1][1] for c in found])), rate
                ))
        lowest = min((r[0] for r in rows), default=0.0)
        kept = min((r for r in rows if r[0] <= lowest + TIE), key=lambda r: r[1], default=None)
        for best, last, rate in rows:
            mark = " **kept**" if (best, last, rate) == kept and len(rows) == len(cfg.methods[method].rates) else ""
            print(f"| {method} | {rate:.3g}{mark} | {best:.2f} | {last:.2f} |")


if __name__ == "__main__":
    main()

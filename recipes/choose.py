"""Choose the threshold of sigma and the rates of the baselines on development speakers of the fold (never held-out ones).

    python recipes/choose.py cache/train --run runs/starter --out out/choose --speakers 6 --steps 300

Development speakers were seen neither by phase 1 nor by phase 2. Each is split into support and query utterances and
adapted by every candidate; the table gives the query loss (nats per frame) at growing steps, mean over the speakers.
Resumable: a candidate that was measured is not run again.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
import torch

from tts_meta.audio.files import replace_file
from tts_meta.training.checkpoint import load_checkpoint
from tts_meta.training.sigma_reptile import SigmaReptileConfig, SigmaReptileTrainer
from tts_meta.voices.adapt import AdaptationRun, Method, choose_method
from tts_meta.voices.starter import Starter, load_starter


def candidates(starter: Starter, thresholds: list[float], embedding: list[float], everything: list[float]) -> dict[str, Method]:
    """Name -> method."""
    found = {f"sigma>={t:g}": choose_method(starter, "sigma", t) for t in thresholds}
    found |= {f"embedding {r:g}": choose_method(starter, "embedding", rate=r) for r in embedding}
    return found | {f"all {r:g}": choose_method(starter, "all", rate=r) for r in everything}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data")
    parser.add_argument("--run", type=Path, default=Path("runs/starter"))
    parser.add_argument("--starter", type=Path, help="folder of the exported starter; default: the package's")
    parser.add_argument("--out", type=Path, default=Path("out/choose"))
    parser.add_argument("--speakers", type=int, default=6)
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--thresholds", type=float, nargs="*", default=[0.0, 0.03, 0.05, 0.08, 0.12])
    parser.add_argument("--embedding", type=float, nargs="*", default=[0.01, 0.03, 0.1])
    parser.add_argument("--all", type=float, nargs="*", default=[1e-4, 3e-4, 1e-3])
    parser.add_argument("--share", type=int, nargs=2, default=[0, 1], help="take every n-th speaker from the i-th on: I N")
    args = parser.parse_args()
    torch.set_num_threads(1)
    starter = load_starter(args.starter)
    config = load_checkpoint(args.run / "phase2" / "last.safetensors")[1]["config"]
    trainer = SigmaReptileTrainer(SigmaReptileConfig(**{**config, "data": args.data}))
    # Those with the most clips first: a query set of one short piece says little.
    names = sorted(trainer.dev, key=lambda s: -len(trainer.groups[s]))[: args.speakers]
    methods = candidates(starter, args.thresholds, args.embedding, args.all)
    for name in names[args.share[0] :: args.share[1]]:
        task = trainer.task(name, torch.Generator().manual_seed(0))
        for label, method in methods.items():
            path = args.out / starter.digest[:8] / f"{name.replace('/', '_')} {label}.json"
            if path.exists():
                continue
            run = AdaptationRun(
                starter, method, task.support_items, task.query_items, args.steps, chunk=args.steps // 10,
                clips=starter.info["adaptation"]["clips"],
            )
            curve = [(p.step, p.heldout_loss) for p in run]
            moved = sum(v.numel() for v in run.phi.values())
            result = {"curve": curve, "parameters": moved, "seconds": round(run.seconds, 1)}
            replace_file(path, json.dumps(result).encode())
            best = min(v for _, v in curve)
            print(f"{name} {label}: {curve[0][1]:.2f} -> best {best:.2f}, last {curve[-1][1]:.2f}", flush=True)
    print(f"\n| candidate | parameters | {' | '.join(str(args.steps * i // 10) for i in (0, 1, 2, 4, 6, 8, 10))} | best |")
    print("|---" * 10 + "|")
    for label in methods:
        paths = sorted((args.out / starter.digest[:8]).glob(f"* {label}.json"))
        found = [json.loads(p.read_text()) for p in paths]
        if found:
            mean = np.mean([[v for _, v in f["curve"]] for f in found], axis=0)
            cells = " | ".join(f"{mean[i]:.2f}" for i in (0, 1, 2, 4, 6, 8, 10))
            print(f"| {label} | {found[0]['parameters']:,} | {cells} | {mean.min():.2f} |")


if __name__ == "__main__":
    main()

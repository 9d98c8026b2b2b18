"""Choose the modules that a clone moves, on development speakers of the fold (never held-out ones).

    python recipes/starter/choose_modules.py runs/starter --data cache/train --share 0.185 --out runs/starter/worth.json

Every development speaker (seen by neither phase) is adapted under the learned prior with all modules but the frozen
ones free. Then one module after the other is put back to phi: the rise of the query loss (nats per frame) is what its
movement was worth. Sigma alone does not say that: a module that the few clips hardly constrain, like a predictor of one
number a phone, may go far and be worth nothing. Modules are taken in the order of worth per parameter, up to `--share`
of all parameters. Resumable speaker by speaker.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

import numpy as np
import torch

from tts_meta.adaptation.adaptation_run import AdaptationRun
from tts_meta.adaptation.methods import shrinking
from tts_meta.audio.files import replace_file
from tts_meta.starters.small_starter import Starter
from tts_meta.training.sigma_reptile import SigmaReptileTrainer

sys.path.append(str(Path(__file__).resolve().parents[1]))  # recipes/, for what they share

from shared.speech_run import load_trainer, make_starter, phase2_parts  # noqa: E402


def worth_of(trainer: SigmaReptileTrainer, starter: Starter, speaker: str, steps: int) -> dict:
    """{modules: {name: nats per frame}, start, end: query loss at phi and after adaptation}."""
    task = trainer.task(speaker, torch.Generator().manual_seed(0))
    method = shrinking(starter)  # a starter without a list yet moves all but the frozen ones
    clips = starter.adaptation.clips
    run = AdaptationRun(starter, method, task.support_items, task.query_items, steps, steps, clips)
    for _ in run:
        pass
    end, modules = run.heldout_loss(), {}
    for m in method.modules:
        back = {n: run.phi[n].unsqueeze(0) for n in starter.partition.members(m)}
        modules[m] = run.heldout_loss({**run.theta, **back}) - end
    return {"modules": modules, "start": run.history[0][1], "end": end}


def choose(worth: dict[str, float], sizes: dict[str, int], budget: float) -> list[str]:
    """Modules by worth per parameter while they fit into `budget` parameters; none that is worth nothing."""
    taken, used = [], 0
    for m in sorted(worth, key=lambda m: -worth[m] / sizes[m]):
        if worth[m] > 0 and used + sizes[m] <= budget:
            taken.append(m)
            used += sizes[m]
    return taken


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", type=Path)
    parser.add_argument("--data", help="the prepared corpus, where it has moved since the training")
    parser.add_argument("--steps", type=int, default=150)
    parser.add_argument("--share", type=float, default=0.185)
    parser.add_argument("--speakers", type=int, default=20)
    parser.add_argument("--out", type=Path, help="default: worth.json in the run's folder")
    args = parser.parse_args()
    args.out = args.out or args.run / "worth.json"
    torch.set_num_threads(1)
    trainer, starter = load_trainer(args.run, args.data), make_starter(phase2_parts(args.run), args.run / "starter")
    done = json.loads(args.out.read_text()) if args.out.exists() else {}
    made_of = {"starter": starter.digest, "steps": args.steps}
    rows = done.get("speakers", {}) if made_of.items() <= done.items() else {}
    for speaker in sorted(trainer.dev, key=lambda s: -len(trainer.groups[s]))[: args.speakers]:
        if speaker not in rows:
            rows[speaker] = worth_of(trainer, starter, speaker, args.steps)
            print(f"{speaker}: {rows[speaker]['start']:.2f} -> {rows[speaker]['end']:.2f}", flush=True)
            replace_file(args.out, json.dumps({**made_of, "speakers": rows}).encode())
    names = next(iter(rows.values()))["modules"]
    worth = {m: float(np.mean([r["modules"][m] for r in rows.values()])) for m in names}
    sizes = {m: sum(starter.phi[n].numel() for n in starter.partition.members(m)) for m in starter.partition.modules}
    taken = choose(worth, sizes, args.share * sum(sizes.values()))
    replace_file(args.out, json.dumps(
        {**made_of, "share": args.share, "worth": worth, "moved": taken, "speakers": rows}, indent=1
    ).encode())
    print(f"\n| module | parameters | sigma / RMS | worth (nats per frame) | moved |\n{'|---' * 5}|")
    for m in sorted(worth, key=lambda m: -worth[m]):
        print(f"| {m} | {sizes[m]:,} | {starter.sigma_relative[m]:.3f} | {worth[m]:.4f} | {'yes' if m in taken else ''} |")
    print(f"{sum(sizes[m] for m in taken):,} of {sum(sizes.values()):,} parameters move")


if __name__ == "__main__":
    main()

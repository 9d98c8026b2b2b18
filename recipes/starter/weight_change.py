"""Modules by weight-change ratio, VoiceTailor's rule: the cheap rival of sigma, at the same number of parameters.

    python recipes/starter/weight_change.py --out runs/evidence/weight_change.json

Every development speaker fine-tunes all weights from the multi-speaker phi; modules are taken by the mean of
|theta_m - phi_m| / |phi_m|, up to the number of parameters that the package's starter moves.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

import numpy as np
import torch
from choose_modules import choose

from tts_meta.adaptation.adaptation_run import AdaptationRun
from tts_meta.adaptation.methods import free
from tts_meta.audio.files import replace_file
from tts_meta.meta.prior import module_rms
from tts_meta.starters.small_starter import load_starter

sys.path.append(str(Path(__file__).resolve().parents[1]))  # recipes/, for what they share

from shared.speech_run import load_trainer, make_starter, phase1_parts  # noqa: E402


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--run", type=Path, default=Path("runs/starter"))
    parser.add_argument("--data", help="the prepared corpus, where it has moved since the training")
    parser.add_argument("--out", type=Path, default=Path("runs/evidence/weight_change.json"))
    parser.add_argument("--speakers", type=int, default=6)
    parser.add_argument("--steps", type=int, default=100)
    parser.add_argument("--rate", type=float, default=3e-5)
    args = parser.parse_args()
    torch.set_num_threads(1)
    package = load_starter()
    sizes = {r["name"]: r["parameters"] for r in package.module_table()}
    budget = sum(sizes[m] for m in package.moved())
    trainer = load_trainer(args.run, args.data)
    starter = make_starter(phase1_parts(args.run), args.run / "multispeaker")
    rms = dict(zip(starter.partition.modules, module_rms(starter.partition, starter.phi, trainer.unit).tolist(), strict=True))
    ratios: dict[str, list[float]] = {m: [] for m in starter.partition.modules}
    for speaker in sorted(trainer.dev, key=lambda s: -len(trainer.groups[s]))[: args.speakers]:
        task = trainer.task(speaker, torch.Generator().manual_seed(0))
        clips = starter.adaptation.clips
        run = AdaptationRun(starter, free(starter, ["*"], args.rate), list(task.support_items), (), args.steps, args.steps, clips)
        for _ in run:
            pass
        for m, d in run.distance().items():
            ratios[m].append(d / rms[m])
        print(speaker, flush=True)
    ratio = {m: float(np.mean(v)) for m, v in ratios.items()}
    # The ratio itself decides, not the ratio a parameter: a module of the rule is worth as much as its weights changed.
    taken = choose({m: ratio[m] * sizes[m] for m in ratio}, sizes, budget)
    replace_file(args.out, json.dumps({"moved": taken, "ratio": ratio}, indent=1).encode())
    for m in sorted(ratio, key=lambda m: -ratio[m])[:30]:
        print(f"{m:36s} {sizes[m]:9,d} {ratio[m]:.4f} {'moved' if m in taken else ''}")
    print(f"{sum(sizes[m] for m in taken):,} parameters of {budget:,}")


if __name__ == "__main__":
    main()

"""Weights by how much they change, VoiceTailor's rule (Kim et al. 2024): the cheap rival of sigma, at as many numbers.

    python recipes/kokoro/weight_change.py DATA/train --speakers 2961,7127,8230 --out docs/kokoro_weight_change.json

Every weight of blocks and head of development people's clones moves (120 steps); tensors are taken by the mean of
|theta - phi| / |phi| until there are as many numbers as a clone moves. recipes/kokoro/evidence.py moves those alone.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

import numpy as np
import torch

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "recipes" / "kokoro")]

from arms import ARMS, dense, recorded, split  # noqa: E402

from tts_meta.audio.files import replace_file  # noqa: E402
from tts_meta.starters.kokoro_starter import load_kokoro  # noqa: E402


def taken(ratio: dict[str, float], sizes: dict[str, int], budget: int) -> list[str]:
    """Names by falling ratio, as long as they fit in the budget."""
    found: list[str] = []
    for name in sorted(ratio, key=lambda n: -ratio[n]):
        if sum(sizes[n] for n in found) + sizes[name] <= budget:
            found.append(name)
    return found


def main() -> None:
    p = argparse.ArgumentParser()
    p.add_argument("data", type=Path)
    p.add_argument("--speakers", required=True, help="apart by commas")
    p.add_argument("--out", type=Path, required=True)
    p.add_argument("--steps", type=int, default=120)
    args = p.parse_args()
    torch.set_num_threads(1)
    starter = load_kokoro()
    before = dict(starter.net.named_parameters())
    names = args.speakers.split(",")
    ratios: dict[str, list[float]] = {}
    for name, person in recorded(args.data, starter, names).items():
        spec = {**ARMS["every weight"], "steps": [args.steps]}
        _, trained, _ = next(dense(starter, split(person)[0], spec, 0))
        for key, weight in trained.net.named_parameters():
            # The right halves of low-rank updates are a clone's, not the network's.
            if key.startswith(tuple(spec["dense"])) and not key.endswith(".down") and float(before[key].norm()):
                ratios.setdefault(key, []).append(float((weight.detach() - before[key]).norm() / before[key].norm()))
        print(name, flush=True)
    ratio = {n: round(float(np.mean(v)), 5) for n, v in ratios.items()}
    sizes = {n: before[n].numel() for n in ratio}
    budget = sum(starter.phi[m].numel() for m in starter.moved())
    moved = taken(ratio, sizes, budget)
    print(f"{len(moved)} of {len(ratio)} tensors, {sum(sizes[n] for n in moved):,} numbers")
    found = {"speakers": names, "moved": moved, "ratio": ratio}
    replace_file(args.out, (json.dumps(found, indent=1) + "\n").encode())


if __name__ == "__main__":
    main()

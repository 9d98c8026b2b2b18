"""The starter of the Kokoro network on one GPU: head, people (phase 1), sigma. One stage a call; each writes its
result to --out and begins from the one before.

    python recipes/kokoro/campaign.py generate head people --data DIR --out DIR
    python recipes/kokoro/campaign.py sigma --data DIR --out DIR

DIR holds kokoro.onnx (or the wheels of its four parts), and texts.safetensors and people*.xz of recipes/kokoro/pack.py.
Seconds are budgets: a stage ends when its time is over and its learning rate has fallen to nothing by then.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import torch

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "recipes" / "kokoro")]

from phase1 import Phase1  # noqa: E402
from sigma_many import SigmaMany  # noqa: E402


class Campaign(Phase1, SigmaMany):
    """Every stage, by name."""


def main() -> None:
    p = argparse.ArgumentParser()
    p.add_argument("stages", nargs="+", choices=["generate", "head", "people", "sigma"])
    p.add_argument("--data", required=True)
    p.add_argument("--out", required=True)
    p.add_argument("--work", default="")
    p.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    p.add_argument("--seed", type=int, default=0)
    for name, value in {
        "rank": 16, "prosody_rank": 8, "base_rank": 48, "base_prosody_rank": 16, "sentences": 100_000, "generate_seconds": 60.0,
        "head_seconds": 60.0, "head_batch": 64, "head_rate": 2e-3, "people_seconds": 150.0,
        "batch_seconds": 240.0, "own_seconds": 80.0, "base_rate": 3e-4, "small_rate": 1e-4, "body_rate": 3e-4,
        "style_rate": 3e-3, "delta_rate": 5e-4, "report": 200, "limit": 0,
        "tasks": 16, "support": 10, "query": 5, "clips": 2, "inner_steps": 50, "inner_rate": 0.1, "inner_decay": 0.02,
        "phi_rate": 0.1, "sigma_rate": 0.12, "sigma_start": 1.0, "meta_steps": 1000, "sigma_seconds": 200.0, "sigma_report": 5,
        "sigma_from": "people", "init": "", "styles_only": 0, "sound_only": 0, "threads": 1, "bf16": 0,
    }.items():
        p.add_argument("--" + name.replace("_", "-"), type=type(value), default=value)
    args = p.parse_args()
    torch.set_num_threads(args.threads)
    campaign = Campaign(args)
    for stage in args.stages:
        getattr(campaign, stage)()
        campaign.log(f"{stage} finished")


if __name__ == "__main__":
    main()

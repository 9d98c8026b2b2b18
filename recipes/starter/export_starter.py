"""Turn a run into the starter of the package (tts_meta/assets): half precision + JSON.

    python recipes/starter/export_starter.py runs/starter
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

import torch

from tts_meta.training.modules import print_module_table

sys.path.append(str(Path(__file__).resolve().parents[1]))  # recipes/, for what they share

from shared.speech_run import make_starter, phase2_parts  # noqa: E402


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", type=Path, help="folder of the run, with phase2 in it")
    parser.add_argument("--worth", type=Path, help="of recipes/starter/choose_modules.py; default: the run's worth.json")
    parser.add_argument("--widths", type=Path, help="of recipes/starter/widen_sigma.py; default: the run's widths.json")
    parser.add_argument("--out", type=Path, default=Path("tts_meta/assets"))
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--embedding-rate", type=float, default=0.03)
    parser.add_argument("--all-rate", type=float, default=3e-4)
    args = parser.parse_args()
    args.worth, args.widths = args.worth or args.run / "worth.json", args.widths or args.run / "widths.json"
    worth, widths = json.loads(args.worth.read_text()), json.loads(args.widths.read_text())["widths"]
    parts = phase2_parts(args.run)
    for row in parts[2]["modules"]:
        row["worth"] = worth["worth"].get(row["name"])
    starter = make_starter(
        parts, args.out, moved=worth["moved"], widths=widths, steps=args.steps, embedding_rate=args.embedding_rate,
        all_rate=args.all_rate,
    )
    print_module_table(starter.module_table())
    moved = sum(r["parameters"] for r in starter.module_table() if r["moved"])
    print(f"{moved:,} parameters move; {sum(p.numel() for p in starter.phi.values()):,} in all; digest {starter.digest}")


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()

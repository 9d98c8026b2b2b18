"""Turn a run into the starter of the package (tts_meta/assets): half precision + JSON.

    python recipes/starter/export_starter.py runs/starter

Also writes other_speakers.safetensors: Resemblyzer embeddings of one clip of each of 80 training speakers, the floor
of every evaluation.
"""

from __future__ import annotations

import argparse
import csv
import json
import sys
from pathlib import Path

import numpy as np
import torch
from safetensors.numpy import save

from tts_meta.audio.files import read_audio, replace_file
from tts_meta.measures.similarity import embed
from tts_meta.training.modules import print_module_table

sys.path.append(str(Path(__file__).resolve().parents[1]))  # recipes/, for what they share

from shared.speech_run import make_starter, phase2_parts  # noqa: E402


def other_speakers(root: Path, count: int) -> np.ndarray:
    """One clip of each of `count` speakers of the packs, LibriSpeech first three quarters, speechocean762 the rest."""
    with open(root / "manifest.tsv", newline="") as f:
        rows = list(csv.DictReader(f, delimiter="\t", quoting=csv.QUOTE_NONE))
    found = []
    for corpus, share in (("librispeech-train-clean-100", 0.75), ("speechocean762", 0.25)):
        first: dict[str, str] = {}
        for r in rows:
            if r["corpus"] == corpus:
                first.setdefault(r["speaker"], r["path"])
        names = sorted(first)
        step = len(names) / (share * count)
        found += [first[names[int(i * step)]] for i in range(int(share * count))]
    return np.stack([embed(*read_audio(root / p)) for p in found])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", type=Path, help="folder of the run, with phase2 in it")
    parser.add_argument("--worth", type=Path, help="of recipes/starter/choose_modules.py; default: the run's worth.json")
    parser.add_argument("--widths", type=Path, help="of recipes/starter/widen_sigma.py; default: the run's widths.json")
    parser.add_argument("--out", type=Path, default=Path("tts_meta/assets"))
    parser.add_argument("--corpus", type=Path, default=Path("../shared/data/speech/train"))
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
    if args.corpus.exists():
        others = other_speakers(args.corpus, 80).astype(np.float32)
        replace_file(args.out / "other_speakers.safetensors", save({"embeddings": others}))
    print_module_table(starter.module_table())
    moved = sum(r["parameters"] for r in starter.module_table() if r["moved"])
    print(f"{moved:,} parameters move; {sum(p.numel() for p in starter.phi.values()):,} in all; digest {starter.digest}")


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()

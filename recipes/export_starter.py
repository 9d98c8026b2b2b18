"""Turn phase 2's checkpoint into the starter of the package (tts_meta/assets): half precision + JSON.

    python recipes/export_starter.py runs/starter/phase2/last.safetensors --data cache/train [--threshold T]

Also writes other_speakers.safetensors: Resemblyzer embeddings of one clip of each of 80 training speakers, the floor
of every evaluation.
"""

from __future__ import annotations

import argparse
import csv
import subprocess
from pathlib import Path

import numpy as np
import torch
from safetensors.numpy import save

from tts_meta.audio.files import read_audio, replace_file
from tts_meta.evaluation.similarity import embed
from tts_meta.training.checkpoint import load_checkpoint, nest
from tts_meta.training.modules import print_module_table
from tts_meta.voices.starter import load_starter, save_starter


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
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("--out", type=Path, default=Path("tts_meta/assets"))
    parser.add_argument("--corpus", type=Path, default=Path("../shared/data/speech/train"))
    parser.add_argument("--threshold", type=float, required=True)
    parser.add_argument("--steps", type=int, default=400)
    parser.add_argument("--frozen", nargs="*", default=["encoder.*"], help="modules a clone never moves, by pattern")
    parser.add_argument("--embedding-rate", type=float, default=0.02)
    parser.add_argument("--all-rate", type=float, default=3e-4)
    args = parser.parse_args()
    tensors, meta = load_checkpoint(args.checkpoint)
    base = meta["base"]
    phi = nest(tensors, "phi")
    frozen, _ = load_checkpoint(meta["config"]["start"])
    for name, value in nest(frozen, "ema").items():
        if name not in phi and name != "table":
            phi[name] = value
    config = meta["config"]
    info = {
        "net": base["net"], "symbols": base["symbols"], "normaliser": base["normaliser"], "scales": base["scales"],
        "modules": [{k: r[k] for k in ("name", "parameters", "sigma_relative")} for r in meta["modules"]],
        "threshold": args.threshold, "espeak_voice": base.get("espeak_voice", "en-us"),
        "adaptation": {
            "solver": config["solver"], "clips": config["clips"], "steps": args.steps, "frozen": args.frozen,
            "embedding_rate": args.embedding_rate, "all_rate": args.all_rate,
        },
        "training": {
            "data": "CMU ARCTIC (bdl, slt), kathleen (CC0), LibriSpeech train-clean-100 (CC BY 4.0), speechocean762",
            "phase1": {k: base["config"][k] for k in ("steps", "batch", "lr", "fold", "corpus_weights", "seed")}
            | {"hours": round(base["seconds"] / 3600, 2)},
            "phase2": {k: config[k] for k in ("meta_steps", "outer", "hypergrad", "solver", "support", "query", "seed")}
            | {"hours": round(meta["seconds"] / 3600, 2), "dev_speakers": meta["dev"]},
            "commit": subprocess.run(["git", "rev-parse", "HEAD"], capture_output=True, text=True).stdout.strip(),
        },
    }
    save_starter(args.out, phi, tensors["log_sigma2"], info)
    if args.corpus.exists():
        others = other_speakers(args.corpus, 80).astype(np.float32)
        replace_file(args.out / "other_speakers.safetensors", save({"embeddings": others}))
    starter = load_starter(args.out)
    print_module_table(starter.module_table())
    moved = sum(r["parameters"] for r in starter.module_table() if r["moved"])
    print(f"{moved:,} parameters move; {sum(p.numel() for p in starter.phi.values()):,} in all; digest {starter.digest}")


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()

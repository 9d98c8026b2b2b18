"""A starter with other sigmas and phi of what moves, or other settings of a clone, made of one that is there.

    python recipes/kokoro/rewrite.py STARTER --out NEW --sigma runs/kokoro/sigma/sigma.safetensors --steps 120
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import load_file, save
from torch import Tensor

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT)]

from tts_meta.audio.files import replace_file  # noqa: E402


def write(folder: Path, tensors: Mapping[str, Tensor], info: dict) -> int:
    """Both files of a starter; returns the bytes of the larger."""
    blob = save({k: v.contiguous() for k, v in tensors.items()})
    info["sha256"] = hashlib.sha256(blob).hexdigest()
    folder.mkdir(parents=True, exist_ok=True)
    replace_file(folder / "kokoro.safetensors", blob)
    replace_file(folder / "kokoro.json", (json.dumps(info, indent=1) + "\n").encode())
    return len(blob)


def learned(tensors: dict[str, Tensor], info: dict, path: Path) -> None:
    """Put the sigmas and phi of `recipes/kokoro/sigma.py` in; sigma relative to what it was before stays readable."""
    found = load_file(str(path))
    with safe_open(str(path), "pt") as f:
        facts = f.metadata()
    modules = [m["name"] for m in info["modules"]]
    log_sigma2, start = tensors["log_sigma2"].clone(), dict(zip(modules, tensors["log_sigma2"].tolist(), strict=True))
    for m, value in zip(json.loads(facts["modules"]), found["log_sigma2"].tolist(), strict=True):
        log_sigma2[modules.index(m)] = value
        row = info["modules"][modules.index(m)]
        row["sigma_relative"] = row["sigma_relative"] * float(torch.tensor(0.5 * (value - start[m])).exp())
    tensors["log_sigma2"] = log_sigma2
    for key in [k for k in found if f"phi/{k}" in tensors]:
        tensors[f"phi/{key}"] = found[key].to(torch.float16)
    info["adaptation"].pop("widths", None)
    info["training"]["sigma"] = {k: facts[k] for k in ("estimator", "steps", "inner_steps", "tasks")}


def main() -> None:
    p = argparse.ArgumentParser()
    p.add_argument("starter", type=Path)
    p.add_argument("--out", type=Path, required=True)
    p.add_argument("--sigma", type=Path)
    p.add_argument("--steps", type=int)
    p.add_argument("--rate", type=float)
    p.add_argument("--decay", type=float)
    p.add_argument("--moved", help="beginnings of module names, apart by commas")
    args = p.parse_args()
    tensors = load_file(str(args.starter / "kokoro.safetensors"))
    info = json.loads((args.starter / "kokoro.json").read_text())
    how = info["adaptation"]
    if args.sigma:
        learned(tensors, info, args.sigma)
    if args.steps:
        how["steps"] = args.steps
    how["solver"] |= {k: v for k, v in (("rate", args.rate), ("decay", args.decay)) if v is not None}
    if args.moved:
        how["moved"] = [m["name"] for m in info["modules"] if m["name"].startswith(tuple(args.moved.split(",")))]
    print(f"{write(args.out, tensors, info):,} bytes")


if __name__ == "__main__":
    main()

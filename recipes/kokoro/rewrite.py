"""A starter with other sigmas and phi of what moves, or other settings of a clone, made of one that is there.

    python recipes/kokoro/rewrite.py STARTER --out NEW --sigma runs/kokoro/sigma/sigma.safetensors --steps 120
"""

from __future__ import annotations

import argparse
import json
import math
import sys
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import load_file
from torch import Tensor

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT)]

from tts_meta.nets.kokoro.speaker_loss import MANNER, TIMBRE  # noqa: E402
from tts_meta.starters.kokoro_files import read_files, write_files  # noqa: E402
from tts_meta.starters.kokoro_starter import NAME  # noqa: E402

# Sigma of what has no learned one, by kind: styles, low-rank factors, shifts and biases.
STYLE, FACTOR, SHIFT = 0.1, 0.01, 0.05


def load(folder: Path) -> tuple[dict[str, Tensor], dict]:
    """(tensors, header) of a starter."""
    found = read_files(folder, NAME)
    return {**found.weights, **found.prior}, found.info


def of_kind(module: str) -> float:
    """Sigma of a module that has no learned one."""
    return STYLE if module in (TIMBRE, MANNER) else FACTOR if module.endswith("factor") else SHIFT


def learned(path: Path) -> tuple[dict[str, Tensor], dict[str, str], dict[str, float]]:
    """(tensors, facts, {module: log sigma^2}) of a file of `recipes/kokoro/sigma.py`."""
    found = load_file(str(path))
    with safe_open(str(path), "pt") as f:
        facts = f.metadata()
    return found, facts, dict(zip(json.loads(facts["modules"]), found["log_sigma2"].tolist(), strict=True))


def put_in(tensors: dict[str, Tensor], info: dict, path: Path, phi: bool) -> None:
    """Put the sigmas, and phi if wanted, of a file in; sigma relative to what it was stays readable."""
    found, facts, sigmas = learned(path)
    modules = [m["name"] for m in info["modules"]]
    log_sigma2 = tensors["log_sigma2"].clone()
    for m, value in sigmas.items():
        info["modules"][modules.index(m)]["sigma_relative"] *= ratio(tensors, info, m, value)
        log_sigma2[modules.index(m)] = value
    tensors["log_sigma2"] = log_sigma2
    for key in [k for k in found if phi and f"phi/{k}" in tensors]:
        tensors[f"phi/{key}"] = found[key].to(torch.float16)
    info["adaptation"].pop("widths", None)
    info["training"]["sigma"] = {k: facts[k] for k in ("estimator", "steps", "inner_steps", "tasks") if k in facts}


def ratio(tensors: dict[str, Tensor], info: dict, module: str, log_sigma2: float) -> float:
    """Of a sigma to the starter's own of that module."""
    row = [m["name"] for m in info["modules"]].index(module)
    return math.exp(0.5 * (log_sigma2 - float(tensors["log_sigma2"][row])))


def main() -> None:
    p = argparse.ArgumentParser()
    p.add_argument("starter", type=Path)
    p.add_argument("--out", type=Path, required=True)
    p.add_argument("--sigma", type=Path)
    p.add_argument("--learned", type=Path, help="sigmas beside the starter's own, for clones of the method `learned`")
    p.add_argument("--keep-phi", action="store_true", help="take the sigmas alone")
    p.add_argument("--anew", type=float, help="one sigma a kind again, so many times export.py's, for sigma.py to begin with")
    p.add_argument("--of", default="", help="beginnings of the names of the modules that --anew and --width set")
    p.add_argument("--steps", type=int)
    p.add_argument("--rate", type=float)
    p.add_argument("--decay", type=float)
    p.add_argument("--moved", help="beginnings of module names, apart by commas")
    p.add_argument("--width", type=float, help="factor of sigma of what a clone moves")
    args = p.parse_args()
    tensors, info = load(args.starter)
    how = info["adaptation"]
    if args.anew:
        for k, row in enumerate(info["modules"]):
            if not row["name"].startswith(tuple(args.of.split(","))):
                continue
            before = float(tensors["log_sigma2"][k])
            tensors["log_sigma2"][k] = 2 * math.log(args.anew * of_kind(row["name"]))
            row["sigma_relative"] *= math.exp(0.5 * (float(tensors["log_sigma2"][k]) - before))
    if args.sigma:
        put_in(tensors, info, args.sigma, not args.keep_phi)
    if args.learned:
        how["learned"] = {m: round(ratio(tensors, info, m, v), 4) for m, v in learned(args.learned)[2].items()}
    if args.steps:
        how["steps"] = args.steps
    how["solver"] |= {k: v for k, v in (("rate", args.rate), ("decay", args.decay)) if v is not None}
    if args.moved:
        how["moved"] = [m["name"] for m in info["modules"] if m["name"].startswith(tuple(args.moved.split(",")))]
    if args.width:
        how["widths"] = {m: args.width for m in how["moved"] if m.startswith(tuple(args.of.split(",")))}
    print("bytes:", write_files(args.out, NAME, tensors, info))


if __name__ == "__main__":
    main()

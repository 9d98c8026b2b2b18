"""What sigma found: the table and the figure of the modules that a clone on Kokoro moves.

    python recipes/kokoro/modules.py runs/kokoro/sigma --out docs
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

import matplotlib
import numpy as np
from safetensors import safe_open
from safetensors.torch import load_file

matplotlib.use("Agg")
from matplotlib import pyplot as plt  # noqa: E402

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from tts_meta.audio.files import replace_file  # noqa: E402

COLOURS = {"style": "#7c3aed", "norms' shifts": "#0f766e", "expansions' factors": "#be123c", "convolutions' factors": "#b45309"}
ALGORITHMS = {"imaml": "sigma-iMAML", "implicit": "implicit sigma-Reptile", "first_order": "first-order sigma-Reptile"}


def kind(module: str) -> str:
    """The head's expansions are the convolutions before its blocks' GELU."""
    if not module.endswith("factor"):
        return "norms' shifts" if module.endswith("shift") else "style"
    return "expansions' factors" if ".up." in module else "convolutions' factors"


def main() -> None:
    p = argparse.ArgumentParser()
    p.add_argument("run", type=Path)
    p.add_argument("--out", type=Path, required=True)
    p.add_argument("--name", default="kokoro_sigma", help="of the two files")
    p.add_argument("--title", default="Sigma of the modules that a clone on Kokoro moves")
    args = p.parse_args()
    path = args.run / "sigma.safetensors"
    tensors = load_file(str(path))
    with safe_open(str(path), "pt") as f:
        facts = f.metadata()
    modules = json.loads(facts["modules"])
    change = (0.5 * (tensors["log_sigma2"] - tensors["begin"])).exp().numpy()
    sigma = (0.5 * tensors["log_sigma2"]).exp().numpy()
    rows = ["| module | kind | numbers | sigma | times its start |", "|---|---|---|---|---|"]
    for i in np.argsort(-change):
        m = modules[i]
        rows.append(f"| {m} | {kind(m)} | {tensors[m].numel():,} | {sigma[i]:.4f} | {change[i]:.2f} |")
    people = "one person" if facts["tasks"] == "1" else f"{facts['tasks']} people"
    replace_file(args.out / f"{args.name}.md", ("\n".join([
        f"# {args.title}", "",
        f"{ALGORITHMS[facts['estimator']]}, {facts['steps']} meta-steps of {people}, "
        f"{facts['inner_steps']} inner steps. Made by `python recipes/kokoro/modules.py`.", "", f"![sigma]({args.name}.png)", "",
        *rows, "",
    ])).encode())
    figure, (left, right) = plt.subplots(1, 2, figsize=(13, 8), width_ratios=[2, 1])
    order = range(len(modules))
    left.barh(list(order), np.log2(change), color=[COLOURS[kind(m)] for m in modules])
    left.set_yticks(list(order), [m.removesuffix(".factor").removesuffix(".affine.shift") for m in modules], fontsize=7)
    left.invert_yaxis()
    left.axvline(0, color="#52525b", lw=0.8)
    left.set_xlabel("log2 of sigma over its start")
    left.set_title("From the text (top) to the mel (bottom)")
    log = [json.loads(line) for line in (args.run / "log.jsonl").read_text().splitlines()]
    for m, *curve in zip(modules, *[row["change"] for row in log], strict=True):
        right.plot([row["step"] for row in log], np.array(curve) / np.log(2), color=COLOURS[kind(m)], lw=0.8, alpha=0.8)
    for name, colour in COLOURS.items():
        if name not in map(kind, modules):
            continue
        right.plot([], [], color=colour, label=name)
    right.axvline(int(facts["steps"]), color="#52525b", lw=0.8, ls=":")  # what the table and the left half show
    right.legend(fontsize=8)
    right.set_xlabel("meta-steps")
    right.set_title("While it was learned")
    figure.tight_layout()
    figure.savefig(args.out / f"{args.name}.png", dpi=110)


if __name__ == "__main__":
    main()

"""Module discovery on images: adapt only the k modules of the largest learned sigma, and see how accuracy grows with k.

    python recipes/validation/discover_modules.py runs/validation/cpu/omniglot_5w1s/sigma_maml-seed0 --compare .../anil-seed0

Modules beyond the k largest get sigma = 0. Writes modules.csv, modules.md and top_k.png beside the run's results and
prints the table.
"""

from __future__ import annotations

import argparse
import csv
import json
import math
import sys
from pathlib import Path

import torch
from load_run import load_run
from tqdm import tqdm

from tts_meta.errors import InputError
from tts_meta.training.fewshot.evaluate import evaluate
from tts_meta.training.fewshot.plots import plot_curve


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path, help="folder of a finished sigma run of recipes/train.py")
    parser.add_argument("--compare", type=Path, default=None, help="folder of a finished ANIL run")
    parser.add_argument("--tasks", type=int, default=300, help="test tasks")
    parser.add_argument("--step", type=int, default=None, help="inner steps (default: the reported ones)")
    args = parser.parse_args()
    try:
        run = load_run(args.run)
    except InputError as error:
        sys.exit(str(error))
    results = json.loads((args.run / "results.json").read_text())
    if not results["modules"]:
        sys.exit(f"{args.run} ({results['algorithm']}) has no learned sigma; give a run of a sigma algorithm.")
    state, step = run.trainer.state, args.step or run.cfg.report
    rows = results["modules"]
    order = sorted(range(len(rows)), key=lambda i: -rows[i]["sigma_relative"])
    measure = run.domain.measures[0]
    table = []
    for k in tqdm(range(len(rows) + 1), desc="modules adapted"):
        log_sigma2 = torch.full_like(state["log_sigma2"], -math.inf)
        log_sigma2[order[:k]] = state["log_sigma2"][order[:k]]
        found = evaluate(
            run.algorithm, state | {"log_sigma2": log_sigma2}, run.domain, "test", args.tasks, [step], run.cfg.test_chunk
        )[step][measure]
        added = rows[order[k - 1]] if k else {"name": "(none)", "sigma_relative": float("nan"), "parameters": 0}
        table.append({
            "k": k, "added": added["name"], "sigma_relative": added["sigma_relative"],
            "parameters": sum(rows[i]["parameters"] for i in order[:k]), measure: found["mean"], "ci95": found["ci95"],
        })
    with open(args.run / "modules.csv", "w", newline="") as f:
        writer = csv.DictWriter(f, list(table[0]))
        writer.writeheader()
        writer.writerows(table)
    lines = [f"| k | module added | sigma / RMS | parameters moved | {measure} |", "|---|---|---|---|---|"]
    for r in table:
        value = f"{100 * r[measure]:.1f} ± {100 * r['ci95']:.1f} %"
        lines.append(f"| {r['k']} | {r['added']} | {r['sigma_relative']:.3f} | {r['parameters']:,} | {value} |")
    reference = {}
    if args.compare:
        other = json.loads((args.compare / "results.json").read_text())
        mean = other["result"][measure]["mean"]
        reference = {other["algorithm"]: mean}
        lines.append(f"\n{other['algorithm']}: {100 * mean:.1f} ± {100 * other['result'][measure]['ci95']:.1f} %.")
    (args.run / "modules.md").write_text("\n".join(lines) + "\n")
    curve = {r["k"]: {measure: {"mean": r[measure], "ci95": r["ci95"]}} for r in table}
    title = f"{results['domain']}, {results['algorithm']}: the k modules of the largest sigma"
    plot_curve({"top k": curve}, measure, args.run / "top_k.png", title, reference, "modules adapted (k)")
    print("\n".join(lines))


if __name__ == "__main__":
    main()

"""Active learning of sinusoids, BMAML's experiment in small (Yoon et al. 2018, section 5.3).

    python recipes/validation/active_learning.py runs/validation/cpu/few_tasks_1000/bmaml-seed0

From the support points of a task, one more point at a time is asked for: where the posterior's variance is largest
(active), or at random. Each time all points so far are adapted to anew. Writes active.csv and active.png into the run's folder.
"""

from __future__ import annotations

import argparse
import csv
import sys
from dataclasses import replace
from pathlib import Path

import torch
from load_run import load_run
from tqdm import tqdm

from tts_meta.data.episodes import FewShot
from tts_meta.data.sinusoid import points
from tts_meta.errors import InputError
from tts_meta.training.fewshot.base import TEST_SEED, rngs_of
from tts_meta.training.fewshot.evaluate import interval
from tts_meta.training.fewshot.plots import plot_curve
from tts_meta.training.fewshot.regression import SinusoidDomain


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("--tasks", type=int, default=100)
    parser.add_argument("--questions", type=int, default=10)
    args = parser.parse_args()
    try:
        run = load_run(args.run)
    except InputError as error:
        sys.exit(str(error))
    domain = run.domain
    if not isinstance(domain, SinusoidDomain):
        sys.exit(f"{args.run} is a run on {run.cfg.domain_name}; one on sinusoids is expected.")
    has_rate = hasattr(run.algorithm, "rate")
    grid = torch.linspace(-5, 5, 101)[None, :, None]
    errors: dict[str, list[list[float]]] = {"active": [], "random": []}
    for t in tqdm(range(args.tasks), desc="tasks"):
        for way, rows in errors.items():
            rng = rngs_of(TEST_SEED, 5, [t], 3)[0]
            wave = domain.truth(rng)
            x, y = points(wave, domain.shots, rng)
            row = []
            for _ in range(args.questions + 1):
                episodes = FewShot({"x": x[None], "y": y[None]}, {"x": grid, "y": wave(grid)})
                # The loss is a sum: with more points the same path takes shorter steps, and as many more of them.
                more = len(x) / domain.shots
                algorithm = replace(run.algorithm, rate=run.algorithm.rate / more) if has_rate else run.algorithm
                steps = round(run.cfg.report * more)
                posterior = algorithm.adapt(run.trainer.state, episodes, [rng], [steps])[steps]
                mean, variance = domain.predict(posterior, episodes.query())
                row.append(float(((mean - wave(grid)[..., 0]) ** 2).mean()))
                place = variance[0].argmax() if way == "active" else torch.randint(101, (), generator=rng)
                new = grid[0, place][None]
                x, y = torch.cat([x, new]), torch.cat([y, wave(new) + wave.noise * torch.randn(1, 1, generator=rng)])
            rows.append(row)
    curves = {
        way: {k: {"mse": interval(torch.tensor([r[k] for r in rows]))} for k in range(args.questions + 1)}
        for way, rows in errors.items()
    }
    with open(args.run / "active.csv", "w", newline="") as f:
        writer = csv.writer(f)
        writer.writerow(["questions", *(f"{w}{x}" for w in curves for x in ("", "_ci95"))])
        for k in range(args.questions + 1):
            writer.writerow([k, *(f"{c[k]['mse'][x]:.6g}" for c in curves.values() for x in ("mean", "ci95"))])
    plot_curve(curves, "mse", args.run / "active.png", f"{run.cfg.name}: where to ask next", xlabel="points asked for")
    for k in (0, args.questions // 2, args.questions):
        print(k, {w: f"{c[k]['mse']['mean']:.3f} ± {c[k]['mse']['ci95']:.3f}" for w, c in curves.items()})


if __name__ == "__main__":
    main()

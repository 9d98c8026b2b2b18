"""Estimators of sigma's gradient beside the gradient through all inner steps: their bias and spread.

    python recipes/validation/estimators.py RUN [RUN ...] --out docs/validation

RUN is a folder of a finished sigma run of recipes/train.py. At its phi and sigma (and at sigma times --scales) every
estimator sees the same tasks and the same batches, and inner loops of the length the run was trained with and of ten
times that:

- unrolled: d query loss / d log sigma^2 through the inner steps (eq. 6 of Chen et al. 2020), which is what the loss does;
- first_order: g . (theta - phi), the workshop version's eq. 4;
- diagonal: its eq. 29, with Hutchinson's probes;
- implicit: eq. 7 by conjugate gradients;
- gauss_newton: the same with the Gauss-Newton matrix for the Hessian.

With e_t and u_t `[M]` an estimate and the unrolled gradient of task t: bias |mean(e) - mean(u)| / |mean(u)|, spread
sqrt(sum var(e)) / |mean(u)| (of one task; n tasks have 1 / sqrt(n) of it), cosine of the two means, the share of
|mean(u)|_1 in modules whose mean has the right sign, and the signal |mean(e)| / sqrt(sum var(e)), which is what a scale-free
optimiser of log sigma^2 sees. Writes estimators.json, .md and .png.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
from dataclasses import replace
from pathlib import Path

import matplotlib
import torch
from load_run import load_run
from torch import Tensor
from tqdm import tqdm

from tts_meta.audio.files import replace_file
from tts_meta.errors import InputError
from tts_meta.meta.algorithms.gradient import Gradient
from tts_meta.meta.hypergrad.base import Hypergradient
from tts_meta.meta.hypergrad.displacement import Displacement
from tts_meta.meta.hypergrad.unroll import Unroll
from tts_meta.training.fewshot.run import FewShotRun

matplotlib.use("agg")

TRUTH = "unrolled"
METHODS: dict[str, Hypergradient] = {
    TRUTH: Unroll(),
    "first_order": Displacement("first_order"),
    "diagonal": Displacement("diagonal", probes=16),
    "implicit, 5 CG steps": Displacement("implicit", cg_steps=5),
    "implicit, 30 CG steps": Displacement("implicit", cg_steps=30),
    "gauss_newton, 5 CG steps": Displacement("gauss_newton", cg_steps=5),
}
FIRST_TASK = 10**6
"""Training tasks are drawn from this meta-step on: none of them was trained on."""


def gradients(run: FewShotRun, method: Hypergradient, steps: int, scale: float, tasks: int) -> Tensor:
    """d query loss / d log sigma^2 of every task, `[T, M]`; `scale` multiplies every sigma."""
    algorithm, state = run.algorithm, run.trainer.state
    assert isinstance(algorithm, Gradient)
    inner = algorithm.inner(state | {"log_sigma2": state["log_sigma2"] + 2 * math.log(scale)}, steps)
    found = []
    for task in range(tasks):
        episodes = run.domain.draw(FIRST_TASK + task, [0])  # anew for each method, so that all meet the same batches
        rngs = [torch.Generator().manual_seed(task)]
        found.append(method(replace(inner, rngs=rngs), episodes).log_sigma2.detach().double())
    return torch.stack(found)


def compared(estimate: Tensor, truth: Tensor) -> dict[str, float]:
    """Bias, spread, signal, cosine and share of right signs (see above) of `[T, M]` beside the truth `[T, M]`."""
    e, u = estimate.mean(0), truth.mean(0)
    size, spread = u.norm(), estimate.var(0).sum().sqrt()
    return {
        "bias": float((e - u).norm() / size), "spread": float(spread / size), "signal": float(e.norm() / spread),
        "cosine": float(e @ u / (e.norm() * size).clamp(min=1e-300)),
        "right_sign": float(u.abs()[torch.sign(e) == torch.sign(u)].sum() / u.abs().sum()),
    }


def measure(run: FewShotRun, scales: list[float], lengths: list[int], tasks: int, name: str) -> list[dict]:
    """A row for every inner length, scale of sigma and method."""
    rows = []
    modules = run.algorithm.names(run.trainer.state).modules  # type: ignore[attr-defined]
    with tqdm(total=len(lengths) * len(scales) * len(METHODS), desc=name) as bar:
        for steps in lengths:
            for scale in scales:
                truth = torch.zeros(0)
                for method, hypergradient in METHODS.items():
                    found = gradients(run, hypergradient, steps, scale, tasks)
                    truth = found if method == TRUTH else truth
                    rows.append({
                        "run": name, "steps": steps, "scale": scale, "method": method, "tasks": tasks, **compared(found, truth),
                        "mean": dict(zip(modules, found.mean(0).tolist(), strict=True)),
                    })
                    bar.update()
    return rows


def table(rows: list[dict]) -> str:
    """The rows at the run's own sigma."""
    lines = ["| run | inner steps | estimator | cosine | right sign | bias | spread of a task | signal |", "|" + "---|" * 8]
    for r in rows:
        if r["scale"] == 1:
            bias, cosine, sign = ("", "", "") if r["method"] == TRUTH else (
                f"{r['bias']:.2f}", f"{r['cosine']:+.2f}", f"{100 * r['right_sign']:.0f} %")
            cells = [r["run"], str(r["steps"]), r["method"], cosine, sign, bias, f"{r['spread']:.2f}", f"{r['signal']:.2f}"]
            lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def draw(rows: list[dict], path: Path) -> None:
    """Cosine to the unrolled gradient against the scale of sigma; a row of axes a run."""
    import matplotlib.pyplot as plt

    runs, lengths = list(dict.fromkeys(r["run"] for r in rows)), {}
    for r in rows:
        lengths.setdefault(r["run"], {})[r["steps"]] = None
    columns = max(len(v) for v in lengths.values())
    figure, axes = plt.subplots(len(runs), columns, figsize=(4.2 * columns, 2.9 * len(runs)), squeeze=False, layout="constrained")
    for axis_row, run in zip(axes, runs, strict=True):
        for axis, steps in zip(axis_row, lengths[run], strict=False):
            for method in METHODS:
                if method == TRUTH:
                    continue
                points = [r for r in rows if (r["run"], r["steps"], r["method"]) == (run, steps, method)]
                axis.plot([p["scale"] for p in points], [p["cosine"] for p in points], "o-", label=method)
            axis.set(xscale="log", ylim=(-1.05, 1.05), title=f"{run}:\n{steps} inner steps")
            axis.axhline(0, color="grey", lw=0.5)
        axis_row[0].set_ylabel("cosine to the unrolled gradient")
    for axis in axes[-1]:
        axis.set_xlabel("sigma, times the learned one")
    axes[0][0].legend(fontsize=7)
    figure.savefig(path, dpi=110)
    plt.close(figure)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", nargs="+", type=Path, help="folders of finished sigma runs")
    parser.add_argument("--tasks", type=int, default=64)
    parser.add_argument("--scales", default="0.1,0.3,1,3", help="factors of every sigma")
    parser.add_argument("--longer", type=int, default=10, help="the long inner loop, times the trained one")
    parser.add_argument("--out", type=Path, required=True, help="folder for estimators.json, .md and .png")
    args = parser.parse_args()
    torch.set_num_threads(1)
    scales = [float(s) for s in args.scales.split(",")]
    path = args.out / "estimators.json"
    known = json.loads(path.read_text()) if path.is_file() else []
    for folder in args.runs:
        try:
            run = load_run(folder)
        except InputError as error:
            sys.exit(str(error))
        if not isinstance(run.algorithm, Gradient) or not run.modules():
            sys.exit(f"{folder} ({run.cfg.name}) has no learned sigma; give a run of a sigma algorithm.")
        name = f"{folder.parent.name}, {run.cfg.name}"
        steps = run.algorithm.steps
        known = [r for r in known if r["run"] != name] + measure(run, scales, [steps, args.longer * steps], args.tasks, name)
        replace_file(path, json.dumps(known, indent=1).encode())
    replace_file(path.with_suffix(".md"), (table(known) + "\n").encode())
    draw(known, path.with_suffix(".png"))
    print(table(known))


if __name__ == "__main__":
    main()

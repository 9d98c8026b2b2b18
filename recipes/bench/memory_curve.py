"""Growth of resident memory with the number of inner steps: MAML unrolled, MAML's stored path, iMAML, sigma-Reptile.

    python recipes/bench/memory_curve.py                # writes docs/memory_curve.json and docs/memory_curve.png

Every point is a process of its own (conv4-64, 28 x 28, 2 tasks of 5 images): peak resident memory of three meta-gradients,
less that of the same process after three meta-gradients with a single inner step.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
from pathlib import Path

import torch

from tts_meta.audio.files import replace_file
from tts_meta.data.episodes import FewShot
from tts_meta.meta.algorithms.gradient import Gradient
from tts_meta.meta.hypergrad.displacement import Displacement
from tts_meta.meta.hypergrad.implicit import Implicit
from tts_meta.meta.hypergrad.unroll import Sweep, Unroll
from tts_meta.meta.partition import Partition
from tts_meta.meta.solvers.adam import ProximalAdam
from tts_meta.meta.solvers.gd import ProximalGD
from tts_meta.nets.conv4 import Conv4
from tts_meta.training.fewshot.base import Network
from tts_meta.training.fewshot.images import classification_criterion

KINDS = {
    "MAML, unrolled": lambda net, k: Gradient(net.loss, Partition.single, ProximalGD(0.01), Unroll(), k),
    "MAML, stored path": lambda net, k: Gradient(net.loss, Partition.single, ProximalGD(0.01), Sweep(), k),
    "iMAML": lambda net, k: Gradient(net.loss, Partition.single, ProximalGD(0.01), Implicit(5), k, sigma=0.7),
    "sigma-Reptile": lambda net, k: Gradient(net.loss, Partition.by_layer, ProximalAdam(0.01), Displacement(), k, relative=1.0),
}
LIMIT_MB = 6000
"""A point expected to need more is not measured (and said so)."""


def measure(kind: str, steps: int) -> float:
    """Megabytes of peak growth, in this process."""
    torch.set_num_threads(1)
    net = Network(lambda: Conv4(5, 64, 1, 28, False), classification_criterion("mean"))
    g = torch.Generator().manual_seed(0)
    x, y = torch.rand(2, 5, 1, 28, 28, generator=g), torch.arange(5).expand(2, -1)
    episodes = FewShot({"x": x, "y": y}, {"x": x, "y": y})
    peaks = []
    for k in (1, steps):
        algorithm = KINDS[kind](net, k)
        state = algorithm.init(net.fresh)
        for _ in range(3):
            algorithm.meta_grads(state, episodes, [])
        peaks.append(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
    return peaks[1] - peaks[0]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, nargs="+", default=[10, 30, 100, 300, 1000])
    parser.add_argument("--out", type=Path, default=Path("docs/memory_curve.json"))
    parser.add_argument("--one", nargs=2, default=None, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.one:
        print(measure(args.one[0], int(args.one[1])))
        return
    found: dict[str, dict[int, float | None]] = {}
    for kind in KINDS:
        found[kind] = {}
        for k in args.steps:
            before = [(s, v) for s, v in found[kind].items() if v]
            if before and before[-1][1] * k / before[-1][0] > LIMIT_MB:
                found[kind][k] = None
                print(f"{kind:20} {k:5} steps  not measured: over {LIMIT_MB} MB by extrapolation", flush=True)
                continue
            done = subprocess.run([sys.executable, __file__, "--one", kind, str(k)], check=True, capture_output=True, text=True)
            found[kind][k] = float(done.stdout)
            print(f"{kind:20} {k:5} steps {found[kind][k]:9.1f} MB", flush=True)
    args.out.parent.mkdir(parents=True, exist_ok=True)
    replace_file(args.out, json.dumps(found, indent=1).encode())
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, ax = pyplot.subplots(figsize=(6, 4), layout="constrained")
    for kind, curve in found.items():
        points = [(k, v) for k, v in curve.items() if v is not None]
        ax.plot([k for k, _ in points], [max(v, 0.5) for _, v in points], marker="o", label=kind)
    ax.set(xscale="log", yscale="log", xlabel="inner steps", ylabel="growth of peak memory (MB)")
    ax.legend()
    figure.savefig(args.out.with_suffix(".png"), dpi=110)


if __name__ == "__main__":
    main()

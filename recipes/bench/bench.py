"""Speed of the learning core: ratios in one run, A B A B, medians and quartiles; prints a table, writes docs/bench.json.

    make bench          # or: python recipes/bench/bench.py --quick
    python recipes/bench/bench.py --compiled --quick --only "5 steps" --out docs/bench_compiled.json

Ours runs on two single-thread ranks (torch.distributed), as training does on this kind of machine; the others at one and at two
threads, whichever is faster. `higher` (extra `bench`) stands for the other few-shot libraries, which measure equal;
"sequential" is the same arithmetic written plainly, a task at a time. `--compiled`: ours with `compile=true` of recipes/train.py;
the minutes that it takes are before what is timed.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import torch
from bench_acoustic import acoustic
from bench_ours import RATE, Ranks, images, trainer
from bench_rivals import higher_maml, sequential_imaml, sequential_reptile

from tts_meta.audio.files import replace_file
from tts_meta.data.episodes import FewShot
from tts_meta.meta.algorithms.gradient import Gradient
from tts_meta.meta.hypergrad.unroll import Unroll
from tts_meta.meta.partition import Partition
from tts_meta.meta.solvers.gd import ProximalGD
from tts_meta.nets.conv4 import Conv4
from tts_meta.processor import kind
from tts_meta.training.fewshot.base import Network
from tts_meta.training.fewshot.images import classification_criterion

CASES = {
    "MAML 5w1s, 16 tasks, 5 steps, 1 query a class": ("maml", higher_maml, "higher", (16, 1, 1), 2.5),
    "MAML 5w1s, 16 tasks, 5 steps, 15 queries a class": ("maml", higher_maml, "higher", (16, 1, 15), 2.5),
    "iMAML 5w1s, 16 tasks, 16 GD + 5 CG": ("imaml", sequential_imaml, "sequential", (16, 1, 15), 2.5),
    "Reptile 5w, 5 tasks, 8 steps of 10 images": ("reptile", sequential_reptile, "sequential", (5, 2, 1), 1.35),
}


def timed(step: Callable[[], None], threads: int) -> float:
    torch.set_num_threads(threads)
    begin = time.perf_counter()
    step()
    return time.perf_counter() - begin


def quartiles(values: list[float]) -> dict[str, float]:
    a, b, c = statistics.quantiles(values, n=4)
    return {"median": b, "low": a, "high": c}


def compare(ranks: Ranks, name: str, rounds: int, compiled: bool) -> dict:
    way, build, other, (tasks, shots, queries), goal = CASES[name]
    step = build(tasks, shots, queries)
    best_chunk, best_time = 1, float("inf")
    per_rank = -(-tasks // 2)
    for chunk in sorted({1, 2, 4, per_rank}):  # ours at its best chunk, as the others at their best thread count
        ranks.set(kind=way, tasks=tasks, shots=shots, queries=queries, chunk=chunk)
        t = min(ranks.step() for _ in range(2))
        if t < best_time:
            best_chunk, best_time = chunk, t
    ranks.set(kind=way, tasks=tasks, shots=shots, queries=queries, chunk=best_chunk, compiled=compiled)
    timed(step, 1)
    ours, theirs = [], {1: [], 2: []}
    for _ in range(rounds):
        ours.append(ranks.step())
        for n in theirs:
            theirs[n].append(timed(step, n))
    threads = min(theirs, key=lambda n: statistics.median(theirs[n]))
    ratios = [b / a for a, b in zip(ours, theirs[threads], strict=True)]
    return {
        "case": name, "against": other, "ours_s": quartiles(ours), "chunk": best_chunk, "other_s": quartiles(theirs[threads]),
        "other_threads": threads, "ratio": quartiles(ratios), "goal": goal,
    }


def exponent(sizes: list[float], seconds: list[float]) -> float:
    """Slope of log seconds against log size, least squares."""
    x, y = torch.tensor(sizes).log(), torch.tensor(seconds).log()
    return float(((x - x.mean()) * (y - y.mean())).sum() / ((x - x.mean()) ** 2).sum())


def scaling(ranks: Ranks, rounds: int) -> dict:
    """Seconds of a MAML step against tasks, ranks and parameters, each with its fitted exponent."""
    tasks = {}
    for n in (2, 4, 8, 16, 32):
        ranks.set(kind="maml", tasks=n, shots=1, queries=1, chunk=4)
        tasks[n] = statistics.median(ranks.step() for _ in range(rounds))
    torch.set_num_threads(1)
    alone = trainer("maml", 16, 1, 1, 8, 0, 1)
    alone.step()
    one = statistics.median(timed(alone.step, 1) for _ in range(rounds))
    ranks.set(kind="maml", tasks=16, shots=1, queries=1, chunk=8)
    two = statistics.median(ranks.step() for _ in range(rounds))
    sizes = {}
    for filters in (16, 32, 64, 128):
        net = Network(lambda f=filters: Conv4(5, f, 1, 28, False), classification_criterion("mean"))
        algo = Gradient(net.loss, Partition.single, ProximalGD(RATE), Unroll(), 5)
        state = algo.init(net.fresh)
        sx, sy, qx, qy = images(4, 1, 1)
        episodes = FewShot({"x": sx, "y": sy}, {"x": qx, "y": qy})
        count = sum(v.numel() for k, v in state.items() if k.startswith("phi/"))
        work = lambda a=algo, s=state, e=episodes: a.meta_grads(s, e, [])  # noqa: E731
        timed(work, 1)
        sizes[count] = statistics.median(timed(work, 1) for _ in range(rounds))
    return {
        "seconds_by_tasks": tasks, "tasks_exponent": exponent(list(tasks), list(tasks.values())),
        "seconds_by_ranks": {1: one, 2: two}, "ranks_exponent": exponent([1, 2], [one, two]),
        "seconds_by_parameters": sizes, "parameters_exponent": exponent(list(sizes), list(sizes.values())),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7, help="A B pairs of every case")
    parser.add_argument("--quick", action="store_true", help="3 rounds, no scaling, no acoustic network")
    parser.add_argument("--only", default="", help="run the cases whose name contains this")
    parser.add_argument("--compiled", action="store_true", help="ours compiled")
    parser.add_argument("--out", default="docs/bench.json")
    args = parser.parse_args()
    rounds = 3 if args.quick else args.rounds
    ranks = Ranks(2, 29_655)
    rows = []
    print(f"{'case':52} {'against':12} {'ours s':>8} {'other s':>8} {'ratio (quartiles)':>20} goal", flush=True)
    for name in (n for n in CASES if args.only in n):
        r = compare(ranks, name, rounds, args.compiled)
        rows.append(r)
        ratio = f"{r['ratio']['median']:.2f} ({r['ratio']['low']:.2f}-{r['ratio']['high']:.2f})"
        seconds = f"{r['ours_s']['median']:8.3f} {r['other_s']['median']:8.3f}"
        print(f"{name:52} {r['against']:12} {seconds} {ratio:>20} {r['goal']}", flush=True)
    found: dict = {"machine": kind(), "torch": torch.__version__, "rounds": rounds, "cases": rows}
    if not args.quick:
        found["scaling"] = scaling(ranks, 3)
        print(json.dumps({k: v for k, v in found["scaling"].items() if "exponent" in k}))
        found["acoustic"] = row = acoustic(rounds)
        speed = f"together {row['ratio']['median']:.2f} times as fast as alone, {row['tasks_per_second']:.2f} tasks/s"
        print(f"{row['case']}: {speed}")
    ranks.close()
    out = Path(args.out)
    out.parent.mkdir(parents=True, exist_ok=True)
    replace_file(out, json.dumps(found, indent=1).encode())


if __name__ == "__main__":
    main()

"""Speed of the learning core: ratios in one run, A B A B, medians and quartiles; prints a table, writes docs/bench.json.

    make bench          # or: python recipes/bench.py --quick

Ours runs on two single-thread ranks (torch.distributed), as training does on this kind of machine; the others at one and at two
threads, whichever is faster. `higher` (extra `bench`) stands for the other few-shot libraries, which measure equal;
"sequential" is the same arithmetic written plainly, a task at a time.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from bench_acoustic import acoustic
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn import functional as F

from tts_meta.audio.files import replace_file
from tts_meta.data.episodes import FewShot
from tts_meta.meta.algorithms.gradient import Gradient
from tts_meta.meta.hypergrad.displacement import Displacement
from tts_meta.meta.hypergrad.implicit import Implicit
from tts_meta.meta.hypergrad.unroll import Unroll
from tts_meta.meta.outer import Group
from tts_meta.meta.partition import Partition
from tts_meta.meta.solvers.adam import ProximalAdam
from tts_meta.meta.solvers.gd import ProximalGD
from tts_meta.meta.trainer import MetaTrainer
from tts_meta.nets.conv4 import Conv4
from tts_meta.training.fewshot.base import Network
from tts_meta.training.fewshot.images import classification_criterion

RATE, LAM = 0.1, 2.0


def images(tasks: int, shots: int, queries: int) -> tuple[Tensor, ...]:
    """Support and query images and labels of random 5-way tasks."""
    g = torch.Generator().manual_seed(0)
    sx, qx = (torch.rand(tasks, 5 * n, 1, 28, 28, generator=g) for n in (shots, queries))
    sy, qy = (torch.arange(5).repeat_interleave(n).expand(tasks, -1) for n in (shots, queries))
    return sx, sy, qx, qy


def algorithm(kind: str) -> tuple[Gradient, Network]:
    net = Network(lambda: Conv4(5, 64, 1, 28, False), classification_criterion("mean"))
    parts = {
        "maml": (ProximalGD(RATE), Unroll(), 5, float("inf")),
        "imaml": (ProximalGD(RATE), Implicit(cg_steps=5, tolerance=0.0), 16, LAM**-0.5),
        "reptile": (ProximalAdam(1e-3, 0.0, 0.999, whiten=False), Displacement("none"), 8, float("inf")),
    }
    solver, hypergrad, steps, sigma = parts[kind]
    return Gradient(net.loss, Partition.single, solver, hypergrad, steps, sigma), net


def trainer(kind: str, tasks: int, shots: int, queries: int, chunk: int, rank: int, world: int) -> MetaTrainer:
    sx, sy, qx, qy = images(tasks, shots, queries)
    algo, net = algorithm(kind)

    def draw(step: int, positions) -> FewShot:
        i = list(positions)
        return FewShot({"x": sx[i], "y": sy[i]}, {"x": qx[i], "y": qy[i]})

    outer = {"phi": Group("phi/*", lambda p: torch.optim.Adam(p, lr=1e-3))}
    return MetaTrainer(algo, algo.init(net.fresh), draw, outer, tasks, chunk, 0, rank, world)


class Ranks:
    """Two worker processes that run meta-steps on command; the time of a step is the slower one's."""

    def __init__(self, world: int, port: int) -> None:
        context = mp.get_context("spawn")
        self.pipes = []
        for rank in range(world):
            here, there = context.Pipe()
            process = context.Process(target=_serve, args=(rank, world, port, there), daemon=True)
            process.start()
            self.pipes.append(here)

    def _all(self, message) -> list:
        for p in self.pipes:
            p.send(message)
        return [p.recv() for p in self.pipes]

    def set(self, **spec) -> None:
        self._all(("set", spec))

    def step(self) -> float:
        return max(self._all(("step", None)))

    def close(self) -> None:
        for p in self.pipes:
            p.send(("stop", None))


def _serve(rank: int, world: int, port: int, pipe) -> None:
    torch.set_num_threads(1)
    os.environ.update(MASTER_ADDR="127.0.0.1", MASTER_PORT=str(port))
    dist.init_process_group("gloo", rank=rank, world_size=world)
    work = None
    while True:
        verb, spec = pipe.recv()
        if verb == "stop":
            dist.destroy_process_group()  # a process of multiprocessing ends without atexit
            return
        if verb == "set":
            work = trainer(**spec, rank=rank, world=world)
            work.step()
            pipe.send(0.0)
        else:
            dist.barrier()
            begin = time.perf_counter()
            work.step()  # type: ignore[union-attr]
            pipe.send(time.perf_counter() - begin)


class Plain(nn.Module):
    """The same classifier with torch's own layers, for the other side."""

    def __init__(self) -> None:
        super().__init__()
        blocks = [
            nn.Sequential(
                nn.Conv2d(1 if i == 0 else 64, 64, 3, stride=2, padding=1),
                nn.BatchNorm2d(64, track_running_stats=False), nn.ReLU(),
            ) for i in range(4)
        ]
        self.body, self.head = nn.Sequential(*blocks), nn.Linear(64, 5)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.body(x).mean((2, 3)))


def higher_maml(tasks: int, shots: int, queries: int) -> Callable[[], None]:
    try:
        import higher
    except ImportError:
        sys.exit("The comparison needs the package higher: pip install -e '.[bench]'.")
    sx, sy, qx, qy = images(tasks, shots, queries)
    net = Plain()
    inner = torch.optim.SGD(net.parameters(), lr=RATE)
    outer = torch.optim.Adam(net.parameters(), lr=1e-3)

    def step() -> None:
        outer.zero_grad()
        for i in range(tasks):
            with higher.innerloop_ctx(net, inner, copy_initial_weights=False) as (fast, steps):
                for _ in range(5):
                    steps.step(F.cross_entropy(fast(sx[i]), sy[i]))
                (F.cross_entropy(fast(qx[i]), qy[i]) / tasks).backward()
        outer.step()

    return step


def sequential_imaml(tasks: int, shots: int, queries: int) -> Callable[[], None]:
    """16 proximal GD steps, 5 CG steps on I + H / lambda, one task after the other."""
    sx, sy, qx, qy = images(tasks, shots, queries)
    net = Plain()
    outer = torch.optim.Adam(net.parameters(), lr=1e-3)
    names = [n for n, _ in net.named_parameters()]

    def step() -> None:
        phi = [p.detach() for p in net.parameters()]
        total = [torch.zeros_like(p) for p in phi]
        for i in range(tasks):
            def loss(theta, x, y):
                return F.cross_entropy(functional_call(net, dict(zip(names, theta, strict=True)), (x,)), y)

            theta = [p.clone() for p in phi]
            for _ in range(16):
                theta = [t.requires_grad_() for t in theta]
                g = torch.autograd.grad(loss(theta, sx[i], sy[i]), theta)
                theta = [(p + (t.detach() - RATE * d - p) / (1 + RATE * LAM)) for t, d, p in zip(theta, g, phi, strict=True)]
            theta = [t.requires_grad_() for t in theta]
            b = torch.autograd.grad(loss(theta, qx[i], qy[i]), theta)
            x = [torch.zeros_like(v) for v in b]
            r, p = list(b), list(b)
            rr = sum((v * v).sum() for v in r)
            for _ in range(5):
                g = torch.autograd.grad(loss(theta, sx[i], sy[i]), theta, create_graph=True)
                h = torch.autograd.grad(sum((a * v).sum() for a, v in zip(g, p, strict=True)), theta)
                ap = [v + w / LAM for v, w in zip(p, h, strict=True)]
                alpha = rr / sum((v * w).sum() for v, w in zip(p, ap, strict=True))
                x = [v + alpha * w for v, w in zip(x, p, strict=True)]
                r = [v - alpha * w for v, w in zip(r, ap, strict=True)]
                new = sum((v * v).sum() for v in r)
                p = [v + new / rr * w for v, w in zip(r, p, strict=True)]
                rr = new
            total = [a + v / tasks for a, v in zip(total, x, strict=True)]
        for q, t in zip(net.parameters(), total, strict=True):
            q.grad = t
        outer.step()

    return step


def sequential_reptile(tasks: int, shots: int, queries: int) -> Callable[[], None]:
    sx, sy, _, _ = images(tasks, shots, queries)
    net = Plain()

    def step() -> None:
        phi = {k: v.detach().clone() for k, v in net.state_dict().items()}
        total = {k: torch.zeros_like(v) for k, v in phi.items()}
        for i in range(tasks):
            net.load_state_dict(phi)
            inner = torch.optim.Adam(net.parameters(), lr=1e-3, betas=(0.0, 0.999))
            for _ in range(8):
                inner.zero_grad()
                F.cross_entropy(net(sx[i]), sy[i]).backward()
                inner.step()
            for k, v in net.state_dict().items():
                total[k] += (v - phi[k]) / tasks
        net.load_state_dict({k: phi[k] + 0.1 * total[k] for k in phi})

    return step


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


def compare(ranks: Ranks, name: str, rounds: int) -> dict:
    kind, build, other, (tasks, shots, queries), goal = CASES[name]
    step = build(tasks, shots, queries)
    best_chunk, best_time = 1, float("inf")
    per_rank = -(-tasks // 2)
    for chunk in sorted({1, 2, 4, per_rank}):  # ours at its best chunk, as the others at their best thread count
        ranks.set(kind=kind, tasks=tasks, shots=shots, queries=queries, chunk=chunk)
        t = min(ranks.step() for _ in range(2))
        if t < best_time:
            best_chunk, best_time = chunk, t
    ranks.set(kind=kind, tasks=tasks, shots=shots, queries=queries, chunk=best_chunk)
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
    parser.add_argument("--out", default="docs/bench.json")
    args = parser.parse_args()
    rounds = 3 if args.quick else args.rounds
    ranks = Ranks(2, 29_655)
    rows = []
    print(f"{'case':52} {'against':12} {'ours s':>8} {'other s':>8} {'ratio (quartiles)':>20} goal", flush=True)
    for name in (n for n in CASES if args.only in n):
        r = compare(ranks, name, rounds)
        rows.append(r)
        ratio = f"{r['ratio']['median']:.2f} ({r['ratio']['low']:.2f}-{r['ratio']['high']:.2f})"
        seconds = f"{r['ours_s']['median']:8.3f} {r['other_s']['median']:8.3f}"
        print(f"{name:52} {r['against']:12} {seconds} {ratio:>20} {r['goal']}", flush=True)
    machine = f"{os.cpu_count()} cores, {platform.machine()}"
    found: dict = {"machine": machine, "torch": torch.__version__, "rounds": rounds, "cases": rows}
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

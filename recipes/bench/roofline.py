"""What a meta-step of recipes/bench/bench.py cannot be faster than on this processor: its arithmetic and its traffic, measured.

    python recipes/bench/roofline.py          # on an idle machine, five minutes; writes docs/roofline.json

Multiplications are counted by torch's counter while one rank does all tasks of a step, bytes are those that every operation reads
and writes. The rates are the best seen here: of a matrix product of 512 x 512 with one thread, and of adding two vectors that lie
in the second-level cache. `needed`: seconds on two cores if every multiplication went at the first rate, nothing waited, and the
rest was free. `as convolutions`: the same at the rate that the network's own convolutions of five images have when nothing else
is done, forward and backward, in torch's quickest way (a task after the other, or the tasks in groups). `also moved`: that, and
the bytes of what is no convolution or product at the second rate.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

import torch
from bench import CASES, Ranks, timed
from bench_ours import trainer
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import FlopCounterMode

from tts_meta.audio.files import replace_file
from tts_meta.processor import kind as processor

RANKS = 2
MULTIPLIES = ("convolution", "mm", "addmm", "bmm", "baddbmm")
CACHED = 64 * 1024
"""Numbers of each of three vectors that together lie in a second-level cache of one MB."""


class Traffic(TorchDispatchMode):
    """Bytes read and written by operations that do not multiply matrices. Views move nothing."""

    def __init__(self) -> None:
        super().__init__()
        self.bytes = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        found = func(*args, **(kwargs or {}))
        name = func.overloadpacket.__name__
        if not func.is_view and not name.startswith(MULTIPLIES):
            tensors = [t for t in tree_leaves([args, kwargs, found]) if isinstance(t, torch.Tensor)]
            self.bytes += sum(t.numel() * t.element_size() for t in tensors)
        return found


def best(work, amount: float, rounds: int = 30) -> float:
    """`amount` a second, of the fastest of some rounds."""
    work()
    seconds = []
    for _ in range(rounds):
        begin = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - begin)
    return amount / min(seconds)


def rates() -> tuple[float, float]:
    """(floating-point operations, bytes) a second of one core."""
    torch.set_num_threads(1)
    a, b, out = torch.randn(512, 512), torch.randn(512, 512), torch.empty(512, 512)
    x, y, z = (torch.randn(CACHED) for _ in range(3))

    def add() -> None:
        for _ in range(100):
            torch.add(x, y, out=z)

    return best(lambda: torch.mm(a, b, out=out), 2 * 512**3), best(add, 100 * 3 * 4 * CACHED)


SIDES = (28, 14, 7, 4)
"""Pixels of a side before each of the four convolutions of stride 2."""


def convolution_rate(tasks: int, images: int = 5, channels: int = 64) -> float:
    """Floating-point operations a second of one core in the three later convolutions (the first has one channel), of `tasks`
    weights at once: forward and both gradients, each in the quicker way."""
    torch.set_num_threads(1)
    seconds, operations = 0.0, 0.0
    for side in SIDES[1:]:
        x = torch.randn(images, tasks * channels, side, side)
        w = torch.randn(tasks * channels, channels, 3, 3)
        grad = torch.randn_like(torch.nn.functional.conv2d(x, w, None, 2, 1, 1, tasks))
        parts = [[v.contiguous() for v in t.split(channels, dim)] for t, dim in ((x, 1), (w, 0), (grad, 1))]

        def forward(x, w, grad, groups):
            return torch.nn.functional.conv2d(x, w, None, 2, 1, 1, groups)

        def backward(x, w, grad, groups):
            return torch.ops.aten.convolution_backward(
                grad, x, w, None, [2, 2], [1, 1], [1, 1], False, [0, 0], groups, [True, True, False])

        count = 2 * images * tasks * channels * channels * 9 * grad.shape[-1] ** 2
        for way, times in ((forward, 1), (backward, 2)):
            grouped = best(lambda f=way, x=x, w=w, g=grad: f(x, w, g, tasks), 1.0)
            alone = best(lambda f=way, p=parts: [f(*t, 1) for t in zip(*p, strict=True)], 1.0)
            seconds, operations = seconds + 1 / max(grouped, alone), operations + times * count
    return operations / seconds


def counted(kind: str, tasks: int, shots: int, queries: int, chunk: int) -> tuple[float, float]:
    """(floating-point operations, bytes of what does not multiply) of one meta-step."""
    torch.set_num_threads(1)
    work = trainer(kind, tasks, shots, queries, chunk, 0, 1)
    work.step()
    with FlopCounterMode(display=False) as counter:
        work.step()
    with Traffic() as traffic:
        work.step()
    return float(counter.get_total_flops()), float(traffic.bytes)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("docs/roofline.json"))
    parser.add_argument("--bench", type=Path, default=Path("docs/bench.json"), help="where each case's best chunk stands")
    args = parser.parse_args()
    chunks = {c["case"]: c["chunk"] for c in json.loads(args.bench.read_text())["cases"]}
    flops, bandwidth = rates()
    ranks, rows = Ranks(RANKS, 29_657), []
    print(f"{processor()}\none core: {flops / 1e9:.0f} GFLOP/s, {bandwidth / 1e9:.0f} GB/s in the cache")
    for name, (kind, build, _, (tasks, shots, queries), goal) in CASES.items():
        operations, moved = counted(kind, tasks, shots, queries, chunks[name])
        needed = operations / flops / RANKS
        convolved = operations / convolution_rate(chunks[name]) / RANKS
        ranks.set(kind=kind, tasks=tasks, shots=shots, queries=queries, chunk=chunks[name])
        ours = min(ranks.step() for _ in range(7))
        other = build(tasks, shots, queries)
        theirs = min(min(timed(other, n) for _ in range(5)) for n in (1, 2))
        row = {"case": name, "gflop": round(operations / 1e9, 2), "gbytes": round(moved / 1e9, 2), "needed_s": round(needed, 3),
               "as_convolutions_s": round(convolved, 3), "also_moved_s": round(convolved + moved / bandwidth / RANKS, 3),
               "ours_s": round(ours, 3), "theirs_s": round(theirs, 3), "ratio": round(theirs / ours, 2),
               "most": round(theirs / needed, 2), "most_as_convolutions": round(theirs / convolved, 2), "goal": goal}
        rows.append(row)
        print(row, flush=True)
    ranks.close()
    found = {"processor": processor(), "gflops_a_core": round(flops / 1e9, 1), "gbytes_a_core": round(bandwidth / 1e9, 1),
             "cases": rows}
    replace_file(args.out, (json.dumps(found, indent=1) + "\n").encode())


if __name__ == "__main__":
    main()

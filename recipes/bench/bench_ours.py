"""Our side of recipes/bench/bench.py: the learning core's trainers on two single-thread ranks."""

from __future__ import annotations

import os
import time

import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from torch import Tensor

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
from tts_meta.training.compiled import Compiled
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


def trainer(
    kind: str, tasks: int, shots: int, queries: int, chunk: int, rank: int, world: int, compiled: bool = False
) -> MetaTrainer:
    sx, sy, qx, qy = images(tasks, shots, queries)
    algo, net = algorithm(kind)

    def draw(step: int, positions) -> FewShot:
        i = list(positions)
        return FewShot({"x": sx[i], "y": sy[i]}, {"x": qx[i], "y": qy[i]})

    outer = {"phi": Group("phi/*", lambda p: torch.optim.Adam(p, lr=1e-3))}
    learner = Compiled(algo) if compiled else algo
    return MetaTrainer(learner, algo.init(net.fresh), draw, outer, tasks, chunk, 0, rank, world)


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

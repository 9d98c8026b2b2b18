"""Meta-step of the acoustic network: speakers together in one batch against one at a time; part of recipes/bench/bench.py.

    python recipes/bench/bench_acoustic.py                          # this machine's CPU, one thread
    python recipes/bench/bench_acoustic.py --device cuda --bf16     # tasks per second, memory, share of the measured peak

Four tasks, each a draw from the recordings in app/examples, sigma-Reptile with the starter's prior, all modules moving.
The peak is that of a matrix product measured in the same run.
"""

from __future__ import annotations

import argparse
import copy
import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch.utils.flop_counter import FlopCounterMode

from tts_meta.clips.transcripts import complete_transcripts, find_clips
from tts_meta.clips.whole_clips import whole_clips
from tts_meta.data.tasks import SpeakerTask
from tts_meta.meta.algorithms.gradient import Gradient
from tts_meta.meta.hypergrad.displacement import Displacement
from tts_meta.meta.loss import ModuleLoss
from tts_meta.meta.task import Stacked
from tts_meta.nets.likelihood import utterance_loss
from tts_meta.processor import use_bf16
from tts_meta.starters.small_starter import load_starter
from tts_meta.training.parts import build
from tts_meta.training.sigma_reptile import ADAM

EXAMPLES = Path(__file__).resolve().parents[2] / "app" / "examples"


def meta_step(tasks: int, together: bool, steps: int, device: str, bf16: bool) -> Callable[[], None]:
    """One meta-gradient of `tasks` tasks, all in one batch or one after the other."""
    starter = load_starter()
    clips = find_clips([EXAMPLES])
    used = list(whole_clips(clips, complete_transcripts(clips, None), starter).values())
    items = [c.item for c in used]
    network = copy.deepcopy(starter.model).to(device)
    algorithm = Gradient(
        ModuleLoss(network, utterance_loss(starter.scales), bf16), lambda names: starter.partition,
        build(starter.adaptation.need("solver"), ADAM), Displacement(), steps,
    )
    state = {f"phi/{k}": starter.phi[k].to(device) for k in starter.partition.free()}
    state["log_sigma2"] = starter.prior.log_sigma2.to(device)
    reduction = starter.model.config.reduction

    def generators(seed: int) -> list[torch.Generator]:
        return [torch.Generator().manual_seed(seed + t) for t in range(tasks)]

    def step() -> None:
        each = [SpeakerTask(items[t:] + items[: max(0, t - 4)], items[-4:], 4, reduction, device) for t in range(tasks)]
        a, b = generators(0), generators(100)
        groups = [range(tasks)] if together else [[t] for t in range(tasks)]
        for group in groups:
            algorithm.meta_grads(state, Stacked([each[t] for t in group], [a[t] for t in group], [b[t] for t in group]), [])
        if device != "cpu":
            torch.cuda.synchronize()

    return step


def timed(step: Callable[[], None]) -> float:
    begin = time.perf_counter()
    step()
    return time.perf_counter() - begin


def matmul_peak(device: str, bf16: bool) -> float:
    """FLOP/s of the best of ten large matrix products."""
    size = 2048 if device == "cpu" else 8192
    a = torch.rand(size, size, device=device, dtype=torch.bfloat16 if bf16 else torch.float32)

    def run() -> None:
        torch.mm(a, a)
        if device != "cpu":
            torch.cuda.synchronize()

    run()
    return 2 * size**3 / min(timed(run) for _ in range(10))


def acoustic(rounds: int, device: str = "cpu", bf16: bool = False, tasks: int = 4, steps: int = 4) -> dict:
    torch.set_num_threads(1)
    ways = {name: meta_step(tasks, name == "together", steps, device, bf16) for name in ("together", "alone")}
    flops = {}
    for name, step in ways.items():
        with FlopCounterMode(display=False) as counter:
            step()
        flops[name] = counter.get_total_flops()
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(rounds):
        for name, step in ways.items():
            seconds[name].append(timed(step))
    peak = matmul_peak(device, bf16)
    ratios = [b / a for a, b in zip(seconds["together"], seconds["alone"], strict=True)]
    low, middle, high = statistics.quantiles(ratios, n=4)
    best = min(ways, key=lambda name: statistics.median(seconds[name]))
    fastest = statistics.median(seconds[best])
    return {
        "case": f"acoustic network, {tasks} speakers x {steps} inner steps of 4 clips", "device": device, "bf16": bf16,
        "together_s": statistics.median(seconds["together"]), "alone_s": statistics.median(seconds["alone"]),
        "ratio": {"median": middle, "low": low, "high": high}, "tasks_per_second": tasks / fastest,
        "flops": flops[best], "share_of_matmul_peak": flops[best] / fastest / peak, "matmul_flops_per_s": peak,
        "memory_bytes": torch.cuda.max_memory_allocated() if device != "cpu" else None,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--bf16", action="store_true")
    parser.add_argument("--tasks", type=int, default=4)
    parser.add_argument("--steps", type=int, default=4)
    args = parser.parse_args()
    print(json.dumps(acoustic(args.rounds, args.device, use_bf16(args.bf16, args.device), args.tasks, args.steps), indent=1))


if __name__ == "__main__":
    main()

"""Seconds of an inner step of a clone: sigma-Reptile's modules against all weights; ratios in one run, one thread.

    python recipes/bench_adapt.py
"""

from __future__ import annotations

import statistics
import time
from pathlib import Path

import torch

from tts_meta.voices.adapt import AdaptationRun
from tts_meta.voices.clips import whole_clips
from tts_meta.voices.methods import free, shrinking
from tts_meta.voices.starter import default_starter
from tts_meta.voices.transcripts import complete_transcripts, find_clips

CLIPS = Path(__file__).parent.parent / "app" / "examples" / "p225" / "clips"
PAIRS, STEPS = 7, 10


def main() -> None:
    torch.set_num_threads(1)
    starter = default_starter()
    paths = find_clips([CLIPS])
    items = [c.item for c in whole_clips(paths, complete_transcripts(paths, None), starter).values()]
    methods = {
        "sigma": shrinking(starter), "all weights": free(starter, ["*"], 3e-4), "embedding": free(starter, ["speaker"], 0.03)
    }
    clips = starter.info["adaptation"]["clips"]
    runs = {name: AdaptationRun(starter, m, items, (), 10**6, STEPS, clips) for name, m in methods.items()}
    for run in runs.values():
        next(run)  # step 0 measures only
    times: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(PAIRS + 1):
        for name, run in runs.items():
            begin = time.process_time()
            next(run)
            times[name].append((time.process_time() - begin) / STEPS)
    for name, found in times.items():
        each = sorted(b / a for a, b in zip(times["sigma"][1:], found[1:], strict=True))  # the first warms up
        moved = sum(v.numel() for v in runs[name].phi.values())
        print(f"{name}: {moved:,} parameters, {1000 * statistics.median(found[1:]):.0f} ms a step, "
              f"{statistics.median(each):.2f} of sigma's ({each[0]:.2f} to {each[-1]:.2f})", flush=True)


if __name__ == "__main__":
    main()

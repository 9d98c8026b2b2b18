"""Seconds of an inner step of a clone: sigma-Reptile's modules against all weights; ratios in one run, one thread.

    python recipes/bench/bench_adapt.py
"""

from __future__ import annotations

import argparse
import statistics
from functools import partial
from pathlib import Path

import torch
from alternate import in_turns, show_ratio

from tts_meta.adaptation.adaptation_run import AdaptationRun
from tts_meta.adaptation.methods import free, shrinking
from tts_meta.clips.transcripts import complete_transcripts, find_clips
from tts_meta.clips.whole_clips import whole_clips
from tts_meta.starters.chosen_starter import default_starter

CLIPS = Path(__file__).resolve().parents[2] / "app" / "examples" / "p225" / "clips"
STEPS = 10


def main() -> None:
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    torch.set_num_threads(1)
    starter = default_starter()
    paths = find_clips([CLIPS])
    items = [c.item for c in whole_clips(paths, complete_transcripts(paths, None), starter).values()]
    methods = {
        "sigma": shrinking(starter), "all weights": free(starter, ["*"], 3e-4), "embedding": free(starter, ["speaker"], 0.03)
    }
    clips = starter.adaptation.clips
    runs = {name: AdaptationRun(starter, m, items, (), 10**6, STEPS, clips) for name, m in methods.items()}
    for run in runs.values():
        next(run)  # step 0 measures only
    times = in_turns({name: partial(next, run) for name, run in runs.items()})
    for name, found in times.items():
        moved = sum(v.numel() for v in runs[name].phi.values())
        print(f"{name}: {moved:,} parameters, {1000 * statistics.median(found) / STEPS:.0f} ms a step, "
              f"{show_ratio(found, times['sigma'])} times sigma's", flush=True)


if __name__ == "__main__":
    main()

"""Processor seconds of an inner step of a clone: all modules under the prior, those that go on alone, and all weights.

    python recipes/bench/bench_adapt.py          # 3 minutes on one thread

Two windows of the example's clips a step. "All weights" are those of the acoustic blocks and the mel head, by Adam without a
prior. Ratios in one run.
"""

from __future__ import annotations

import argparse
import statistics
import sys
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "recipes" / "kokoro")]

from alternate import in_turns, show_ratio  # noqa: E402
from arms import dense  # noqa: E402

from tts_meta.adaptation.adaptation_run import AdaptationRun  # noqa: E402
from tts_meta.adaptation.methods import shrinking  # noqa: E402
from tts_meta.clips.transcripts import complete_transcripts, find_clips  # noqa: E402
from tts_meta.clips.whole_clips import whole_clips  # noqa: E402
from tts_meta.processor import kind, use_threads  # noqa: E402
from tts_meta.starters.kokoro_starter import KokoroStarter, load_kokoro  # noqa: E402

CLIPS = ROOT / "app" / "examples" / "p225" / "clips"
STEPS = 4
FOREVER = 10**6


def steps_of(starter: KokoroStarter, items: list, together: int) -> Callable[[], object]:
    """STEPS steps of a clone that has done its first, after which it has settled if `together` is 1."""
    arm = replace(starter, adaptation=replace(starter.adaptation, together=together))
    run = AdaptationRun(arm, shrinking(arm), items, (), FOREVER, STEPS, starter.adaptation.clips, at_once=1)
    next(run)  # measures only
    next(run)
    return partial(next, run)


def main() -> None:
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    use_threads()
    starter = load_kokoro()
    paths = find_clips([CLIPS])
    items = [starter.item(c) for c in whole_clips(paths, complete_transcripts(paths, None), starter).values()]
    every = dense(starter, items, {"dense": ["head.", "blocks."], "rate": 1e-5, "steps": range(1, FOREVER)}, 0)
    ways = {
        "the head alone": steps_of(starter, items, 1), "all modules under the prior": steps_of(starter, items, FOREVER),
        "all weights": lambda: [next(every) for _ in range(STEPS)],
    }
    times = in_turns(ways)
    print(kind())
    for name, found in times.items():
        many = show_ratio(times["all weights"], found)
        print(f"{name}: {1000 * statistics.median(found) / STEPS:.0f} ms a step; one of all weights takes {many} times as long")


if __name__ == "__main__":
    main()

"""What a clone will do, told before it starts: modules, steps, minutes, memory; the minutes from two steps that are timed."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass

from tts_meta.adaptation.clone_in_progress import CHECK, Cloning
from tts_meta.processor import bf16_is_fast

SENTENCE_SECONDS = 5.0  # of speech, at a check or for a preview
HEAR_SECONDS = 0.8
"""Of hearing a sentence and writing a step's voice, on one core."""
WORKER_MB, MEGABYTES_A_FRAME = {"small": 1250, "kokoro": 1690}, 0.05
"""Peak of a job's process, measured. Small: 1,246 MB with 496 frames a step, 1,288 and 1,312 with 1,104, 1,245 with 1,686. On
Kokoro, with two windows of 5 s (860 frames) side by side: 1,670 MB in float32, 1,729 with bfloat16."""


def watch_seconds() -> float:
    """Of speaking and hearing one sentence: 0.16 s a second of speech where the processor has bfloat16, 0.7 elsewhere."""
    return HEAR_SECONDS + SENTENCE_SECONDS * (0.16 if bf16_is_fast() else 0.7)


@dataclass(frozen=True)
class Plan:
    """`memory_mb`: of the process while it runs. `modules` are those that move. `accent`: a sentence on how texts are read, where
    there was a choice."""

    clips: int
    held_out: int
    seconds: float
    modules: list[str]
    parameters: int
    share: float
    steps: int
    minutes: float
    memory_mb: int
    accent: str = ""

    @property
    def sentence(self) -> str:
        return (
            f"{self.clips} clips ({self.held_out} held out to watch, learned from at the end). {len(self.modules)} modules "
            f"with {self.parameters:,} parameters ({100 * self.share:.0f} %) will move in {self.steps} steps: "
            f"about {self.minutes:.1f} minutes and {self.memory_mb / 1000:.1f} GB of memory."
        ) + (self.accent and f" {self.accent}")

    def to_dict(self) -> dict:
        return {**asdict(self), "sentence": self.sentence}


def plan(cloning: Cloning) -> Plan:
    """Time two steps (which change nothing) and say what the clone will take on this machine."""
    run = cloning.run
    frames = sum(b["mel"].shape[1] * b["mel"].shape[2] for b in run.draw())
    seconds = []
    for _ in range(2):
        begin = time.monotonic()
        run.estimate()
        seconds.append(time.monotonic() - begin)
    steps = cloning.planned
    watching = (5 + (cloning.settings.steps / CHECK if cloning.settings.stop else 0)) * watch_seconds()
    moved = sum(v.numel() for v in run.phi.values())
    total = cloning.starter.size
    return Plan(
        len(cloning.clips), len(cloning.heldout), round(sum(c.seconds for c in cloning.clips), 1), list(cloning.method.modules),
        moved, moved / total, steps, round((run.worth(steps) * min(seconds) * 1.1 + watching) / 60, 1),
        int(WORKER_MB[cloning.starter.kind] + MEGABYTES_A_FRAME * frames),
    )

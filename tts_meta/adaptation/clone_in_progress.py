"""A clone in progress: adapt, watch two signals, let the held-out clips join at the end, write voice files of any step.

An iterator over Progress that can be saved and restored; a restored one goes on bit for bit. `clone_voice` runs it in
one go, a job (`tts_meta.jobs`) runs it in a process of its own.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from functools import cached_property
from importlib.metadata import version
from pathlib import Path

import torch

from tts_meta.adaptation.adaptation_run import AdaptationRun, Progress
from tts_meta.adaptation.clone_settings import Settings
from tts_meta.adaptation.methods import choose_method
from tts_meta.adaptation.stopping import plateau
from tts_meta.audio.mel import SAMPLE_RATE
from tts_meta.audio.vocoder import fast_vocoder
from tts_meta.clips.prepared_clips import Prepared
from tts_meta.measures.similarity import centroid, embed
from tts_meta.meta.prior import module_distance
from tts_meta.meta.tree import Tree
from tts_meta.speaking.synthesize import Synthesizer
from tts_meta.starters.gains import Gains
from tts_meta.starters.interface import Network
from tts_meta.voices.voice_file import load_voice, save_voice

HELDOUT_SHARE = 0.15
FINISH = 0.2
"""Share of the steps that a clone goes on with its held-out clips among the others (docs/experiments.md)."""
CHECK = 30  # steps between two measurements of likeness
GAIN_CLIPS = 4  # enough for the gains of a preview


def hold_out(clips: Sequence[Prepared], seed: int) -> tuple[list[Prepared], list[Prepared]]:
    """(support, held out): about HELDOUT_SHARE of the clips, at least one when there are two or more."""
    if len(clips) < 2:
        return list(clips), []
    count = max(1, round(HELDOUT_SHARE * len(clips)))
    order = torch.randperm(len(clips), generator=torch.Generator().manual_seed(seed)).tolist()
    held = set(order[:count])
    return [c for i, c in enumerate(clips) if i not in held], [c for i, c in enumerate(clips) if i in held]


class Cloning:
    """Iterator over Progress. `start` are deltas of an earlier clone to go on from."""

    def __init__(self, starter: Network, clips: Sequence[Prepared], settings: Settings, start: Tree | None = None) -> None:
        self.starter, self.clips, self.settings = starter, list(clips), settings.check()
        self.support, self.heldout = hold_out(clips, settings.seed)
        self.method = choose_method(starter, settings.method)
        chunk = max(1, min(5, settings.steps // 10))
        self.run = AdaptationRun(
            starter, self.method, [c.item for c in self.support], [c.item for c in self.heldout], settings.steps, chunk,
            starter.adaptation.clips, settings.seed, start=start, measure=4 * chunk,
        )
        self.curve: list[list[float]] = []  # [step, held-out loss]
        self.likeness: list[list[float]] = []  # [step, cosine to the speaker's clips, held-out loss]
        self.plateau_at: int | None = None

    @cached_property
    def measured(self) -> Tree:
        """What is measured on the clips, and moved by no step."""
        items = [c.item for c in self.clips]
        return self.starter.measured(items, [self.run.encoded[id(i)] for i in items])

    def __iter__(self) -> Iterator[Progress]:
        return self

    def __next__(self) -> Progress:
        """A chunk of steps; after the last one the held-out clips join for FINISH of the steps done."""
        if not self.run.joined and (self.run.step >= self.settings.steps or self.plateau_at is not None):
            # Under the prior the last step is safe, so no clip has to be given up for choosing one.
            if not self.heldout or not self.settings.shrinks:
                raise StopIteration
            self.run.join(max(1, round(FINISH * self.run.step)))
        progress = next(self.run)
        if progress.heldout_loss is not None:
            self.curve.append([progress.step, round(progress.heldout_loss, 5)])
        if self.settings.stop and self.heldout and not self.run.joined and progress.step % CHECK == 0:
            self._check(progress)
        return progress

    def _check(self, progress: Progress) -> None:
        loss = progress.heldout_loss if progress.heldout_loss is not None else self.run.heldout_loss()
        assert loss is not None
        self.likeness.append([progress.step, round(self.measure_likeness(), 5), round(loss, 5)])
        if plateau([(r[2], r[1]) for r in self.likeness]):
            self.plateau_at = progress.step

    @property
    def planned(self) -> int:
        """Steps in all, as far as is known now."""
        if self.run.joined or not self.heldout or not self.settings.shrinks:
            return self.run.steps
        return self.settings.steps + max(1, round(FINISH * self.settings.steps))

    @property
    def left(self) -> float:
        """Seconds of the steps to come, by the pace so far."""
        done = self.run.worth(self.run.step)
        return self.run.seconds / done * (self.run.worth(self.planned) - done) if done else 0.0

    def measure_likeness(self) -> float:
        """Cosine between the shortest held-out sentence in the current voice and the mean of the speaker's clips.

        By the fast vocoder: these cosines are compared with each other only.
        """
        text = min((c for c in self.heldout), key=lambda c: (c.speech_seconds < 1.5, c.speech_seconds)).text
        deltas = self.run.now() | self.measured
        spoken = Synthesizer(self.starter, deltas, fast_vocoder(), self.gains(deltas, GAIN_CLIPS)).speak(text)
        middle = centroid([c.embedding for c in self.clips])
        return float(embed(spoken.samples, SAMPLE_RATE) @ middle)

    def gains(self, deltas: Tree, limit: int | None = None) -> Gains:
        """Variance gains of the voice with `deltas`, measured on the first `limit` clips."""
        return self.starter.gains(deltas, [c.item for c in self.clips[:limit]])

    def header(self, step: int, deltas: Tree, gains: Gains) -> dict:
        """What a voice file of this step says about itself (docs/voice-file.md)."""
        moved = module_distance(self.starter.partition, deltas, (*self.method.modules, *self.measured))
        distance = {m: round(d, 6) for m, d in moved.items()}
        s = self.settings
        return {
            "name": s.name, "starter": self.starter.digest, "modules": [*self.method.modules, *self.measured],
            "sample_rate": SAMPLE_RATE,
            "clips": len(self.clips), "seconds": round(sum(c.seconds for c in self.clips), 2), "steps": self.run.step,
            "best_step": step, "method": s.method, "heldout_loss": self.curve, "likeness": [r[:2] for r in self.likeness],
            "consent": s.consent, "purpose": s.purpose, "created": datetime.now(UTC).isoformat(timespec="seconds"),
            "clip_digests": sorted({c.digest for c in self.clips}), "made_by": f"tts-meta {version('tts-meta')}",
            "variance_gains": [round(float(g), 4) for g in gains.cepstra], "pitch_gain": round(gains.pitch, 4),
            "distance": distance, **({"accent": self.starter.accent} if self.starter.accent else {}),
        }

    def write(self, path: Path, best: bool = True) -> int:
        """Write the voice of the best step (or of the current one) to `path`; returns its bytes.

        Done only when the file loads and speaks.
        """
        deltas = (self.run.deltas() if best else self.run.now()) | self.measured
        gains = self.gains(deltas)
        size = save_voice(path, deltas, self.header(self.run.best_step if best else self.run.step, deltas, gains))
        voice = load_voice(path, self.starter)
        Synthesizer.of(self.starter, voice).sentence_mel("Hello.")
        return size

    def save(self, path: Path) -> None:
        """All state in one file."""
        extra = {"curve": self.curve, "likeness": self.likeness, "plateau_at": self.plateau_at}
        self.run.save(path, extra)

    def restore(self, path: Path) -> None:
        """Continue from `save`. Raises InputError for a file of another starter, other modules or another solver."""
        extra = self.run.restore(path)
        self.curve, self.likeness, self.plateau_at = extra["curve"], extra["likeness"], extra["plateau_at"]

"""What a cell is measured by: the loss of clips that no method sees, and what the clone says."""

from __future__ import annotations

import json

import numpy as np
import soundfile
import torch
from compare_world import World

from tts_meta.audio.files import replace_file
from tts_meta.audio.mel import HOP, SAMPLE_RATE
from tts_meta.clips.whole_clips import check_clip
from tts_meta.data.batch import Item, collate
from tts_meta.evaluation.judge import Judge, Sentence, Sound, beside
from tts_meta.evaluation.kept import Measured
from tts_meta.measures.similarity import embed
from tts_meta.meta.tree import Tree
from tts_meta.nets.likelihood import Scales, negative_log_likelihood
from tts_meta.starters.small_starter import Starter


def bounds(world: World, name: str) -> None:
    """Write what no method changes: embeddings and measures of the real and the vocoded recordings."""
    path = world.out / "speakers" / f"{name}.json"
    if path.exists():
        return
    judge, _ = world.speaker(name)
    s = world.speakers[name]
    centre = [embed(check_clip(p).samples, SAMPLE_RATE) for p in s.reference[1::2]]
    rows = {kind: measured([of_recording(judge, x, kind) for x in judge.sentences]) for kind in ("vocoded", "real")}
    found = {
        "corpus": s.corpus, "texts": [x.text for x in judge.sentences], "centre": listed(np.stack(centre)), **rows,
    }
    if name in world.cfg.sounds:
        keep_sounds(world, f"real-{name}-0-0-best", [x.features.samples for x in judge.sentences])
    replace_file(path, json.dumps(found).encode())


def keep_sounds(world: World, name: str, sounds: list[np.ndarray]) -> None:
    """The first two as files."""
    for i, x in enumerate(sounds[:2]):
        file = world.out / "sounds" / f"{name}-{i}.ogg"
        file.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(file, x, SAMPLE_RATE, format="OGG", subtype="VORBIS")


def listed(embeddings: np.ndarray) -> list[list[float]]:
    return [[round(float(x), 5) for x in e] for e in embeddings]


def of_recording(judge: Judge, sentence: Sentence, kind: str) -> tuple[Measured, dict]:
    """Measures of a recording, alone and beside itself."""
    found = judge.recording(sentence, kind)
    return found, beside(Sound(found.samples), sentence)


def measured(found: list[tuple[Measured, dict]], quality: bool = True) -> dict:
    """A row a sentence, and the embeddings."""
    rows = [{"heard": m.heard, **({"dnsmos": m.dnsmos} if quality else {}), **more} for m, more in found]
    return {"rows": rows, "embeddings": listed(np.stack([m.embedding for m, _ in found]))}


class Query:
    """Loss of a speaker's reference clips, which no method sees, under one likelihood for all methods."""

    def __init__(self, starter: Starter, items: list[Item]) -> None:
        self.starter, self.frames = starter, sum(len(i.mel) for i in items)
        self.batch = collate(items, starter.model.config.reduction)

    @torch.no_grad()
    def __call__(self, deltas: Tree) -> dict[str, float]:
        """nats per frame: total and its parts; mel_l1 (normalised), duration_ms (mean absolute error of a phone)."""
        params = {k: self.starter.phi[k] + d for k, d in deltas.items()}
        out = torch.func.functional_call(self.starter.model, params, (self.batch,))
        parts = negative_log_likelihood(out, self.batch, Scales())
        found = {k: float(v) / self.frames for k, v in parts.items()}
        mask, phones = self.batch["frame_mask"].unsqueeze(-1), self.batch["phone_mask"]
        l1 = ((out["mel"] - self.batch["mel"]).abs() * mask).sum() / mask.sum() / 80
        frames = ((out["log_duration"].exp() - self.batch["durations"]).abs() * phones).sum() / phones.sum()
        return {
            "total": sum(found.values()), **found, "mel_l1": float(l1),
            "duration_ms": float(frames) * 1000 * HOP / SAMPLE_RATE,
        }

"""Clips and transcripts -> voice file: check, align, adapt, save. The command line and the page both call this."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import torch

from tts_meta.audio.mel import SAMPLE_RATE
from tts_meta.errors import InputError
from tts_meta.voices.adapt import AdaptationRun, Progress
from tts_meta.voices.checkup.checkup import check_clips
from tts_meta.voices.clips import UsedClip
from tts_meta.voices.library import check_name
from tts_meta.voices.methods import choose_method
from tts_meta.voices.starter import Starter
from tts_meta.voices.synthesize import Synthesizer
from tts_meta.voices.transcripts import complete_transcripts, find_clips
from tts_meta.voices.variance import measure_gains
from tts_meta.voices.voice_file import load_voice, save_voice

METHODS = ("sigma", "embedding", "all")
HELDOUT_SHARE = 0.15
FINISH = 0.2
"""Share of the steps that are added at the end for the held-out clips to be learned from (docs/starter.md)."""


@dataclass(frozen=True)
class Cloned:
    """What a clone made; `summary` is what `clone --json` prints."""

    path: Path
    summary: dict


def hold_out(clips: Sequence[UsedClip], seed: int) -> tuple[list[UsedClip], list[UsedClip]]:
    """(support, held out): about HELDOUT_SHARE of the clips, at least one when there are two or more."""
    if len(clips) < 2:
        return list(clips), []
    count = max(1, round(HELDOUT_SHARE * len(clips)))
    order = torch.randperm(len(clips), generator=torch.Generator().manual_seed(seed)).tolist()
    held = set(order[:count])
    return [c for i, c in enumerate(clips) if i not in held], [c for i, c in enumerate(clips) if i in held]


def clone_voice(
    starter: Starter,
    given: Sequence[Path],
    name: str,
    folder: Path,
    transcripts: Path | None = None,
    steps: int | None = None,
    method: str = "sigma",
    consent: str = "",
    force: bool = False,
    seed: int = 0,
    texts: dict[Path, str] | None = None,
    on_message: Callable[[str], None] = lambda message: None,
    on_progress: Callable[[Progress], None] = lambda progress: None,
) -> Cloned:
    """Clone a voice into `folder/NAME.voice`. Raises InputError for anything the caller can mend."""
    begin = time.monotonic()
    check_name(name)
    if method not in METHODS:
        raise InputError(f"The method is {method!r}; one of {', '.join(METHODS)} is expected.")
    steps = starter.info["adaptation"]["steps"] if steps is None else steps
    if not 1 <= steps <= 1_000_000:
        raise InputError(f"The number of steps is {steps}; 1 to 1,000,000 is expected.")
    path = folder / f"{name}.voice"
    if path.exists() and not force:
        raise InputError(f"{path} exists already; choose another name or add --force.")
    clips = find_clips([Path(g) for g in given])
    if texts is None:
        texts = complete_transcripts(clips, transcripts, on_message)
    checkup = check_clips(clips, texts, starter)
    for c in checkup.clips:
        if c.used is None:
            on_message(f"left out: {c.path.name}: {c.to_dict()['reason']}")
    used, report = checkup.require(), [c.to_dict() for c in checkup.clips]
    support, heldout = hold_out(used, seed)
    on_message(
        f"{len(used)} of {len(clips)} clips, {sum(c.features.speech_seconds for c in used):.0f} s of speech; "
        f"{len(heldout)} held out"
    )
    chosen = choose_method(starter, method)
    run = AdaptationRun(
        starter, chosen, [c.item for c in support], [c.item for c in heldout], steps,
        chunk=max(1, min(20, steps // 10)), clips=starter.info["adaptation"]["clips"], seed=seed,
    )
    curve: list[list] = []
    for progress in run:
        if progress.heldout_loss is not None:
            curve.append([progress.step, round(progress.heldout_loss, 5)])
        on_progress(progress)
    if heldout and method == "sigma":
        # Under the prior the last step is safe, so no clip has to be given up for choosing one.
        on_message(f"{len(heldout)} held-out clip(s) join for the last steps")
        run.join(max(1, round(FINISH * steps)))
        for progress in run:
            on_progress(progress)
    seconds = sum(c.features.seconds for c in used)
    deltas = run.deltas()
    gains = measure_gains(starter, deltas, [c.item for c in used])
    header = {
        "name": name, "starter": starter.digest, "modules": list(chosen.modules), "sample_rate": SAMPLE_RATE,
        "clips": len(used), "seconds": round(seconds, 2), "steps": run.step, "best_step": run.best_step,
        "method": method, "heldout_loss": curve, "consent": consent,
        "created": datetime.now(UTC).isoformat(timespec="seconds"), "clip_digests": [c.digest for c in used],
        "variance_gains": [round(float(g), 4) for g in gains.cepstra], "pitch_gain": round(gains.pitch, 4),
        "distance": {m: round(d, 6) for m, d in run.distance().items()},
    }
    size = save_voice(path, deltas, header)
    # A clone is done only when its file loads and speaks.
    voice = load_voice(path, starter)
    Synthesizer.of(starter, voice).sentence_mel("Hello.")
    return Cloned(path, {
        "voice": str(path), "modules": starter.module_table(list(chosen.modules)), "steps": run.step,
        "best_step": run.best_step, "heldout_loss": curve, "clips": report,
        "seconds_total": round(time.monotonic() - begin, 2), "bytes": size,
    })

"""Clips and transcripts -> voice file in one call, in this process: check, align, adapt, save. Jobs do the same apart."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from tts_meta.adaptation.adaptation_run import Progress
from tts_meta.adaptation.clone_in_progress import Cloning
from tts_meta.adaptation.clone_settings import Settings
from tts_meta.clips.checkup import check_clips
from tts_meta.clips.clip_check import Checkup
from tts_meta.clips.heard_accent import prepare_in_accent
from tts_meta.clips.long_recordings import cut_long_recordings
from tts_meta.clips.transcripts import complete_transcripts, find_clips, find_transcripts
from tts_meta.errors import InputError
from tts_meta.starters.interface import Network
from tts_meta.text.accents import AUTO
from tts_meta.voices.voice_header import read_header


@dataclass(frozen=True)
class Cloned:
    """What a clone made; `summary` is what `clone --json` prints."""

    path: Path
    summary: dict


def free_path(folder: Path, name: str, force: bool) -> Path:
    """Where a voice goes. Raises InputError when one is there already."""
    path = folder / f"{name}.voice"
    if path.exists() and not force:
        raise InputError(f"{path} exists already; choose another name or add --force.")
    return path


def tell(checkup: Checkup, say: Callable[[str], None]) -> None:
    """Everything that is not green, and the meter."""
    for c in checkup.clips:
        part = f" ({c.start:.1f} to {c.end:.1f} s)" if c.start else ""
        for f in c.findings:
            if f.level != "green":
                verb = "left out" if f.level == "red" else "check"
                say(f"{verb}: {c.path.name}{part}: {f.sentence} {f.fix}".rstrip())
    for f in checkup.findings:
        say(f"{f.sentence} {f.fix}")
    say(checkup.meter.sentence)


def summary(path: Path, starter: Network, report: list[dict], seconds: float) -> dict:
    """What `clone --json` prints of a voice that was made; `report` are the rows of its clips."""
    header = read_header(path)
    return {
        "voice": str(path), "modules": starter.module_table(header["modules"], header["method"]), "clips": report,
        **{k: header.get(k) for k in ("steps", "best_step", "heldout_loss", "likeness")},
        "seconds_total": round(seconds, 2), "bytes": path.stat().st_size,
    }


def clone_voice(
    starter: Network,
    given: Sequence[Path],
    name: str,
    folder: Path,
    transcripts: Path | None = None,
    steps: int | None = None,
    method: str = "sigma",
    consent: str = "",
    force: bool = False,
    seed: int = 0,
    accent: str = AUTO,
    texts: dict[Path, str] | None = None,
    on_message: Callable[[str], None] = lambda message: None,
    on_progress: Callable[[Progress], None] = lambda progress: None,
) -> Cloned:
    """Clone a voice into `folder/NAME.voice`. Raises InputError for anything the caller can mend."""
    begin = time.monotonic()
    settings = Settings(
        name, starter.adaptation.need("steps") if steps is None else steps, method, consent, seed=seed, accent=accent
    ).check()
    path = free_path(folder, name, force)
    clips = find_clips([Path(g) for g in given], on_message)
    if texts is None:
        clips = cut_long_recordings(clips, find_transcripts(clips, transcripts), on_message)
        texts = complete_transcripts(clips, transcripts, on_message)
    checkup = check_clips(clips, texts, starter)
    tell(checkup, on_message)
    heard = prepare_in_accent(checkup.require(), starter, settings.accent)
    if heard.sentence:
        on_message(heard.sentence)
    cloning = Cloning(heard.network, heard.clips, settings)
    on_message(f"{len(cloning.heldout)} of the clips held out")
    for progress in cloning:
        on_progress(progress)
    cloning.write(path)
    return Cloned(path, summary(path, starter, [c.to_dict() for c in checkup.clips], time.monotonic() - begin))

"""What a voice's job knows of its making, for the evaluation's report."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tts_meta.errors import InputError
from tts_meta.jobs.job_folder import list_jobs
from tts_meta.starters.interface import Network
from tts_meta.voices.voice_file import Voice, load_voice
from tts_meta.voices.voice_header import read_header


@dataclass(frozen=True)
class Making:
    """What is known of how a voice was made: its kept steps, the checkup of its clips, seconds of steps, bytes."""

    steps: Sequence[tuple[int, Voice]] = ()
    checkup: dict | None = None
    seconds: float | None = None
    bytes: int | None = None


def making_of(path: Path, starter: Network) -> Making:
    """Of the newest job whose voice this file is (the same making: name, clips and steps); else only its bytes."""
    size, header = path.stat().st_size, read_header(path)
    same = ("created", "clip_digests", "seconds")
    for job in list_jobs():
        for kept in job.kept():
            own = read_header(Path(kept["voice"]))
            if all(own.get(k) == header.get(k) for k in same):
                steps = []
                for k in job.kept():
                    try:
                        steps.append((k["step"], load_voice(Path(k["voice"]), starter)))
                    except InputError:  # of another starter
                        continue
                return Making(steps, job.spec["checkup"], job.state.seconds, size)
    return Making(bytes=size)

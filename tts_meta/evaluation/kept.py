"""What was measured of a sound that no voice changes: the speaker's recordings, and these through the vocoder.

They are two thirds of the sounds of an evaluation, and the same in every evaluation of this speaker.
"""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from pathlib import Path

import numpy as np
import soundfile

from tts_meta.audio.files import read_audio, replace_file
from tts_meta.audio.mel import SAMPLE_RATE


@dataclass(frozen=True)
class Measured:
    """Samples `[N]` at 22.05 kHz as 16 bits hold them, embedding `[256]`, words that were heard, predicted quality, the second
    encoder's embedding `[192]`; None where that could not be measured."""

    samples: np.ndarray
    embedding: np.ndarray
    heard: str | None
    dnsmos: dict[str, float] | None
    second: np.ndarray | None = None


class Kept:
    """Measures by a key, in memory, and with `folder` on the disk: a wav and a JSON each."""

    def __init__(self, folder: Path | None = None) -> None:
        self.folder = folder
        self._known: dict[str, Measured] = {}

    def get(self, key: dict, measure: Callable[[], Measured]) -> Measured:
        """What `measure` gave when it was asked with this `key` (plain JSON: all that the result depends on, beside the
        program itself) and this program."""
        name = hashlib.sha256(json.dumps([key, program()], sort_keys=True).encode()).hexdigest()[:32]
        if name not in self._known:
            self._known[name] = self._read(name) or self._write(name, measure())
        return self._known[name]

    def _read(self, name: str) -> Measured | None:
        if self.folder is None:
            return None
        try:
            row = json.loads((self.folder / f"{name}.json").read_text(encoding="utf-8"))
            samples = read_audio(self.folder / f"{name}.wav")[0]
            second = None if row["second"] is None else np.array(row["second"], np.float32)
            return Measured(samples, np.array(row["embedding"], np.float32), row["heard"], row["dnsmos"], second)
        except (OSError, ValueError, KeyError):  # not there, or half of it
            return None

    def _write(self, name: str, found: Measured) -> Measured:
        # What is measured again from the disk is what was measured first.
        buffer = io.BytesIO()
        soundfile.write(buffer, np.clip(found.samples, -1, 1), SAMPLE_RATE, "PCM_16", format="WAV")
        if self.folder is not None:
            second = None if found.second is None else found.second.tolist()
            row = {"embedding": found.embedding.tolist(), "heard": found.heard, "dnsmos": found.dnsmos, "second": second}
            replace_file(self.folder / f"{name}.wav", buffer.getvalue())
            replace_file(self.folder / f"{name}.json", json.dumps(row).encode())
        return found


@lru_cache(maxsize=1)
def program() -> str:
    """SHA-256 of the code that measures: a number of another program is made again."""
    found = hashlib.sha256()
    for part in ("audio", "evaluation", "measures"):
        for path in sorted((files("tts_meta") / part).iterdir(), key=lambda p: p.name):
            if path.name.endswith(".py"):
                found.update(path.read_bytes())
    return found.hexdigest()

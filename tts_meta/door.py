"""The product from Python: `tts_meta.clone`, `load`, `evaluate` and what they give back (docs/python.md).

Thin over the functions that the commands and the page use; what they do and refuse is the same.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tts_meta.errors import InputError

if TYPE_CHECKING:
    from tts_meta.speaking.synthesize import Synthesizer

Recording = tuple[np.ndarray, int, str]
"""Samples `[N]` (mono, -1 to 1), their rate (Hz), and what is said (empty: not known)."""
Clips = str | Path | Sequence[str | Path] | Sequence[Recording]
"""A folder or a file, several of them, or recordings in memory."""


@dataclass(frozen=True)
class Audio:
    """Samples `[N]` float32 at `rate` Hz."""

    samples: np.ndarray
    rate: int

    @property
    def seconds(self) -> float:
        return len(self.samples) / self.rate

    def save(self, path: str | Path) -> Path:
        """Write a 16-bit wav, whole or not at all."""
        from tts_meta.audio.files import write_wav

        write_wav(path, self.samples, self.rate)
        return Path(path)


class SpeakingVoice:
    """A voice that is loaded. `header` is what its file says about itself."""

    def __init__(self, blob: bytes, speaker: Synthesizer, header: dict[str, Any]) -> None:
        self._blob, self._speaker, self.header = blob, speaker, header

    def __repr__(self) -> str:
        return f"<voice {self.name!r} of {self.header['clips']} clips, {self.header['steps']} steps>"

    @property
    def name(self) -> str:
        return self.header["name"]

    def say(self, text: str, speed: float = 1.0, pitch: float = 0.0) -> Audio:
        """Speak a text of any length; `pitch` in semitones. Raises InputError for a text that cannot be spoken."""
        from tts_meta.audio.mel import SAMPLE_RATE

        return Audio(self._speaker.speak(text, speed=speed, pitch=pitch).samples, SAMPLE_RATE)

    def save(self, path: str | Path, force: bool = False) -> Path:
        """Write the voice file. Raises InputError when it is there already, unless `force`."""
        from tts_meta.audio.files import replace_file

        path = Path(path)
        if path.exists() and not force:
            raise InputError(f"{path} exists already; choose another name or add force=True.")
        replace_file(path, self._blob)
        return path


def load(voice: str | Path) -> SpeakingVoice:
    """A voice file, or a voice of the library by its name (`example` comes with the package).

    Raises InputError when it is not there, is damaged, or was made on another network.
    """
    from tts_meta.voices.library import find_voice

    return _loaded(find_voice(str(voice)))


def _loaded(path: Path) -> SpeakingVoice:
    from tts_meta.speaking.synthesize import Synthesizer
    from tts_meta.starters.chosen_starter import default_starter
    from tts_meta.voices.voice_file import load_voice

    found = load_voice(path, default_starter())
    return SpeakingVoice(path.read_bytes(), Synthesizer.of(default_starter(), found), found.header)


def clone(
    clips: Clips,
    name: str,
    consent: str,
    transcripts: str | Path | None = None,
    steps: int | None = None,
    method: str = "sigma",
    seed: int = 0,
    accent: str = "auto",
    on_message: Callable[[str], None] = lambda message: None,
    on_progress: Callable[[Any], None] = lambda progress: None,
) -> SpeakingVoice:
    """Clone a voice. `consent` says who allowed it, and is kept in the file; `accent` is american, british, or the one that is
    heard in the clips; `on_progress` gets a
    `tts_meta.adaptation.adaptation_run.Progress` every few steps, `on_message` sentences about the clips.

    Raises InputError for anything that the caller can mend.
    """
    from tts_meta.adaptation.clone_at_once import clone_voice
    from tts_meta.starters.chosen_starter import default_starter

    with _files(clips) as paths, tempfile.TemporaryDirectory(prefix="tts-meta-") as folder:
        made = clone_voice(
            default_starter(), paths, name, Path(folder), Path(transcripts) if transcripts else None, steps, method, consent,
            seed=seed, accent=accent, on_message=on_message, on_progress=on_progress,
        )
        return _loaded(made.path)


def evaluate(
    voice: SpeakingVoice | str | Path,
    reference: Clips,
    transcripts: str | Path | None = None,
    out: str | Path | None = None,
    on_message: Callable[[str], None] = lambda message: None,
) -> dict[str, Any]:
    """How good a voice is, by recordings it was not made from: the numbers of `tts-meta evaluate`, and with
    `out` its report. Raises InputError for fewer than two usable recordings."""
    from tts_meta.evaluation.evaluate import evaluate_voice, load_reference
    from tts_meta.starters.chosen_starter import default_starter
    from tts_meta.voices.voice_file import load_voice

    spoken = voice if isinstance(voice, SpeakingVoice) else load(voice)
    with _files(reference) as paths, tempfile.TemporaryDirectory(prefix="tts-meta-") as folder:
        if len(paths) != 1 or not paths[0].is_dir():
            raise InputError("The reference is one folder of recordings, or recordings in memory.")
        found = load_voice(spoken.save(Path(folder) / "v.voice"), default_starter())
        known = set(found.header.get("clip_digests", []))
        references = load_reference(paths[0], Path(transcripts) if transcripts else None, known, on_message)
        return evaluate_voice(default_starter(), found, references, Path(out) if out else None, say=on_message)


@contextmanager
def _files(clips: Clips) -> Iterator[list[Path]]:
    """Paths of the clips; recordings in memory are written to a folder that is gone afterwards."""
    from tts_meta.audio.files import replace_file, write_wav

    if isinstance(clips, str | Path):
        yield [Path(clips)]
        return
    given = list(clips)
    if all(isinstance(c, str | Path) for c in given):
        yield [Path(c) for c in given]  # type: ignore[arg-type]
        return
    with tempfile.TemporaryDirectory(prefix="tts-meta-") as folder:
        for number, clip in enumerate(given, 1):
            if not (isinstance(clip, tuple) and len(clip) == 3 and isinstance(clip[0], np.ndarray) and clip[0].ndim == 1):
                raise InputError(
                    f"Clip {number} is {type(clip).__name__}; a path, or (samples, rate, text) with mono samples, is expected."
                )
            samples, rate, text = clip
            path = Path(folder) / f"{number:04d}.wav"
            write_wav(path, samples, int(rate))
            if text:
                replace_file(path.with_suffix(".txt"), (text.strip() + "\n").encode())
        yield [Path(folder)]

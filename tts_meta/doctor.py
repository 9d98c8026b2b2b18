"""Checks of an installation, each a real use of the part it names."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np


def _audio() -> str:
    from tts_meta.audio.files import read_audio, write_wav

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "tone.wav"
        write_wav(path, np.sin(np.arange(8000) / 10).astype(np.float32) * 0.1, 16000)
        return f"wav written and read back, {len(read_audio(path)[0])} samples"


def _phonemes() -> str:
    from tts_meta.text.phonemes import phonemize

    return " ".join(p.symbol for p in phonemize("It works."))


def _starter() -> str:
    from tts_meta.voices.networks import default_starter

    s = default_starter()
    return f"network {s.kind}, {s.size:,} parameters, sounds: {' '.join(sorted(s.checker.table.inventory))}"


def _vocoder() -> str:
    from tts_meta.audio.vocoder import default_vocoder

    return f"HiFi-GAN gave {len(default_vocoder()(np.full((20, 80), -8.0)))} samples"


def _similarity() -> str:
    from tts_meta.evaluation.similarity import ENCODER, embed

    noise = np.random.default_rng(0).normal(size=22050).astype(np.float32) * 0.1
    return f"{ENCODER['name']} {ENCODER['version']}, {len(embed(noise, 22050))} dimensions"


def _activity() -> str:
    from tts_meta.audio.activity import speech_spans

    return f"silero-vad hears {len(speech_spans(np.zeros(16000, np.float32), 16000))} spans of speech in silence"


def _recogniser() -> str:
    from tts_meta.evaluation.intelligibility import WHY_MISSING, load_recogniser

    found = load_recogniser()
    if found is None:
        raise RuntimeError(WHY_MISSING)
    return found.name


def _disk() -> str:
    from tts_meta.voices.library import library_folder

    folder = library_folder()
    existing = next(p for p in [folder, *folder.parents] if p.exists())
    free = shutil.disk_usage(existing).free / 2**30
    if free < 0.2:
        raise RuntimeError(f"only {free:.2f} GB free at {existing}")
    return f"{free:.1f} GB free for voices"


_CHECKS: list[tuple[str, Callable[[], str], bool]] = [
    ("audio files", _audio, False), ("voice activity", _activity, False), ("phonemes", _phonemes, False),
    ("starter model", _starter, False), ("vocoder", _vocoder, False), ("speaker similarity", _similarity, False),
    ("disk", _disk, False), ("speech recognition", _recogniser, True),
]


def run_checks() -> list[dict]:
    """Rows of {name, ok, optional, detail}; a failed one says in `detail` what was missing."""
    rows = []
    for name, check, optional in _CHECKS:
        try:
            rows.append({"name": name, "ok": True, "optional": optional, "detail": check()})
        except Exception as e:  # noqa: BLE001 - the whole point is to report any failure
            rows.append({"name": name, "ok": False, "optional": optional, "detail": f"{type(e).__name__}: {e}"})
    return rows

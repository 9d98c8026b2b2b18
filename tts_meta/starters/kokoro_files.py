"""The three files of a starter on Kokoro, read and written.

`NAME.safetensors` has what differs from Kokoro's weights, and the aligner; `NAME-prior.safetensors` has phi and log sigma^2 of
what a clone moves, which are learned last and change without the rest; `NAME.json` says how both were made and has their
SHA-256.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from tts_meta.audio.files import replace_file
from tts_meta.errors import InputError

PRIOR = "-prior"


@dataclass(frozen=True)
class StarterFiles:
    """`weights` and `prior` as stored; `weights_digest` names what the network's own weights depend on, `digest` all that a
    voice does."""

    weights: dict[str, Tensor]
    prior: dict[str, Tensor]
    info: dict
    weights_digest: str
    digest: str


def paths(folder: Path, name: str) -> tuple[Path, Path, Path]:
    """(weights, prior, header)."""
    return folder / f"{name}.safetensors", folder / f"{name}{PRIOR}.safetensors", folder / f"{name}.json"


def read_files(folder: Path, name: str) -> StarterFiles:
    """Raises InputError when a file is missing or damaged."""
    files = paths(folder, name)
    if not all(p.is_file() for p in files):
        raise InputError(
            f"{folder} holds no starter for Kokoro; {', '.join(p.name for p in files)} are expected. Reinstall tts-meta."
        )
    weights, prior, header = files
    try:
        blobs = [weights.read_bytes(), prior.read_bytes()]
        info = json.loads(header.read_text())
        digests = [hashlib.sha256(b).hexdigest() for b in blobs]
        if digests != [info["sha256"], info["prior_sha256"]]:
            raise ValueError("another digest")
        tensors, learned = load(blobs[0]), load(blobs[1])
    except (OSError, ValueError, KeyError, TypeError, SafetensorError) as e:
        raise InputError(f"{', '.join(p.name for p in files[:2])} or {header} is damaged; reinstall tts-meta.") from e
    return StarterFiles(tensors, learned, info, digests[0], whole(digests))


def whole(digests: list[str]) -> str:
    """The digest that a voice is tied to."""
    return hashlib.sha256("".join(digests).encode()).hexdigest()


def write_files(folder: Path, name: str, tensors: Mapping[str, Tensor], info: dict) -> list[int]:
    """`tensors` with those of the prior among them (`phi/...`, `log_sigma2`); returns the bytes of both."""
    learned = {k: v.contiguous() for k, v in tensors.items() if k.startswith("phi/") or k == "log_sigma2"}
    rest = {k: v.contiguous() for k, v in tensors.items() if k not in learned}
    blobs = [save(rest), save(learned)]
    digests = [hashlib.sha256(b).hexdigest() for b in blobs]
    told = {**info, "sha256": digests[0], "prior_sha256": digests[1], "digest": whole(digests)}
    text = json.dumps(told, indent=1) + "\n"
    folder.mkdir(parents=True, exist_ok=True)
    for path, blob in zip(paths(folder, name), [*blobs, text.encode()], strict=True):
        replace_file(path, blob)
    return [len(b) for b in blobs]

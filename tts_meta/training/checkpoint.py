"""Checkpoints as one safetensors file: flat tensors and a JSON string in its header, replaced atomically.

Nothing is pickled, so loading a checkpoint runs no code. A crash between two saves loses the time since the last one;
a crash during a save loses nothing.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import save
from torch import Tensor

from tts_meta.audio.files import replace_file
from tts_meta.meta.tree import pick

CHECKPOINT = "last.safetensors"
"""The newest checkpoint of a run's folder."""


def save_checkpoint(path: str | Path, tensors: dict[str, Tensor], meta: dict[str, Any]) -> None:
    """Write `tensors` (any names) and `meta` (JSON) to `path`."""
    flat = {k: v.detach().cpu().contiguous().clone() for k, v in tensors.items()}
    replace_file(path, save(flat, metadata={"json": json.dumps(meta)}))


def load_checkpoint(path: str | Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Tensors and meta of a checkpoint; those kept in half precision come back in single precision."""
    with safe_open(str(path), framework="pt") as f:
        # Clones: a slice of the file is not aligned as a tensor of its own, and kernels round by alignment.
        tensors = {k: f.get_tensor(k).clone() for k in f.keys()}  # noqa: SIM118
        return {k: v.float() if v.dtype == torch.half else v for k, v in tensors.items()}, json.loads(f.metadata()["json"])


def clear(folder: Path, names: Iterable[str]) -> None:
    """Remove files of a run that begins anew."""
    for name in names:
        (folder / name).unlink(missing_ok=True)


def optimizer_tensors(optimizer: torch.optim.Optimizer, names: list[str]) -> dict[str, Tensor]:
    """Adam's moments and step counts under `optimizer/FIELD/NAME`."""
    out = {}
    params = [p for g in optimizer.param_groups for p in g["params"]]
    for name, p in zip(names, params, strict=True):
        for field, value in optimizer.state.get(p, {}).items():
            out[f"optimizer/{field}/{name}"] = value
    return out


def restore_optimizer(optimizer: torch.optim.Optimizer, names: list[str], tensors: dict[str, Tensor]) -> None:
    """The inverse of optimizer_tensors."""
    params = [p for g in optimizer.param_groups for p in g["params"]]
    for name, p in zip(names, params, strict=True):
        for key, value in pick(tensors, "optimizer").items():
            field, _, owner = key.partition("/")
            if owner == name:
                optimizer.state[p][field] = value.clone()

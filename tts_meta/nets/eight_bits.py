"""Weights as they lie in files: 8 bits with a scale a row for matrices, half precision for vectors."""

from __future__ import annotations

import torch
from torch import Tensor

SCALE = "#scale"


def pack(name: str, value: Tensor) -> dict[str, Tensor]:
    """A tensor's entries in a file."""
    if value.ndim < 2:
        return {name: value.to(torch.float16).contiguous()}
    scale = value.flatten(1).abs().amax(1).clamp(min=1e-12) / 127
    q = (value / scale.view(-1, *[1] * (value.ndim - 1))).round().to(torch.int8)
    return {name: q.contiguous(), name + SCALE: scale.float().contiguous()}


def unpack(tensors: dict[str, Tensor], prefix: str = "") -> dict[str, Tensor]:
    """Tensors under `prefix`, 8-bit ones multiplied out."""
    found = {}
    for name, value in tensors.items():
        if not name.startswith(prefix) or name.endswith(SCALE):
            continue
        scale = tensors.get(name + SCALE)
        value = value.float()
        found[name[len(prefix):]] = value if scale is None else value * scale.float().view(-1, *[1] * (value.ndim - 1))
    return found

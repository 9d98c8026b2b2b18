"""The acoustic model's partition into modules, and the module table: the one thing only this method can print."""

from __future__ import annotations

import sys
from collections.abc import Iterable

from torch import Tensor

from tts_meta.meta.partition import Partition
from tts_meta.meta.tree import Tree

ALONE = ("*.film.weight", "*.film.bias")
FROZEN = ("aligner.*",)
"""The aligner is outside the likelihood: it decides which frame belongs to which phone before adaptation starts."""


def speech_partition(names: Iterable[str]) -> Partition:
    """A module is a layer; the conditioning projections' weights and biases are modules of their own."""
    return Partition.by_layer(names, ALONE, FROZEN)


def module_table(partition: Partition, phi: Tree, sigma_relative: Tensor, threshold: float = 0.0) -> list[dict]:
    """Rows of {name, parameters, sigma_relative, moved}, in network order."""
    rows = []
    for module, relative in zip(partition.modules, sigma_relative.tolist(), strict=True):
        count = sum(phi[n].numel() for n in partition.members(module))
        rows.append(
            {"name": module, "parameters": count, "sigma_relative": relative, "moved": relative >= threshold}
        )
    return rows


def print_module_table(rows: list[dict], file=None) -> None:
    """Module, parameters, sigma relative to the module's RMS, moved or frozen."""
    out = file or sys.stderr
    print(f"\n{'module':40s} {'parameters':>10s} {'sigma/RMS':>10s}", file=out)
    for r in rows:
        bar = "#" * round(100 * min(0.3, r["sigma_relative"]))
        state = "moved" if r["moved"] else "frozen"
        print(f"{r['name']:40s} {r['parameters']:10,d} {r['sigma_relative']:10.4f} {state:6s} {bar}", file=out)

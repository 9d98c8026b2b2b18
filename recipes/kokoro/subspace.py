"""The right halves of the low-rank updates, from people's gradients: what of a layer's input a speaker needs changed.

    python recipes/kokoro/subspace.py cache/kokoro STARTER --out NEW_STARTER

A clone moves the left half of W + left @ right only, so the right half decides what it can do at all. The gradient of a
person's loss at phi is a sum of outer products of output errors and inputs; the leading right singular vectors of many
people's gradients span the inputs in which one step can do most for most of them (Wang et al. 2024, LoRA-GA, take one
task's). Each row is then scaled so that its output has an RMS of 1 over people: a sigma means the same in every row.
Nobody of the development people is asked. About ten minutes on one core.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "recipes" / "kokoro")]

from people import Person, people  # noqa: E402
from rewrite import load  # noqa: E402

from tts_meta.nets.eight_bits import SCALE, pack, unpack  # noqa: E402
from tts_meta.nets.kokoro.layers import LowRankConv  # noqa: E402
from tts_meta.processor import bf16_is_fast  # noqa: E402
from tts_meta.starters.kokoro_files import write_files  # noqa: E402
from tts_meta.starters.kokoro_starter import NAME, KokoroStarter, load_kokoro  # noqa: E402


def layers(starter: KokoroStarter, parts: tuple[str, ...]) -> dict[str, LowRankConv]:
    """Those whose names begin with one of `parts`."""
    found = {n: m for n, m in starter.net.named_modules() if isinstance(m, LowRankConv) and m.down is not None}
    return {n: m for n, m in found.items() if n.startswith(parts)}


def losses(starter: KokoroStarter, person: Person, parts: tuple[str, ...], rng: np.random.Generator, batches: int):
    """The loss (nats a number of the mel) of some batches of two pieces."""
    loss = starter.task_loss(bf16_is_fast(), ["timbre"])
    for _ in range(batches):
        items = [person.pieces[i][1] for i in rng.choice(len(person.pieces), min(2, len(person.pieces)), replace=False)]
        batch = starter.collate(items, [starter.encoded(i, parts) for i in items])
        whole = {k: v.unsqueeze(0) for k, v in batch.items()}
        yield loss(starter.start({}), whole).mean() / (whole["frame_mask"].sum() * 80)


def bases(
    starter: KokoroStarter, crowd: list[Person], parts: tuple[str, ...], rank: int, power: float, batches: int,
    rng: np.random.Generator,
) -> dict[str, Tensor]:
    """Orthogonal rows `[r, in, k]` of every layer, of the length of the gradients' RMS along them, over the first's, to the
    `power`."""
    chosen = layers(starter, parts)
    for layer in chosen.values():
        layer.conv.weight.requires_grad_(True)
    moment = {n: torch.zeros(m.conv.weight[0].numel(), m.conv.weight[0].numel()) for n, m in chosen.items()}
    for k, person in enumerate(crowd):
        for layer in chosen.values():
            layer.conv.weight.grad = None
        for value in losses(starter, person, parts, rng, batches):
            value.backward()
        for n, layer in chosen.items():
            g = layer.conv.weight.grad
            assert g is not None
            g = g.flatten(1) / g.norm()
            moment[n] += g.T @ g
        if k % 10 == 9:
            print(f"{k + 1} of {len(crowd)} people", flush=True)
    found = {}
    for n, layer in chosen.items():
        layer.conv.weight.requires_grad_(False)
        values, vectors = torch.linalg.eigh(moment[n])
        print(f"{n}: {rank} directions hold {float(values[-rank:].sum() / values.sum()):.2f} of the gradients", flush=True)
        rows = vectors[:, -rank:].flip(1).T * (values[-rank:].flip(0) / values[-1]).clamp(min=0).pow(power / 2)[:, None]
        found[n] = rows.reshape(rank, *layer.conv.weight.shape[1:]).contiguous()
    return found


def levelled(
    starter: KokoroStarter, rows: dict[str, Tensor], crowd: list[Person], parts: tuple[str, ...], rng: np.random.Generator
) -> dict[str, Tensor]:
    """A layer's rows scaled, all by one number, to a mean square output of 1 over people and rows."""
    power = {n: torch.zeros(len(v)) for n, v in rows.items()}
    counted = dict.fromkeys(rows, 0)

    def watch(name: str):
        def hook(_layer, inputs) -> None:
            y = F.conv1d(inputs[0].float(), rows[name], padding=rows[name].shape[-1] // 2)
            power[name] += (y * y).sum((0, 2))
            counted[name] += y.shape[0] * y.shape[2]

        return hook

    hooks = [layer.register_forward_pre_hook(watch(n)) for n, layer in layers(starter, parts).items()]
    with torch.no_grad():
        for person in crowd:
            list(losses(starter, person, parts, rng, 1))
    for h in hooks:
        h.remove()
    return {n: v / (power[n] / counted[n]).mean().sqrt().clamp(min=1e-6) for n, v in rows.items()}


def main() -> None:
    p = argparse.ArgumentParser()
    p.add_argument("data", type=Path)
    p.add_argument("starter", type=Path)
    p.add_argument("--out", type=Path, required=True)
    p.add_argument("--people", type=int, default=100)
    p.add_argument("--batches", type=int, default=3, help="of two pieces, of each person")
    p.add_argument("--parts", default="blocks.,head.", help="beginnings of the layers' names")
    p.add_argument("--rank", type=int, default=16, help="directions of a layer")
    p.add_argument("--power", type=float, default=0.0, help="of the gradients' size along a row in the row's length")
    args = p.parse_args()
    torch.set_num_threads(1)
    rng = np.random.default_rng(0)
    parts = tuple(args.parts.split(","))
    starter = load_kokoro(args.starter)
    crowd = [q for q in people(args.data, ("phase1", "sigma")) if q.seconds > 10]
    crowd.sort(key=lambda q: -q.seconds)
    crowd = crowd[: args.people]
    found = bases(starter, crowd, parts, args.rank, args.power, args.batches, rng)
    rows = levelled(starter, found, crowd[:40], parts, rng)
    tensors, info = load(args.starter)
    for n, layer in layers(starter, parts).items():
        # What phi moved by the old rows stays, in the weight.
        assert layer.down is not None
        weight, factor, old = layer.conv.weight.detach(), tensors[f"phi/{n}.factor"].float(), layer.down.detach().flatten(1)
        name = f"{n}.conv.weight"
        if f"left/{name}" in tensors:
            left, right = unpack(tensors, f"left/{name}")[""], unpack(tensors, f"right/{name}")[""]
            tensors = without(tensors, f"net/{n}.down", f"left/{name}", f"right/{name}")
            tensors |= pack(f"left/{name}", torch.cat([left, factor], 1)) | pack(f"right/{name}", torch.cat([right, old]))
        else:
            tensors = without(tensors, f"net/{n}.down", f"net/{name}", f"diff/{name}")
            tensors |= pack(f"net/{name}", weight + (factor @ old).view_as(weight))
        tensors |= pack(f"net/{n}.down", rows[n])
        tensors[f"phi/{n}.factor"] = torch.zeros(len(weight), args.rank, dtype=torch.float16)
    for part, key in (("blocks.", "rank"), ("head.", "head_rank")):
        if part in parts:
            info["net"][key] = args.rank
    info["training"]["subspace"] = {"people": len(crowd), "pieces": 2 * args.batches}
    write_files(args.out, NAME, tensors, info)


def without(tensors: dict[str, Tensor], *names: str) -> dict[str, Tensor]:
    """Without tensors of these names and their scales."""
    gone = {*names, *(n + SCALE for n in names)}
    return {k: t for k, t in tensors.items() if k not in gone}


if __name__ == "__main__":
    main()

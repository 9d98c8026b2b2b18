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

from export import pack  # noqa: E402
from people import Person, people  # noqa: E402
from rewrite import load  # noqa: E402

from tts_meta.nets.kokoro.layers import LowRankConv  # noqa: E402
from tts_meta.processor import bf16_is_fast  # noqa: E402
from tts_meta.voices.kokoro_files import write_files  # noqa: E402
from tts_meta.voices.kokoro_starter import NAME, SCALE, KokoroStarter, load_kokoro  # noqa: E402


def layers(starter: KokoroStarter) -> dict[str, LowRankConv]:
    """Those of the acoustic blocks and of the head that a clone moves."""
    found = {n: m for n, m in starter.net.named_modules() if isinstance(m, LowRankConv) and m.down is not None}
    return {n: m for n, m in found.items() if n.startswith(("blocks.", "head."))}


def losses(starter: KokoroStarter, person: Person, rng: np.random.Generator, batches: int):
    """The loss (nats a number of the mel) of some batches of two pieces."""
    loss = starter.task_loss(bf16_is_fast(), ["timbre"])
    for _ in range(batches):
        items = [person.pieces[i][1] for i in rng.choice(len(person.pieces), min(2, len(person.pieces)), replace=False)]
        batch = starter.collate(items, [starter.encoded(i, ()) for i in items])
        whole = {k: v.unsqueeze(0) for k, v in batch.items()}
        yield loss(starter.start({}), whole).mean() / (whole["frame_mask"].sum() * 80)


def bases(starter: KokoroStarter, crowd: list[Person], batches: int, rng: np.random.Generator) -> dict[str, Tensor]:
    """Orthonormal rows `[r, in, k]` of every layer."""
    chosen = layers(starter)
    for layer in chosen.values():
        layer.conv.weight.requires_grad_(True)
    moment = {n: torch.zeros(m.conv.weight[0].numel(), m.conv.weight[0].numel()) for n, m in chosen.items()}
    for k, person in enumerate(crowd):
        for layer in chosen.values():
            layer.conv.weight.grad = None
        for value in losses(starter, person, rng, batches):
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
        assert layer.down is not None
        rank = layer.down.shape[0]
        values, vectors = torch.linalg.eigh(moment[n])
        print(f"{n}: {rank} directions hold {float(values[-rank:].sum() / values.sum()):.2f} of the gradients", flush=True)
        found[n] = vectors[:, -rank:].flip(1).T.reshape(layer.down.shape).contiguous()
    return found


def levelled(
    starter: KokoroStarter, rows: dict[str, Tensor], crowd: list[Person], rng: np.random.Generator
) -> dict[str, Tensor]:
    """Rows scaled to an output of RMS 1 over people."""
    power = {n: torch.zeros(len(v)) for n, v in rows.items()}
    counted = dict.fromkeys(rows, 0)

    def watch(name: str):
        def hook(_layer, inputs) -> None:
            y = F.conv1d(inputs[0].float(), rows[name], padding=rows[name].shape[-1] // 2)
            power[name] += (y * y).sum((0, 2))
            counted[name] += y.shape[0] * y.shape[2]

        return hook

    hooks = [layer.register_forward_pre_hook(watch(n)) for n, layer in layers(starter).items()]
    with torch.no_grad():
        for person in crowd:
            list(losses(starter, person, rng, 1))
    for h in hooks:
        h.remove()
    return {n: v / (power[n] / counted[n]).sqrt().clamp(min=1e-6).view(-1, 1, 1) for n, v in rows.items()}


def main() -> None:
    p = argparse.ArgumentParser()
    p.add_argument("data", type=Path)
    p.add_argument("starter", type=Path)
    p.add_argument("--out", type=Path, required=True)
    p.add_argument("--people", type=int, default=100)
    p.add_argument("--batches", type=int, default=3, help="of two pieces, of each person")
    args = p.parse_args()
    torch.set_num_threads(1)
    rng = np.random.default_rng(0)
    starter = load_kokoro(args.starter)
    crowd = [q for q in people(args.data, ("phase1", "sigma")) if q.seconds > 10]
    crowd.sort(key=lambda q: -q.seconds)
    crowd = crowd[: args.people]
    rows = levelled(starter, bases(starter, crowd, args.batches, rng), crowd[:40], rng)
    tensors, info = load(args.starter)
    for n, v in rows.items():
        tensors = {k: t for k, t in tensors.items() if k not in (f"net/{n}.down", f"net/{n}.down{SCALE}")}
        tensors |= pack(f"net/{n}.down", v)
    info["training"]["subspace"] = {"people": len(crowd), "pieces": 2 * args.batches}
    write_files(args.out, NAME, tensors, info)


if __name__ == "__main__":
    main()

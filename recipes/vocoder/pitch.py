"""Teach the fast vocoder F0 from the mel alone.

    python recipes/vocoder/pitch.py runs/vocoder          # 4 min on one core; writes pitch.safetensors

Cross-entropy of classes 20 cents apart, the truth spread over its neighbours, and of being voiced. The network of the best
validation loss is kept: it knows the training speech by heart later on.
"""

from __future__ import annotations

import argparse
import math
from pathlib import Path

import numpy as np
import torch
from corpus import Item, pieces, read
from safetensors.torch import save
from torch import Tensor
from torch.nn import functional as F

from tts_meta.audio.files import replace_file
from tts_meta.nets.source_filter import CENTS, LOWEST, PITCHES, PitchNet
from tts_meta.processor import use_bf16, use_threads

FRAMES, BATCH, RATE = 128, 24, 2e-3
WIDTH = 1.25
"""Classes: the standard deviation by which the truth is spread."""
LOUDER = 0.5
"""Nats: the standard deviation of the level that a training piece is moved by."""


def loss_of(net: PitchNet, mel: Tensor, f0: Tensor) -> Tensor:
    with torch.autocast("cpu", torch.bfloat16, enabled=use_bf16()):
        logits, voiced = net(mel)
    place = 1200 / CENTS * torch.log2(f0.clamp(min=LOWEST) / LOWEST)
    truth = torch.softmax(-0.5 * ((torch.arange(PITCHES) - place[..., None]) / WIDTH) ** 2, -1)
    crossed = -(truth * torch.log_softmax(logits.float(), -1)).sum(-1)
    there = (f0 > 0).float()
    return (crossed * there).sum() / there.sum() + 2 * F.binary_cross_entropy_with_logits(voiced.float(), there)


@torch.no_grad()
def judged(net: PitchNet, items: list[Item]) -> tuple[float, str]:
    """(loss, cents and voicing errors in words) on the same validation pieces every time."""
    mel, f0, _ = pieces(items, 64, FRAMES, np.random.default_rng(1))
    found = net.f0(mel)
    both = (found > 0) & (f0 > 0)
    cents = (1200 * torch.log2(found[both] / f0[both])).abs()
    wrong = ((found > 0) != (f0 > 0)).float().mean()
    return float(loss_of(net, mel, f0)), (
        f"half of the frames within {cents.median():.0f} cents, {100 * (cents > 50).float().mean():.0f} % over 50, "
        f"{100 * (cents > 600).float().mean():.1f} % an octave off, voicing wrong in {100 * wrong:.1f} %")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="of recipes/vocoder/speech.py")
    parser.add_argument("--steps", type=int, default=900)
    args = parser.parse_args()
    use_threads()
    torch.manual_seed(0)
    train, validation = read(args.folder, FRAMES)
    net, rng, best = PitchNet(), np.random.default_rng(0), math.inf
    optimiser = torch.optim.AdamW(net.parameters(), RATE, weight_decay=0.01)
    for step in range(args.steps):
        falling = 0.5 + 0.5 * math.cos(math.pi * step / args.steps) + 0.01
        optimiser.param_groups[0]["lr"] = RATE * min(1, (step + 1) / 50) * falling
        mel, f0, _ = pieces(train, BATCH, FRAMES, rng)
        loss = loss_of(net, mel + LOUDER * torch.from_numpy(rng.standard_normal((BATCH, 1, 1)).astype(np.float32)), f0)
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(net.parameters(), 5.0)
        optimiser.step()
        if (step + 1) % 50 == 0 or step + 1 == args.steps:
            value, words = judged(net, validation)
            print(f"{step + 1}: validation {value:.3f}; {words}", flush=True)
            if value < best:
                best = value
                replace_file(args.folder / "pitch.safetensors", save(dict(net.state_dict())))


if __name__ == "__main__":
    main()

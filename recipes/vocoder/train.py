"""Teach the fast vocoder's filters HiFi-GAN's sound, first by a distance of spectra, then by critics beside it.

    python recipes/vocoder/train.py runs/vocoder --steps 2500                # 25 min on one core
    python recipes/vocoder/train.py runs/vocoder --steps 4500 --critics      # 70 min; goes on from the first
    python recipes/vocoder/train.py runs/vocoder --export tts_meta/assets    # with runs/vocoder/pitch.safetensors

The distance is the spectral energy distance (Gritsenko et al. 2020): with d the distance of two sounds' spectra at six
resolutions, E d(made, true) + E d(made', true) - E d(made, made') for two draws of the noise and of F0. Without the last term the
best noise would be none. Stages go on where they were stopped (state.safetensors, critics.safetensors); `--anew` begins again.
"""

from __future__ import annotations

import argparse
import json
import math
from pathlib import Path

import numpy as np
import torch
from corpus import Item, pieces, read
from critics import FLOOR, Critics, loss_by_them, magnitude, their_loss
from safetensors.torch import load_file, save
from torch import Tensor
from torch.nn import functional as F

from tts_meta.audio.fast_vocoder import WEIGHTS, empty_vocoder
from tts_meta.audio.files import replace_file
from tts_meta.audio.mel import SAMPLE_RATE
from tts_meta.nets.eight_bits import pack, unpack
from tts_meta.nets.source_filter import SourceFilter, sources
from tts_meta.processor import use_bf16, use_threads

FRAMES = 48
EDGE = 512
"""Samples at both ends of a piece that are not judged: their windows reach over it."""
RESOLUTIONS = ((64, 16), (128, 32), (256, 64), (512, 128), (1024, 256), (2048, 512))
LINEAR = 10.0
"""Weight of the difference of sizes beside that of their logarithms."""
SCORE, SEEN = 0.4, 0.4
"""Weights of the critics' score, and of what their layers see."""
CENTS, SLOWLY, UNLIKE = 24.0, 7, 0.6
"""How far the pulses' F0 is moved at random: the median over pieces of its standard deviation, half of whose square is one move
of the piece and half changes over so many frames; and the spread of its logarithm between pieces."""
ALONE = 150
"""Steps that the critics learn before they are asked."""
KEEP = 0.999
"""Share of the running mean of the weights, which is what speaks, that is kept at a step."""


def distance(a: list[Tensor], b: list[Tensor]) -> Tensor:
    each = [
        LINEAR * (x - y).abs().mean() + (x.clamp(min=FLOOR).log() - y.clamp(min=FLOOR).log()).abs().mean()
        for x, y in zip(a, b, strict=True)
    ]
    return torch.stack(each).mean()


def moved(f0: Tensor, rng: torch.Generator) -> Tensor:
    """F0 `[B, L]` (Hz) as it may be too: what is known of it is not exact, and two draws that differ as much as it does from the
    truth do not make noise the cheaper answer for high harmonics."""
    slow = F.avg_pool1d(torch.randn(f0.shape, generator=rng)[:, None], SLOWLY, 1, SLOWLY // 2)[:, 0] * SLOWLY**0.5
    both = (slow + torch.randn(len(f0), 1, generator=rng)) * 0.5**0.5
    return f0 * 2 ** (CENTS / 1200 * both * torch.exp(UNLIKE * torch.randn(len(f0), 1, generator=rng)))


def energy_distance(
    net: SourceFilter, mel: Tensor, f0: Tensor, true: Tensor, rng: torch.Generator
) -> tuple[Tensor, Tensor, dict[str, float]]:
    """(the spectral energy distance, one of the sounds made, its two parts)."""
    with torch.autocast("cpu", torch.bfloat16, enabled=use_bf16()):
        size, phase = net.filters(mel, f0)
    made = []
    for _ in range(2):
        noise, begin = torch.randn(true.shape, generator=rng), torch.rand(len(true), generator=rng)
        of = sources(moved(f0, rng), noise, SAMPLE_RATE, begin)
        made.append(net.sound(size.float(), phase.float(), of)[:, EDGE:-EDGE])
    one, other, truth = ([magnitude(x, *r) for r in RESOLUTIONS] for x in (*made, true[:, EDGE:-EDGE]))
    near, also, apart = distance(one, truth), distance(other, truth), distance(one, other)
    return near + also - apart, made[0], {"to the truth": float(near.detach()), "of two draws": float(apart.detach())}


@torch.no_grad()
def judged(net: SourceFilter, items: list[Item]) -> float:
    """The distance on the same validation pieces every time."""
    choice, rng = np.random.default_rng(5), torch.Generator().manual_seed(5)
    return float(np.mean([float(energy_distance(net, *pieces(items, 16, FRAMES, choice), rng)[0]) for _ in range(4)]))


def export(folder: Path, out: Path) -> None:
    """The package's file of both networks."""
    mean = {k.removeprefix("mean/"): v for k, v in load_file(folder / "state.safetensors").items() if k.startswith("mean/")}
    parts = {"pitch/": load_file(folder / "pitch.safetensors"), "filter/": mean}
    packed: dict[str, Tensor] = {}
    for prefix, tensors in parts.items():
        for name, value in tensors.items():
            packed |= pack(prefix + name, value)
    replace_file(out / WEIGHTS, save(packed))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="of recipes/vocoder/speech.py")
    parser.add_argument("--steps", type=int, default=2500)
    parser.add_argument("--critics", action="store_true")
    parser.add_argument("--batch", type=int, default=None, help="pieces a step; default 16, 10 with critics")
    parser.add_argument("--rate", type=float, default=None, help="default 1e-3, 4e-4 with critics")
    parser.add_argument("--anew", action="store_true")
    parser.add_argument("--init", type=Path, default=None, metavar="DIR", help="begin from the package's file in DIR")
    parser.add_argument("--export", type=Path, default=None, metavar="DIR", help="only write the package's file")
    args = parser.parse_args()
    if args.export:
        export(args.folder, args.export)
        return
    use_threads()
    torch.manual_seed(0)
    train, validation = read(args.folder, FRAMES + 4)
    net, critics = empty_vocoder()[1], Critics() if args.critics else None
    if args.init:
        net.load_state_dict(unpack(load_file(args.init / WEIGHTS), "filter/"))
    stage, state = ("critics" if args.critics else "spectra"), args.folder / "state.safetensors"
    mean = {k: v.clone() for k, v in net.state_dict().items()}
    begin = 0
    if state.exists() and not (args.anew and not critics):
        stored = load_file(state)
        net.load_state_dict({k.removeprefix("net/"): v for k, v in stored.items() if k.startswith("net/")})
        mean = {k.removeprefix("mean/"): v for k, v in stored.items() if k.startswith("mean/")}
        told = json.loads((args.folder / "state.json").read_text())
        begin = told["step"] if told["stage"] == stage and not args.anew else 0
        if begin == 0:
            net.load_state_dict(mean)
        elif critics:
            critics.load_state_dict(load_file(args.folder / "critics.safetensors"))
    rate, batch = (4e-4, 10) if critics else (1e-3, 16)
    rate, batch = rate if args.rate is None else args.rate, args.batch or batch
    optimiser = torch.optim.AdamW(net.parameters(), rate, betas=(0.9, 0.98), weight_decay=0.01)
    their = torch.optim.AdamW(critics.parameters(), 4e-4, betas=(0.8, 0.98)) if critics else None
    rng, choice = torch.Generator().manual_seed(begin), np.random.default_rng(begin)
    for step in range(begin, args.steps):
        for group in optimiser.param_groups:
            group["lr"] = rate * min(1, (step + 1 - begin) / 100) * (0.5 + 0.5 * math.cos(math.pi * step / args.steps) + 0.02)
        mel, f0, true = pieces(train, batch, FRAMES, choice)
        loss, made, told = energy_distance(net, mel, f0, true, rng)
        if critics and their:
            with torch.autocast("cpu", torch.bfloat16, enabled=use_bf16()):
                of_true = critics(true[:, EDGE:-EDGE])
                of_made = critics(made.detach())
            theirs = their_loss(of_true, of_made)
            their.zero_grad()
            theirs.backward()
            their.step()
            told["critics"] = float(theirs.detach())
            if step >= ALONE:
                critics.requires_grad_(False)
                with torch.autocast("cpu", torch.bfloat16, enabled=use_bf16()):
                    score, seen = loss_by_them(of_true, critics(made))
                critics.requires_grad_(True)
                loss = loss + SCORE * score + SEEN * seen
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(net.parameters(), 5.0)
        optimiser.step()
        keep = min(KEEP, (step + 1) / (step + 20))
        with torch.no_grad():
            for name, value in net.state_dict().items():
                mean[name].lerp_(value, 1 - keep)
        if (step + 1) % 50 == 0:
            words = ", ".join(f"{k} {v:.4f}" for k, v in told.items())
            print(f"{step + 1}: {float(loss.detach()):.4f}; {words}", flush=True)
        if (step + 1) % 250 == 0 or step + 1 == args.steps:
            now = {k: v.clone() for k, v in net.state_dict().items()}
            net.load_state_dict(mean)
            print(f"{step + 1}: validation {judged(net, validation):.4f}", flush=True)
            net.load_state_dict(now)
            both = {f"net/{k}": v for k, v in now.items()} | {f"mean/{k}": v.contiguous() for k, v in mean.items()}
            if critics:
                replace_file(args.folder / "critics.safetensors", save(dict(critics.state_dict())))
            replace_file(state, save(both))
            replace_file(args.folder / "state.json", json.dumps({"stage": stage, "step": step + 1}).encode())


if __name__ == "__main__":
    main()

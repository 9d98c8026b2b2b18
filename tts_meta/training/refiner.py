"""Phase 3: the refiner, on what phase 1 predicts for the recordings of its own speakers.

Predictions are made once and kept in the run's folder; every step draws crops of them from (seed, step), so that a
resumed run is the run that was not interrupted. Losses: least squares (Mao et al. 2017) and feature matching (Larsen et
al. 2016) of two critics, one at half the frame rate, and the distance to the recording's mel.
"""

from __future__ import annotations

import json
import time
from contextlib import nullcontext
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from tts_meta.data.batch import harmonic_pattern
from tts_meta.meta.ranks import start_ranks
from tts_meta.nets.refiner import Critic, Refiner
from tts_meta.training.checkpoint import load_checkpoint, nest, optimizer_tensors, restore_optimizer, save_checkpoint
from tts_meta.training.multispeaker import MultispeakerConfig, MultispeakerTrainer
from tts_meta.training.split import draw_weights


@dataclass
class RefinerConfig:
    run: str = "runs/refiner"
    start: str = "runs/multispeaker"  # folder of phase 1
    data: str = "cache/train"
    aligner: str = "runs/aligner"
    net: dict = field(default_factory=dict)  # Refiner
    steps: int = 6000
    batch: int = 12  # crops
    frames: int = 96  # of a crop
    lr: float = 2e-4
    distance: float = 1.0  # weight of the L1 distance to the recording
    features: float = 2.0  # weight of feature matching
    corpus_weights: dict[str, float] = field(default_factory=dict)  # share of the draws; absent = 0
    bf16: bool = True
    device: str = "cpu"
    save_seconds: float = 90.0
    seed: int = 0


@torch.no_grad()
def write_predictions(cfg: RefinerConfig, path: Path) -> None:
    """Phase 1's moving average on every utterance it was trained on: smooth and real mel (normalised, float16), F0 (Hz)
    and the share of its draws, of all frames in a row, as one npz."""
    base = load_checkpoint(Path(cfg.start) / "last.safetensors")[1]["config"]
    trainer = MultispeakerTrainer(
        MultispeakerConfig(**{**base, "run": cfg.start, "data": cfg.data, "aligner": cfg.aligner, "device": cfg.device})
    )
    for k, p in trainer.named.items():
        p.copy_(trainer.ema[k])
    trainer.model.eval()
    weights = draw_weights(trainer.train, cfg.corpus_weights)
    order = sorted((i for i in range(len(trainer.train)) if weights[i] > 0), key=lambda i: trainer.train[i].frames)
    smooth, real, f0, frames = [], [], [], []
    autocast = torch.autocast(trainer.device.type, torch.bfloat16) if cfg.bf16 else nullcontext()
    for at in range(0, len(order), 16):
        rows = [trainer.train[i] for i in order[at : at + 16]]
        batch = {k: v.to(trainer.device) for k, v in trainer.batch(rows).items()}
        with autocast:
            out = trainer.model(batch, trainer.speaker_table[batch["speaker"]])["mel"].float().cpu()
        for j, length in enumerate(batch["frame_mask"].sum(1).int().tolist()):
            smooth.append(out[j, :length].half().numpy())
            real.append(batch["mel"][j, :length].cpu().half().numpy())
            f0.append(batch["f0"][j, :length].cpu().numpy())
            frames.append(length)
    partial = path.with_suffix(".tmp.npz")
    np.savez(
        partial, smooth=np.concatenate(smooth), real=np.concatenate(real), f0=np.concatenate(f0),
        frames=np.array(frames), weights=weights[order],
    )
    partial.rename(path)


class RefinerTrainer:
    """Owns refiner, critics and their optimisers; `run()` trains to the last step."""

    def __init__(self, cfg: RefinerConfig) -> None:
        self.cfg = cfg
        self.rank, _ = start_ranks()
        self.device = torch.device(cfg.device)
        self.folder = Path(cfg.run)
        self.folder.mkdir(parents=True, exist_ok=True)
        pairs = self.folder / "predictions.npz"
        if not pairs.exists():
            write_predictions(cfg, pairs)
        with np.load(pairs) as data:
            self.smooth, self.real, self.f0 = data["smooth"], data["real"], data["f0"]
            self.frames, self.weights = data["frames"], data["weights"] / data["weights"].sum()
        self.starts = np.concatenate([[0], self.frames.cumsum()[:-1]])
        torch.manual_seed(cfg.seed)
        self.refiner = Refiner(**cfg.net).to(self.device)
        self.critics = torch.nn.ModuleList([Critic(), Critic()]).to(self.device)
        self.average = {k: v.detach().clone() for k, v in self.refiner.named_parameters()}
        self.optimizers = {
            name: torch.optim.Adam(net.parameters(), lr=cfg.lr, betas=(0.5, 0.9))
            for name, net in (("refiner", self.refiner), ("critics", self.critics))
        }
        self.step, self.seconds = 0, 0.0
        if (self.folder / "last.safetensors").exists():
            self.load(self.folder / "last.safetensors")

    def crops(self, step: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Smooth mel, real mel, harmonics and noise of the crops of `step`, each `[B, L, 80]`."""
        cfg = self.cfg
        rng = np.random.default_rng([cfg.seed, step])
        at = []
        for i in rng.choice(len(self.frames), cfg.batch, p=self.weights):
            room = max(1, int(self.frames[i]) - cfg.frames + 1)
            # A recording shorter than the crop runs on into its neighbour in the array.
            at.append(min(int(self.starts[i]) + int(rng.integers(room)), len(self.real) - cfg.frames))
        rows = np.stack([np.arange(a, a + cfg.frames) for a in at])
        smooth, real = (torch.from_numpy(x[rows].astype(np.float32)) for x in (self.smooth, self.real))
        harmonics = harmonic_pattern(torch.from_numpy(self.f0[rows])).float()
        noise = torch.randn(real.shape, generator=torch.Generator().manual_seed(cfg.seed * 1_000_003 + step))
        return tuple(x.to(self.device) for x in (smooth, real, harmonics, noise))  # type: ignore[return-value]

    def judge(self, mel: Tensor, smooth: Tensor, harmonics: Tensor) -> list[list[Tensor]]:
        """The features of both critics, the second one at half the frame rate."""
        full, half = self.critics
        return [full(mel, smooth, harmonics), half(*(halve(x) for x in (mel, smooth, harmonics)))]

    def train_step(self) -> dict[str, float]:
        cfg = self.cfg
        smooth, real, harmonics, noise = self.crops(self.step)
        lr = cfg.lr * (1.0 if self.step < cfg.steps / 2 else 2 - 2 * self.step / cfg.steps) + 1e-6
        for optimizer in self.optimizers.values():
            optimizer.param_groups[0]["lr"] = lr
        autocast = torch.autocast(self.device.type, torch.bfloat16) if cfg.bf16 else nullcontext()
        with autocast:
            made = self.refiner(smooth, harmonics, noise)
            true, false = self.judge(real, smooth, harmonics), self.judge(made.detach(), smooth, harmonics)
            critic = torch.stack([
                (a[-1].float() - 1).pow(2).mean() + b[-1].float().pow(2).mean() for a, b in zip(true, false, strict=True)
            ]).sum()
        self.optimizers["critics"].zero_grad()
        critic.backward()
        self.optimizers["critics"].step()
        self.critics.requires_grad_(False)
        with autocast:
            with torch.no_grad():
                true = self.judge(real, smooth, harmonics)
            false = self.judge(made, smooth, harmonics)
            fool = torch.stack([(b[-1].float() - 1).pow(2).mean() for b in false]).sum()
            features = torch.stack([
                (x.float() - y.float()).abs().mean()
                for a, b in zip(true, false, strict=True) for x, y in zip(a[:-1], b[:-1], strict=True)
            ]).sum()
        distance = (made.float() - real).abs().mean()
        self.optimizers["refiner"].zero_grad()
        (fool + cfg.features * features + cfg.distance * distance).backward()
        self.optimizers["refiner"].step()
        self.critics.requires_grad_(True)
        decay = min(0.998, (1 + self.step) / (10 + self.step))
        with torch.no_grad():
            for k, p in self.refiner.named_parameters():
                self.average[k].lerp_(p, 1 - decay)
        self.step += 1
        spread = float(real.std())
        return {
            "critic": float(critic.detach()), "fool": float(fool.detach()), "features": float(features.detach()),
            "l1": float(distance.detach()), "l1_smooth": float((smooth - real).abs().mean()),
            "std": float(made.detach().float().std()) / spread, "std_smooth": float(smooth.std()) / spread,
        }

    def save(self) -> None:
        tensors = {f"average/{k}": v for k, v in self.average.items()}
        for name, net in (("refiner", self.refiner), ("critics", self.critics)):
            tensors |= {f"live/{name}/{k}": v for k, v in net.state_dict().items()}
            found = optimizer_tensors(self.optimizers[name], [k for k, _ in net.named_parameters()])
            tensors |= {f"{name}/{k}": v for k, v in found.items()}
        meta = {"step": self.step, "seconds": self.seconds, "config": asdict(self.cfg)}
        save_checkpoint(self.folder / "last.safetensors", tensors, meta)

    def load(self, path: Path) -> None:
        tensors, meta = load_checkpoint(path)
        for name, net in (("refiner", self.refiner), ("critics", self.critics)):
            net.load_state_dict(nest(tensors, f"live/{name}"))
            restore_optimizer(self.optimizers[name], [k for k, _ in net.named_parameters()], nest(tensors, name))
        self.average = {k: v.to(self.device) for k, v in nest(tensors, "average").items()}
        self.step, self.seconds = meta["step"], meta["seconds"]

    def run(self) -> None:
        from tqdm import tqdm

        if self.rank:
            return  # one process trains it
        bar = tqdm(total=self.cfg.steps, initial=self.step, desc="phase 3", mininterval=5)
        last, saved = time.monotonic(), time.monotonic()
        sums: dict[str, float] = {}
        while self.step < self.cfg.steps:
            for k, v in self.train_step().items():
                sums[k] = sums.get(k, 0.0) + v / 20
            now = time.monotonic()
            self.seconds, last = self.seconds + now - last, now
            bar.update()
            if self.step % 20 == 0:
                bar.set_postfix({k: f"{sums[k]:.3f}" for k in ("critic", "fool", "l1", "std")})
                line = {"step": self.step, "seconds": round(self.seconds, 1), **{k: round(v, 4) for k, v in sums.items()}}
                with open(self.folder / "log.jsonl", "a") as f:
                    f.write(json.dumps(line) + "\n")
                sums = {}
            if now - saved > self.cfg.save_seconds or self.step == self.cfg.steps:
                self.save()
                saved = now


def halve(x: Tensor) -> Tensor:
    """Mean of two frames: `[B, L, M]` -> `[B, L / 2, M]`."""
    return F.avg_pool2d(x[:, None], (2, 1), ceil_mode=True)[:, 0]

"""Phase 1: the acoustic model on many speakers at once, with the durations that the aligner found.

This is the MAP problem of the shrinkage model with sigma = 0 for every module but the speaker embedding, whose
per-speaker values are a table with prior N(phi_speaker, I). A fold of the speakers is kept out for sigma: a speaker whom
phi was fitted to needs little more than an embedding, and sigmas learned on those are too small for anybody new.

Every step draws its batch and its dropout from (seed, step), so a resumed run is the run that was not interrupted.
"""

from __future__ import annotations

import math
import zlib
from contextlib import nullcontext
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import torch
from torch import Tensor, nn

from tts_meta.data.batch import Normaliser, collate, make_item
from tts_meta.data.speech import INDEX, SpeechCorpus, Utterance
from tts_meta.meta.ranks import start_ranks, sum_over_ranks
from tts_meta.meta.tree import pick
from tts_meta.nets.acoustic import AcousticConfig, AcousticModel
from tts_meta.nets.likelihood import Scales, negative_log_likelihood
from tts_meta.processor import use_bf16
from tts_meta.text.phonemes import SymbolTable
from tts_meta.training.aligner import DURATIONS, load_aligner, load_durations
from tts_meta.training.checkpoint import (
    CHECKPOINT,
    clear,
    load_checkpoint,
    optimizer_tensors,
    restore_optimizer,
    save_checkpoint,
)
from tts_meta.training.loop import LOG, Loop
from tts_meta.training.settings import check_same, file_digest, settings_of
from tts_meta.training.split import draw_batch, draw_weights, split_speakers


@dataclass
class MultispeakerConfig:
    """Its values are those of configs/stage/multispeaker.yaml and what is written over them; there are no others here."""

    run: str
    data: str
    aligner: str  # folder of phase 0
    net: dict
    steps: int
    batch: int  # utterances, over all ranks
    lr: float
    warmup: int
    final_lr: float
    clip: float
    ema: float
    speaker_prior: float  # weight of the table's |e|^2 / 2 beside the mean loss per mel bin
    variance_weight: float  # the few numbers a phone beside the 80 a frame
    corpus_weights: dict[str, float]  # share of the draws; empty: every utterance is as likely
    fold: float  # share of the task speakers kept for learning sigma
    teachers: list[str]  # corpora whose few long voices teach reading, never in the fold
    bf16: bool | str  # auto: where the device is fast at it
    device: str
    save_seconds: float
    seed: int
    resume: bool = True  # False: begin anew, whatever the folder holds


ELSEWHERE = ("run", "data", "aligner", "device", "save_seconds", "resume")
"""Settings that change no result; of the data and the aligner the files' digests count."""


class MultispeakerTrainer:
    """Owns the model, its moving average and the optimiser; `run()` trains to the last step.

    Raises InputError for a folder whose run has other settings or was made of other files, unless `resume` is off.
    """

    def __init__(self, cfg: MultispeakerConfig) -> None:
        self.cfg = cfg
        self.rank, self.world = start_ranks()
        self.device = torch.device(cfg.device)
        self.bf16 = use_bf16(cfg.bf16, cfg.device)
        self.corpus = SpeechCorpus(cfg.data)
        self.table = SymbolTable(self.corpus.symbols)
        self.speakers, self.fold = split_speakers(self.corpus, cfg.teachers, cfg.fold)
        self.speaker_id = {s: i for i, s in enumerate(self.speakers)}
        self.train, self.valid = self._split_utterances()
        aligner, meta = load_aligner(cfg.aligner)
        if meta["symbols"] != self.table.symbols:
            raise ValueError(f"{cfg.aligner} was trained on another corpus; run the aligner stage again.")
        self.norm = Normaliser.from_dict(meta["normaliser"])
        durations = load_durations(cfg.aligner)
        self.durations = {id(u): d for u, d in zip(self.corpus.utterances, durations, strict=True)}
        torch.manual_seed(cfg.seed)
        self.model = AcousticModel(AcousticConfig(symbols=len(self.table), **cfg.net)).to(self.device)
        self.model.aligner.load_state_dict(aligner)
        table = torch.randn(len(self.speakers), self.model.config.speaker) * 0.1
        self.speaker_table = nn.Parameter(table.to(self.device))
        self.named = {**dict(self.model.named_parameters()), "table": self.speaker_table}
        self.named.pop("speaker")  # phi_speaker is the mean of the table, set at the end
        self.named = {k: v for k, v in self.named.items() if not k.startswith("aligner.")}  # frozen since phase 0
        self.optimizer = torch.optim.Adam(self.named.values(), lr=cfg.lr, betas=(0.9, 0.98), eps=1e-9)
        self.ema = {k: v.detach().clone() for k, v in self.named.items()}
        self.step = 0
        self.seconds = 0.0
        self.scales = Scales()
        self.weights = draw_weights(self.train, cfg.corpus_weights)
        self.folder = Path(cfg.run)
        inputs = {"corpus": file_digest(Path(cfg.data) / INDEX), "durations": file_digest(Path(cfg.aligner) / DURATIONS)}
        self.settings = settings_of(cfg, ELSEWHERE, inputs=inputs)
        if cfg.resume and (self.folder / CHECKPOINT).exists():
            self.load(self.folder / CHECKPOINT)

    def _split_utterances(self) -> tuple[list[Utterance], list[Utterance]]:
        fitted = [u for u in self.corpus.utterances if u.speaker in self.speaker_id]
        many = {s for s, us in self.corpus.by_speaker().items() if len(us) >= 10}
        held = {id(u) for u in fitted if u.speaker in many and zlib.crc32(u.recording.encode()) % 50 == 0}
        return [u for u in fitted if id(u) not in held], [u for u in fitted if id(u) in held][:96]

    def batch(self, utterances: list[Utterance]) -> dict[str, Tensor]:
        items = [
            replace(
                make_item(*self.corpus.phones(u, self.table), self.corpus.mel(u), self.corpus.f0(u), self.norm,
                          self.speaker_id[u.speaker]),
                durations=self.durations[id(u)],
            )
            for u in utterances
        ]
        return collate(items, self.model.config.reduction)

    def losses(self, batch: dict[str, Tensor]) -> tuple[dict[str, Tensor], float, float]:
        """(sums over the batch of each loss (nats), number of mel bins, number of phones)."""
        with torch.autocast(self.device.type, torch.bfloat16) if self.bf16 else nullcontext():
            out = self.model(batch, self.speaker_table[batch["speaker"]])
        loss = negative_log_likelihood({k: v.float() for k, v in out.items()}, batch, self.scales)
        loss["l1"] = ((out["mel"].float() - batch["mel"]).abs() * batch["frame_mask"].unsqueeze(-1)).sum().detach()
        return loss, float(batch["frame_mask"].sum()) * 80, float(batch["phone_mask"].sum())

    def train_step(self) -> dict[str, float]:
        cfg = self.cfg
        lr = self._lr()
        for group in self.optimizer.param_groups:
            group["lr"] = lr
        torch.manual_seed(cfg.seed * 1_000_003 + self.step * self.world + self.rank)
        self.model.train()
        drawn = draw_batch(self.train, self.weights, cfg.batch, cfg.seed, self.step)[self.rank :: self.world]
        batch = {k: v.to(self.device) for k, v in self.batch(drawn).items()}
        losses, bins, phones = self.losses(batch)
        variance = losses["duration"] + losses["pitch"] + losses["energy"]
        loss = losses["mel"] + cfg.variance_weight * variance
        prior = 0.5 * (self.speaker_table[batch["speaker"]] ** 2).sum()
        loss = loss + cfg.speaker_prior * prior * bins / len(batch["speaker"])
        self.optimizer.zero_grad()
        loss.backward()
        grads = [p.grad if p.grad is not None else torch.zeros_like(p) for p in self.named.values()]
        count = torch.tensor([bins, phones, *(float(v.detach()) for v in losses.values())], device=self.device)
        sum_over_ranks([*grads, count])
        for p, g in zip(self.named.values(), grads, strict=True):
            p.grad = g / count[0]
        norm = float(nn.utils.clip_grad_norm_(self.named.values(), cfg.clip))
        self.optimizer.step()
        decay = min(cfg.ema, (1 + self.step) / (10 + self.step))
        with torch.no_grad():
            for k, p in self.named.items():
                self.ema[k].lerp_(p, 1 - decay)
        self.step += 1
        return {**self._means(losses, count), "grad": norm, "lr": lr}

    @staticmethod
    def _means(losses: dict[str, Tensor], count: Tensor) -> dict[str, float]:
        """Nats a mel bin (mel, l1) and nats a phone (the others) from [bins, phones, sum of each loss]."""
        values = dict(zip(losses, count[2:].tolist(), strict=True))
        return {k: v / float(count[0] if k in ("mel", "l1") else count[1]) for k, v in values.items()}

    def _lr(self) -> float:
        c = self.cfg
        if self.step < c.warmup:
            return c.lr * (self.step + 1) / c.warmup
        done = min(1.0, (self.step - c.warmup) / max(1, c.steps - c.warmup))
        return c.final_lr + 0.5 * (c.lr - c.final_lr) * (1 + math.cos(math.pi * done))

    @torch.no_grad()
    def validate(self) -> dict[str, float]:
        """Mean losses of the moving average on utterances of the fitted speakers that training never draws."""
        live = {k: v.detach().clone() for k, v in self.named.items()}
        for k, p in self.named.items():
            p.copy_(self.ema[k])
        self.model.eval()
        count: Tensor = torch.zeros(())
        ordered = sorted(self.valid, key=lambda u: u.frames)
        for i in range(0, len(ordered), 16):
            batch = {k: v.to(self.device) for k, v in self.batch(ordered[i : i + 16]).items()}
            losses, bins, phones = self.losses(batch)
            count = count + torch.tensor([bins, phones, *(float(v) for v in losses.values())], dtype=torch.float64)
        for k, p in self.named.items():
            p.copy_(live[k])
        return {f"valid_{k}": v for k, v in self._means(losses, count).items()}

    def tensors(self) -> dict[str, Tensor]:
        names = list(self.named)
        return {
            **{f"live/{k}": v for k, v in self.named.items()}, **{f"ema/{k}": v for k, v in self.ema.items()},
            **{f"ema/aligner.{k}": v for k, v in self.model.aligner.named_parameters()},  # for whoever loads the average
            **optimizer_tensors(self.optimizer, names),
        }

    def save(self, seconds: float) -> None:
        meta = {
            "step": self.step, "seconds": seconds, "config": asdict(self.cfg), "net": self.model.config.to_dict(),
            "symbols": self.table.symbols, "normaliser": self.norm.to_dict(), "speakers": self.speakers,
            "fold": self.fold, "scales": asdict(self.scales), "espeak_voice": self.corpus.espeak_voice,
            "corpora": sorted({u.corpus for u in self.corpus.utterances}), "settings": self.settings,
        }
        save_checkpoint(self.folder / CHECKPOINT, self.tensors(), meta)

    def load(self, path: Path) -> None:
        tensors, meta = load_checkpoint(path)
        check_same(self.folder, meta.get("settings"), self.settings)
        with torch.no_grad():
            for k, v in pick(tensors, "live").items():
                self.named[k].copy_(v)
            for k in self.ema:
                self.ema[k].copy_(tensors[f"ema/{k}"])
        restore_optimizer(self.optimizer, list(self.named), tensors)
        self.step, self.seconds = meta["step"], meta["seconds"]

    def report(self, step: int, log: dict[str, float]) -> dict[str, float] | None:
        """Every 20 steps; every 500 with the losses of what training never draws."""
        if step % 20:
            return None
        return log | self.validate() if step % 500 == 0 else log

    def run(self) -> None:
        if self.rank == 0 and not self.cfg.resume:
            clear(self.folder, (CHECKPOINT, LOG))
        loop = Loop(self.folder, "phase 1", self.cfg.save_seconds, self.rank == 0, self.seconds, board="phase1")
        loop.run(self.step, self.cfg.steps, self.train_step, self.report, self.save)

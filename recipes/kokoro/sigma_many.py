"""Sigma by sigma-Reptile with many people at once in a batch, for a GPU; recipes/kokoro/sigma.py is the CPU's."""

from __future__ import annotations

import json
import math
import sys
import time
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "recipes" / "kokoro")]

from campaign_base import save, save_tree  # noqa: E402
from crowd import Crowd  # noqa: E402

from tts_meta.meta.algorithms.gradient import Gradient  # noqa: E402
from tts_meta.meta.hypergrad.displacement import Displacement  # noqa: E402
from tts_meta.meta.outer import Group  # noqa: E402
from tts_meta.meta.partition import Partition  # noqa: E402
from tts_meta.meta.prior import Shrinkage  # noqa: E402
from tts_meta.meta.solvers.adam import ProximalAdam  # noqa: E402
from tts_meta.meta.trainer import MetaTrainer  # noqa: E402
from tts_meta.nets.kokoro.likelihood import KokoroScales  # noqa: E402
from tts_meta.nets.kokoro.network import Kokoro, KokoroConfig  # noqa: E402
from tts_meta.nets.kokoro.speaker_loss import MANNER, TIMBRE, SpeakerLoss, speaker_parameters  # noqa: E402


class SigmaMany(Crowd):
    def sigma(self) -> None:
        """Sigma of every module by sigma-Reptile on people that phase 1 never met, many people at once."""

        a = self.args
        self.load_people()
        stage = a.sigma_from
        net = Kokoro(KokoroConfig(rank=a.rank, prosody_rank=a.prosody_rank), self.bands).to(self.device).eval()
        saved = self.load_tree(f"{stage}_net")
        net.load_state_dict({k[4:]: v for k, v in saved.items() if k.startswith("net/")})
        for p in net.parameters():
            p.requires_grad_(False)
        phi = speaker_parameters(net, saved[f"mean/{TIMBRE}"], saved[f"mean/{MANNER}"])
        partition = Partition({n: [n] for n in phi}, phi)
        spread_of = torch.stack([saved[f"spread/{m}"] for m in partition.modules]).clamp(min=1e-3)
        begin = 2 * (a.sigma_start * spread_of).log()
        loss = SpeakerLoss(net, KokoroScales(), self.cuda)
        people: dict[str, list[dict]] = {}
        for i in self.items:
            if i["fold"] == "sigma":
                people.setdefault(i["speaker"], []).append(i)
        names = sorted(n for n, c in people.items() if len(c) >= a.support + a.query)
        minutes = [n for n in names if sum(len(i["f0"]) for i in people[n]) > 80 * 150]
        campaign = self

        class Many:
            """T people at once, each with its support clips and others of its own to be judged by."""

            def __init__(self, chosen: list[tuple[list[dict], list[dict]]], rng: np.random.Generator) -> None:
                self.chosen, self.rng, self.tasks = chosen, rng, len(chosen)

            def stack(self, picked: list[list[dict]], weights: list[float]) -> dict[str, Tensor]:
                flat = [r for rows in picked for r in rows]
                batch = campaign.batch(flat)
                n = len(picked[0])
                return {k: v.unflatten(0, (len(picked), n)) for k, v in batch.items()} | {
                    "weight": torch.tensor(weights, device=campaign.device)
                }

            def support(self, step: int) -> dict[str, Tensor]:
                picked, weights = [], []
                for rows, _ in self.chosen:
                    some = [rows[i] for i in self.rng.choice(len(rows), a.clips, replace=len(rows) < a.clips)]
                    picked.append(some)
                    weights.append(sum(len(r["f0"]) for r in rows) / sum(len(r["f0"]) for r in some))
                return self.stack(picked, weights)

            def query(self) -> dict[str, Tensor]:
                return self.stack([rows for _, rows in self.chosen], [1.0] * self.tasks)

            def whole_support(self) -> dict[str, Tensor]:
                return self.stack([rows for rows, _ in self.chosen], [1.0] * self.tasks)

        def draw(step: int, positions) -> Many:
            rng = np.random.default_rng([a.seed, step, *positions])
            chosen = []
            for _ in positions:
                name = minutes[rng.integers(len(minutes))] if minutes and rng.random() < 0.75 else names[rng.integers(len(names))]
                rows = list(people[name])
                rng.shuffle(rows)
                # Query recordings are other recordings than the support's, not other pieces of one.
                support = rows[: a.support]
                used = {r["name"] for r in support}
                query = [r for r in rows[a.support:] if r["name"] not in used][: a.query]
                while len(query) < a.query:
                    query.append(rows[-1 - len(query)])
                chosen.append((support, query))
            return Many(chosen, rng)

        solver = ProximalAdam(a.inner_rate, decay=a.inner_decay)
        algorithm = Gradient(loss, lambda n: partition, solver, Displacement("first_order"), a.inner_steps)
        state = {f"phi/{k}": v for k, v in phi.items()} | {"log_sigma2": begin}
        groups = {
            "phi": Group("phi/*", lambda p: torch.optim.SGD(p, lr=a.phi_rate)),
            "sigma": Group("log_sigma2", lambda p: torch.optim.Adam(p, lr=a.sigma_rate, betas=(0.8, 0.95), eps=1e-12)),
        }
        low, high = begin - 2 * math.log(200), begin + 2 * math.log(20)
        bounds = {"log_sigma2": (low, high)}
        trainer = MetaTrainer(algorithm, state, draw, groups, a.tasks, a.tasks, 100_000, bounds=bounds, seed=a.seed)
        kept = self.work / f"sigma_{stage}_state.safetensors"
        started = time.time()
        while time.time() - started < a.sigma_seconds and trainer.step_count < a.meta_steps:
            log = trainer.step()
            if trainer.step_count % a.sigma_report == 0 or trainer.step_count == 1:
                now = 0.5 * (trainer.state["log_sigma2"] - begin)
                top = sorted(zip(now.tolist(), partition.modules, strict=True))
                ends = [(m, round(v, 2)) for v, m in (*top[:3], *top[-3:])]
                self.log(f"sigma {trainer.step_count}", {k: round(v) for k, v in log.items()}, "least and most", ends)
        prior = Shrinkage(partition, trainer.state["log_sigma2"])
        save_tree(trainer.state | {"begin": begin}, kept)
        tensors = {k: v for k, v in trainer.phi.items()} | {"log_sigma2": prior.log_sigma2}
        config = json.dumps(vars(a), default=str)
        meta = {"modules": json.dumps(partition.modules), "steps": str(trainer.step_count), "config": config}
        save(tensors, self.out / f"sigma_{stage}.safetensors", metadata=meta)
        self.log(f"sigma of {stage}: {trainer.step_count} meta-steps of {a.tasks} people, {a.inner_steps} steps each")

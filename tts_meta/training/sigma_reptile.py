"""Phase 2: learn sigma of every module (and move phi) by sigma-Reptile over speakers that phase 1 never saw; or, with
other parts, the meta-trained methods it is compared with (configs/experiment/baseline_*.yaml).

phi starts at phase 1's moving average (the speaker embedding at the mean of its table), every sigma_m at a few percent
of its module's RMS; a task is one speaker of the fold with disjoint support and query utterances; the inner loop is
the very one a clone runs (`tts_meta.adaptation.adaptation_run`).
"""

from __future__ import annotations

import copy
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch

from tts_meta.data.batch import Item, Normaliser, make_item
from tts_meta.data.speech import INDEX, SpeechCorpus
from tts_meta.data.tasks import SpeakerTask, align_items, split_utterances
from tts_meta.errors import InputError
from tts_meta.meta.algorithms.gradient import Gradient
from tts_meta.meta.loss import ModuleLoss
from tts_meta.meta.outer import Group
from tts_meta.meta.prior import Shrinkage, module_rms, relative_sigma
from tts_meta.meta.ranks import start_ranks
from tts_meta.meta.task import Stacked
from tts_meta.meta.trainer import MetaTrainer, task_rng
from tts_meta.meta.tree import pick
from tts_meta.nets.acoustic import AcousticConfig, AcousticModel
from tts_meta.nets.likelihood import Scales, utterance_loss
from tts_meta.processor import use_bf16
from tts_meta.text.phonemes import SymbolTable
from tts_meta.training.checkpoint import CHECKPOINT, clear, load_checkpoint, save_checkpoint
from tts_meta.training.loop import LOG, Loop
from tts_meta.training.modules import module_table, print_module_table, speech_partition
from tts_meta.training.parts import build
from tts_meta.training.settings import check_same, file_digest, settings_of
from tts_meta.training.split import check_corpora, take_fold


@dataclass
class OuterConfig:
    """phi by `phi_optimizer` (SGD's rate is Reptile's epsilon), log sigma^2 by Adam, whose step does not depend on
    the gradient's scale (Kingma & Ba 2015, section 2.1): that of log sigma^2 vanishes like sigma^2 for small sigmas."""

    phi_rate: float
    phi_optimizer: str  # of torch.optim
    log_sigma2_rate: float
    beta1: float
    beta2: float
    tasks: int
    tasks_per_chunk: int
    inner_steps: int

    def groups(self, prior: bool) -> dict[str, Group]:
        betas, optimizer = (self.beta1, self.beta2), getattr(torch.optim, self.phi_optimizer)
        found = {"phi": Group("phi/*", lambda p: optimizer(p, lr=self.phi_rate))}
        if prior:
            found["sigma"] = Group(
                "log_sigma2", lambda p: torch.optim.Adam(p, lr=self.log_sigma2_rate, betas=betas, eps=1e-12)
            )
        return found


DISPLACEMENT = "tts_meta.meta.hypergrad.displacement.Displacement"
ADAM = "tts_meta.meta.solvers.adam.ProximalAdam"


@dataclass
class SigmaReptileConfig:
    """Its values are those of configs/stage/sigma_reptile.yaml and what is written over them; there are no others here."""

    run: str
    start: str  # phase 1's checkpoint
    data: str
    meta_steps: int
    outer: OuterConfig | dict
    hypergrad: dict
    solver: dict
    prior: bool  # False: sigma is infinite and stays so
    smooth: float  # of the likelihood (Scales); implicit gradients need its curvature
    start_relative: float  # sigma_m / RMS(phi_m) at the start
    floor_relative: float
    ceiling_relative: float
    support: int  # utterances
    query: int
    clips: int  # utterances in one inner step
    dev: float  # share (of all task speakers) of the fold kept to choose steps and thresholds on
    corpus_share: dict[str, float]  # of the draws; empty: every speaker is as likely
    bf16: bool | str  # auto: where the device is fast at it
    device: str
    save_seconds: float
    seed: int
    resume: bool = True  # False: begin anew, whatever the folder holds

    def __post_init__(self) -> None:
        if isinstance(self.outer, dict):
            self.outer = OuterConfig(**self.outer)


ELSEWHERE = ("run", "start", "data", "device", "save_seconds", "resume", "outer.tasks_per_chunk")
"""Settings that change no result; of the data and the start the files' digests count."""


class SigmaReptileTrainer:
    """Resumable; `run()` trains to the last meta-step and prints the module table.

    Raises InputError for a folder whose run has other settings or was made of other files, unless `resume` is off.
    """

    def __init__(self, cfg: SigmaReptileConfig) -> None:
        self.cfg = cfg
        self.rank, self.world = start_ranks()
        tensors, self.base = load_checkpoint(cfg.start)
        self.corpus = SpeechCorpus(cfg.data)
        self.table = SymbolTable(self.base["symbols"])
        self.norm = Normaliser.from_dict(self.base["normaliser"])
        self.model = AcousticModel(AcousticConfig(**self.base["net"]))
        average = pick(tensors, "ema")
        speakers = average.pop("table")
        average["speaker"] = speakers.mean(0)
        self.model.load_state_dict(average)
        self.model.eval()
        self.spread = float((speakers - speakers.mean(0)).pow(2).mean().sqrt())
        self.folder = Path(cfg.run)
        inputs = {"corpus": file_digest(Path(cfg.data) / INDEX), "start": file_digest(cfg.start)}
        self.settings = settings_of(cfg, ELSEWHERE, inputs=inputs)
        self.items: dict[str, list[Item]] = {}
        self.groups = self.corpus.by_speaker()
        known = set(self.base["fold"])
        usable = sorted(s for s in known if len(self.groups[s]) >= 2)
        kept = take_fold(usable, cfg.dev)
        self.dev = [s for s in kept if "@" not in s]
        self.tasks = [s for s in usable if s not in kept]
        if not self.tasks:
            raise InputError(
                f"The fold of phase 1 has {len(known)} speakers and none of them two utterances to learn sigma from; give more "
                "speakers or a larger fold."
            )
        check_corpora("corpus_share", cfg.corpus_share, {s.split("/")[0] for s in self.tasks})
        self.trainer = self._trainer()
        self.seconds = 0.0  # of all runs together
        if cfg.resume and (self.folder / CHECKPOINT).exists():
            saved, meta = load_checkpoint(self.folder / CHECKPOINT)
            check_same(self.folder, meta.get("settings"), self.settings)
            self.trainer.restore(saved)
            self.seconds = meta["seconds"]

    def speaker_items(self, speaker: str) -> list[Item]:
        """All utterances of a speaker, normalised and aligned by phase 1's aligner."""
        if speaker not in self.items:
            raw = [
                make_item(*self.corpus.phones(u, self.table), self.corpus.mel(u), self.corpus.f0(u), self.norm)
                for u in self.groups[speaker]
            ]
            self.items[speaker] = align_items(self.model, raw)
        return self.items[speaker]

    def task(self, speaker: str, rng: torch.Generator) -> SpeakerTask:
        """One speaker with a random split of its utterances."""
        recordings = [u.recording for u in self.groups[speaker]]
        support, query = split_utterances(recordings, self.cfg.support, self.cfg.query, rng)
        items = self.speaker_items(speaker)
        return SpeakerTask(
            [items[i] for i in support], [items[i] for i in query], self.cfg.clips, self.model.config.reduction,
            self.cfg.device,
        )

    def draw(self, step: int, positions: Sequence[int]) -> Stacked:
        """The tasks at `positions` of a meta-step."""
        rngs = [[task_rng(self.cfg.seed, step, p, purpose) for p in positions] for purpose in (0, 1)]
        return Stacked([self.draw_one(step, p) for p in positions], *rngs)

    def draw_one(self, step: int, position: int) -> SpeakerTask:
        """The task at `position` of meta-step `step`; the same on every rank and on a resumed run."""
        rng = np.random.default_rng([self.cfg.seed, step, position])
        counts = Counter(s.split("/")[0] for s in self.tasks)
        shares = self.cfg.corpus_share or counts
        corpora = sorted(shares)
        share = np.array([shares[c] for c in corpora])
        corpus = corpora[rng.choice(len(corpora), p=share / share.sum())]
        names = [s for s in self.tasks if s.startswith(corpus + "/")]
        speaker = names[rng.integers(len(names))]
        generator = torch.Generator().manual_seed(int(rng.integers(2**31)))
        return self.task(speaker, generator)

    def _trainer(self) -> MetaTrainer:
        cfg = self.cfg
        phi = {k: v.detach().clone() for k, v in self.model.named_parameters()}
        partition = speech_partition(phi)
        self.unit = {"speaker": self.spread}
        rms = module_rms(partition, phi, self.unit).float()
        relative = torch.full_like(rms, cfg.start_relative)
        relative[partition.index["speaker"]] = 0.5
        start = 2 * (relative * rms).log() if cfg.prior else torch.full_like(rms, np.inf)
        prior = Shrinkage(partition, start)
        ceiling = 2 * (cfg.ceiling_relative * rms).log()
        ceiling[partition.index["speaker"]] = 2 * np.log(5 * self.spread)
        prior = prior.with_log_sigma2(prior.log_sigma2.to(cfg.device))
        # The aligner stays where the audio features are; the loss gets a copy on the device.
        network = self.model if cfg.device == "cpu" else copy.deepcopy(self.model).to(cfg.device)
        outer = cfg.outer
        assert isinstance(outer, OuterConfig)
        # The partition of the whole network: the state has only what may move.
        loss = utterance_loss(Scales(**{**self.base["scales"], "smooth": cfg.smooth}))
        algorithm = Gradient(
            ModuleLoss(network, loss, use_bf16(cfg.bf16, cfg.device)), lambda names: partition, build(cfg.solver, ADAM),
            build(cfg.hypergrad, DISPLACEMENT), outer.inner_steps,
        )
        state = {f"phi/{k}": phi[k].to(cfg.device) for k in partition.free()} | {"log_sigma2": prior.log_sigma2}
        self.partition = partition
        floor = 2 * (cfg.floor_relative * rms).log()
        return MetaTrainer(
            algorithm, state, self.draw, outer.groups(cfg.prior), outer.tasks, outer.tasks_per_chunk, cfg.meta_steps,
            self.rank, self.world, {"log_sigma2": (floor.to(cfg.device), ceiling.to(cfg.device))} if cfg.prior else {},
            cfg.seed,
        )

    def rows(self) -> list[dict]:
        prior = Shrinkage(self.partition, self.trainer.state["log_sigma2"])
        sigma = relative_sigma(prior, self.trainer.phi, self.unit)
        return module_table(self.partition, self.trainer.phi, sigma)

    def save(self, seconds: float) -> None:
        meta = {
            "step": self.trainer.step_count, "seconds": seconds, "config": asdict(self.cfg), "modules": self.rows(),
            "unit": self.unit,
            "base": {k: v for k, v in self.base.items() if k not in ("speakers", "settings")}, "dev": self.dev,
            "settings": self.settings,
        }
        save_checkpoint(self.folder / CHECKPOINT, self.trainer.tensors(), meta)

    def report(self, step: int, log: dict[str, float]) -> dict:
        return {**log, "sigma_relative": {r["name"]: round(r["sigma_relative"], 5) for r in self.rows()}}

    def keep(self, seconds: float) -> None:
        self.save(seconds)
        print_module_table(self.rows())

    def run(self) -> None:
        if self.rank == 0 and not self.cfg.resume:
            clear(self.folder, (CHECKPOINT, LOG))
        loop = Loop(self.folder, "phase 2", self.cfg.save_seconds, self.rank == 0, self.seconds, board="phase2")
        loop.run(self.trainer.step_count, self.cfg.meta_steps, self.trainer.step, self.report, self.keep)

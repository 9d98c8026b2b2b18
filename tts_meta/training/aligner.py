"""Phase 0: Viterbi training of the aligner, and with it the durations of every utterance of the corpus.

From a flat start (the phones share the sounding part of an utterance evenly) each round estimates every state's Gaussian
from its frames and aligns again. Only the speakers that phase 1 fits are counted; the fold kept for sigma is aligned
with the others at the end, as a clone's clips are.
"""

from __future__ import annotations

import io
import json
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from tts_meta.audio.files import replace_file
from tts_meta.audio.mel import frame_energy
from tts_meta.data.batch import Normaliser, best_path
from tts_meta.data.speech import INDEX, SpeechCorpus
from tts_meta.meta.ranks import start_ranks
from tts_meta.meta.tree import pick
from tts_meta.nets.aligner import STATES, Aligner, alignment_features, quiet_frames
from tts_meta.text.phonemes import BOUNDARY, MARKS, SILENCE, SymbolTable
from tts_meta.training.checkpoint import CHECKPOINT, load_checkpoint, save_checkpoint
from tts_meta.training.loop import LOG
from tts_meta.training.settings import check_same, file_digest, settings_of
from tts_meta.training.split import split_speakers


@dataclass
class AlignerConfig:
    """Its values are those of configs/stage/aligner.yaml and what is written over them; there are no others here."""

    run: str
    data: str
    rounds: int
    prior_frames: float  # frames of the corpus's own mean and variance that every state starts from
    fold: float
    teachers: list[str]
    seed: int
    resume: bool = True  # False: begin anew, whatever the folder holds


DURATIONS = "durations.npz"


class AlignerTrainer:
    """`run()` writes last.safetensors and durations.npz; nothing is left to do when both are there.

    Raises InputError for a folder whose run has other settings or was made of another corpus, unless `resume` is off.
    """

    def __init__(self, cfg: AlignerConfig) -> None:
        self.cfg = cfg
        self.rank, self.world = start_ranks()
        self.folder = Path(cfg.run)
        corpus = file_digest(Path(cfg.data) / INDEX)
        self.settings = settings_of(cfg, ("run", "data", "resume"), corpus=corpus)
        self.done = cfg.resume and all((self.folder / f).exists() for f in (DURATIONS, CHECKPOINT))
        if self.done:
            check_same(self.folder, load_checkpoint(self.folder / CHECKPOINT)[1].get("settings"), self.settings)

    def _prepare(self) -> None:
        cfg = self.cfg
        self.corpus = SpeechCorpus(cfg.data)
        self.table = SymbolTable(self.corpus.symbols)
        fitted = set(split_speakers(self.corpus, cfg.teachers, cfg.fold)[0])
        utterances = self.corpus.utterances
        self.fitted = [i for i, u in enumerate(utterances) if u.speaker in fitted]
        rng = np.random.default_rng(cfg.seed)
        sample = [utterances[i] for i in rng.choice(self.fitted, min(400, len(self.fitted)), replace=False)]
        self.norm = Normaliser.fit([self.corpus.mel(u) for u in sample], [self.corpus.f0(u) for u in sample])
        self.phones = [torch.tensor(self.corpus.phones(u, self.table)[0]) for u in utterances]
        self.features: list[Tensor] = []
        self.quiet: list[Tensor] = []
        for u in utterances:
            mel = self.corpus.mel(u)
            normal = torch.from_numpy(self.norm.mel(mel))
            self.features.append(alignment_features(normal - normal.mean(0)))
            self.quiet.append(quiet_frames(torch.from_numpy(frame_energy(mel))))
        self.net = Aligner(len(self.table))
        silent = [self.table.index[s] for s in (SILENCE, BOUNDARY, *MARKS) if s in self.table.index]
        self.net.silence[silent] = 1.0
        self.silent = silent

    def flat_start(self, i: int) -> Tensor:
        """State row of each frame `[L]`: silence at the quiet edges, the states between them evenly."""
        rows, _ = self.net.states(self.phones[i])
        frames = len(self.features[i])
        loud = torch.nonzero(~self.quiet[i]).flatten()
        first, last = (int(loud[0]), int(loud[-1]) + 1) if len(loud) else (0, frames)
        inner = rows[1:-1] if last - first >= len(rows) else rows
        where = ((torch.arange(frames) - first) * len(inner) // max(last - first, 1)).clamp(0, len(inner) - 1)
        state = inner[where]
        state[:first] = state[last:] = self.silent[0] * STATES
        return state

    def estimate(self, states: list[Tensor]) -> None:
        """Mean and variance of every state from the frames that were given to it; silence symbols share one."""
        features = torch.cat([self.features[i] for i in self.fitted])
        state = torch.cat([states[i] for i in self.fitted])
        silent = self.net.silence.repeat_interleave(STATES)[state] > 0
        state = torch.where(silent, torch.full_like(state, self.silent[0] * STATES), state)
        size, prior = self.net.mean.flatten(0, 1).shape, self.cfg.prior_frames
        mean0, variance0 = features.mean(0), features.var(0)
        count = torch.bincount(state, minlength=size[0]).unsqueeze(1) + prior
        mean = (torch.zeros(size).index_add_(0, state, features) + prior * mean0) / count
        square = torch.zeros(size).index_add_(0, state, (features - mean[state]) ** 2)
        variance = (square + prior * variance0) / count
        self.net.mean.copy_(mean.view_as(self.net.mean))
        self.net.variance.copy_(variance.view_as(self.net.variance))
        for table in (self.net.mean, self.net.variance):
            table[self.silent] = table[self.silent[0], 0].clone()

    def align(self) -> tuple[list[Tensor], list[Tensor], float]:
        """(durations, states, mean log-likelihood a frame of the fitted speakers) of all utterances."""
        durations, states, total, frames = [], [], 0.0, 0
        fitted = set(self.fitted)
        for i, (phones, features, quiet) in enumerate(zip(self.phones, self.features, self.quiet, strict=True)):
            d, s, score = best_path(self.net, self.net.scores(features, quiet), phones)
            durations.append(d)
            states.append(s)
            if i in fitted:
                total, frames = total + score * len(features), frames + len(features)
        return durations, states, total / frames

    @torch.no_grad()
    def run(self) -> None:
        from tqdm import tqdm

        if self.rank == 0 and not self.done:
            self._prepare()
            self.folder.mkdir(parents=True, exist_ok=True)
            states = [self.flat_start(i) for i in range(len(self.phones))]
            bar = tqdm(range(self.cfg.rounds), desc="aligner")
            likelihood = []
            for _ in bar:
                self.estimate(states)
                durations, states, score = self.align()
                likelihood.append(score)
                bar.set_postfix(likelihood=f"{score:.3f}")
            (self.folder / LOG).write_text(
                "".join(json.dumps({"round": i + 1, "likelihood": v}) + "\n" for i, v in enumerate(likelihood))
            )
            packed = io.BytesIO()
            np.savez(packed, durations=torch.cat(durations).numpy().astype(np.int16),
                     counts=np.array([len(d) for d in durations]))
            save_checkpoint(self.folder / CHECKPOINT, {f"net/{k}": v for k, v in self.net.state_dict().items()}, {
                "config": asdict(self.cfg), "symbols": self.table.symbols, "normaliser": self.norm.to_dict(),
                "likelihood": likelihood, "settings": self.settings,
            })
            replace_file(self.folder / DURATIONS, packed.getvalue())
        if self.world > 1:
            torch.distributed.barrier()


def load_aligner(folder: str | Path) -> tuple[dict[str, Tensor], dict]:
    """(the aligner's tensors, its metadata) of a run."""
    tensors, meta = load_checkpoint(Path(folder) / CHECKPOINT)
    return pick(tensors, "net"), meta


def load_durations(folder: str | Path) -> list[np.ndarray]:
    """Frames a phone of every utterance in corpus order."""
    with np.load(Path(folder) / DURATIONS) as data:
        return np.split(data["durations"], np.cumsum(data["counts"])[:-1])

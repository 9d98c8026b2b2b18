"""Cells of a comparison, and what they are made of: starters, methods, speakers with their clips."""

from __future__ import annotations

import hashlib
import json
import sys
from dataclasses import dataclass, replace
from pathlib import Path

import soundfile
from omegaconf import DictConfig, OmegaConf

from tts_meta.adaptation.methods import Method, free, shrinking
from tts_meta.audio.vocoder import default_vocoder
from tts_meta.clips.whole_clips import LONGEST, UsedClip, check_clip, whole_clips
from tts_meta.errors import InputError
from tts_meta.evaluation.judge import Judge, Sentence
from tts_meta.evaluation.protocol import HeldOutSpeaker, heldout_speakers
from tts_meta.measures.intelligibility import load_recogniser
from tts_meta.starters.small_starter import Starter, load_starter

sys.path.append(str(Path(__file__).resolve().parents[1]))  # recipes/, for what they share

from shared.speech_run import LAST, make_starter, phase1_parts, phase2_parts  # noqa: E402

PHASE1 = "recipes/baselines/phase1.safetensors"
"""The phase 1 that the published cells begin from (recipes/starter/export_phase1.py)."""


@dataclass(frozen=True)
class Cell:
    method: str
    speaker: str
    shots: int
    seed: int
    steps: int
    judged: tuple[int | str, ...]  # steps at which it speaks, "best" among them

    def name(self) -> str:
        return f"{self.method}-{self.speaker}-{self.shots}-{self.seed}"


def cells(cfg: DictConfig, speakers: list[HeldOutSpeaker]) -> list[Cell]:
    """In order of the blocks; a speaker with fewer clips gives all it has, once."""
    found: dict[str, Cell] = {}
    for block, spec in cfg.blocks.items():
        if cfg.only and block not in cfg.only:
            continue
        for seed in spec.seeds:
            for shots in spec.shots:
                for speaker in speakers:
                    if spec.speakers != "all" and speaker.name not in spec.speakers:
                        continue
                    for method in cfg.methods if spec.methods == "all" else spec.methods:
                        judged = tuple(spec.get("judged", cfg.judged))
                        cell = Cell(str(method), speaker.name, min(shots, len(speaker.support)), seed, spec.steps, judged)
                        found.setdefault(f"{cell.name()} {cell.steps}", cell)
    return list(found.values())


class World:
    """Starters, and what each speaker is measured on; made once a process."""

    def __init__(self, cfg: DictConfig) -> None:
        self.cfg, self.out = cfg, Path(cfg.out)
        self.speakers = {s.name: usable(s) for s in heldout_speakers(Path(cfg.heldout))}
        self._starters: dict[str, Starter] = {}
        self._speaker: dict[str, tuple[Judge, dict[Path, UsedClip]]] = {}
        self.package = load_starter()

    def starter(self, name: str) -> Starter:
        if name not in self._starters:
            spec = self.cfg.starters[name]
            if "run" not in spec:
                return self.package
            folder = self.out / "starters" / name
            made = folder / "starter.json"
            trained = Path(spec.run) / f"phase{spec.phase}" / LAST
            if not trained.exists():
                how = f"cp {PHASE1} {trained}" if spec.phase == 1 else f"python recipes/train.py experiment=baseline_{name}"
                raise InputError(f"{trained} does not exist, which the methods of starter {name} begin from; make it: {how}")
            if not made.exists() or made.stat().st_mtime < trained.stat().st_mtime:
                parts = (phase1_parts if spec.phase == 1 else phase2_parts)(Path(spec.run))
                make_starter(parts, folder)
            self._starters[name] = load_starter(folder)
        return self._starters[name]

    def identity(self, name: str) -> str:
        """Changes with whatever a cell of this method depends on: a cell of another identity is made again."""
        spec = dict(OmegaConf.to_container(self.cfg.methods[name], resolve=True))  # type: ignore[arg-type]
        spec.pop("rates", None)
        starter, method = self.method(name)
        known = [starter.identity, spec, method.modules]
        return hashlib.sha256(json.dumps(known, sort_keys=True).encode()).hexdigest()

    def method(self, name: str) -> tuple[Starter, Method]:
        spec = self.cfg.methods[name]
        starter = self.starter(spec.starter)
        if "move" not in spec:
            method = shrinking(starter, spec.get("threshold"), spec.get("widened", True))
            # A starter of a run has no list of its own: it moves what the package's moves.
            return starter, method if "threshold" in spec else replace(method, modules=tuple(self.package.moved()))
        if spec.move == "package":
            move = self.package.moved()
        else:
            move = json.loads(Path(spec.move).read_text())["moved"] if isinstance(spec.move, str) else list(spec.move)
        return starter, free(starter, move, spec.rate, spec.get("decay", 0.0), spec.get("rank", 0))

    def clips(self, name: str) -> dict[Path, UsedClip]:
        """Every usable clip of a speaker, aligned; the aligner is the same in all starters."""
        s = self.speakers[name]
        return whole_clips([*s.support, *s.reference], s.texts, self.package)

    def speaker(self, name: str) -> tuple[Judge, dict[Path, UsedClip]]:
        if name not in self._speaker:
            s, clips = self.speakers[name], self.clips(name)
            sentences = [Sentence(s.texts[p], check_clip(p)) for p in judged_paths(s) if p in clips]
            self._speaker = {name: (Judge(sentences, load_recogniser(), default_vocoder()), clips)}  # one at a time
        return self._speaker[name]


def usable(s: HeldOutSpeaker) -> HeldOutSpeaker:
    """Without the recordings that an evaluation refuses for their length."""
    def short(paths: list[Path]) -> list[Path]:
        return [p for p in paths if soundfile.info(str(p)).duration <= LONGEST]

    return replace(s, support=short(s.support), reference=short(s.reference))


def judged_paths(s: HeldOutSpeaker) -> list[Path]:
    """The reference clips whose texts are spoken; the others make the centroid (as in `tts-meta evaluate`)."""
    return s.reference[0::2]

"""Compare methods of adaptation on real held-out speakers: the evidence. Resumable cell by cell, safe to kill.

    python recipes/compare.py experiment=adaptation_grid              # all blocks, two cells at a time
    python recipes/compare.py only=[main] 'blocks.main.speakers=[p225]' out=/tmp/try
    python recipes/evidence.py                                        # docs/evidence.md and the HTML page

A cell is one method, speaker, number of clips and draw of them. Its JSON has the curve (loss of clips that no method
sees, every few steps) and, at the steps `judged` (of the block, or of all), what the clone says and how it measures; the
solver's state stays beside it, so that a longer block continues it. Nothing is chosen by these numbers.
"""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
import time
from dataclasses import dataclass, replace
from pathlib import Path

import hydra
import numpy as np
import soundfile
import torch
from nearest import check_overrides
from omegaconf import DictConfig, OmegaConf
from speech_run import LAST, make_starter, phase1_parts, phase2_parts

from tts_meta.adaptation.adaptation_run import AdaptationRun
from tts_meta.adaptation.methods import Method, free, shrinking
from tts_meta.audio.files import replace_file
from tts_meta.audio.mel import HOP, SAMPLE_RATE
from tts_meta.audio.vocoder import default_vocoder
from tts_meta.clips.whole_clips import LONGEST, UsedClip, check_clip, whole_clips
from tts_meta.data.batch import Item, collate
from tts_meta.errors import InputError
from tts_meta.evaluation.judge import Judge, Sentence, Sound, beside, realtime_factor
from tts_meta.evaluation.kept import Measured
from tts_meta.evaluation.protocol import HeldOutSpeaker, heldout_speakers
from tts_meta.measures.intelligibility import load_recogniser
from tts_meta.measures.similarity import embed
from tts_meta.meta.tree import Tree
from tts_meta.nets.likelihood import Scales, negative_log_likelihood
from tts_meta.speaking.synthesize import Synthesizer
from tts_meta.starters.small_starter import Starter, load_starter
from tts_meta.starters.variance import measure_gains

PHASE1 = "recipes/baselines/phase1.safetensors"
"""The phase 1 that the published cells begin from (recipes/export_phase1.py)."""


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


def bounds(world: World, name: str) -> None:
    """Write what no method changes: embeddings and measures of the real and the vocoded recordings."""
    path = world.out / "speakers" / f"{name}.json"
    if path.exists():
        return
    judge, _ = world.speaker(name)
    s = world.speakers[name]
    centre = [embed(check_clip(p).samples, SAMPLE_RATE) for p in s.reference[1::2]]
    rows = {kind: measured([of_recording(judge, x, kind) for x in judge.sentences]) for kind in ("vocoded", "real")}
    found = {
        "corpus": s.corpus, "texts": [x.text for x in judge.sentences], "centre": listed(np.stack(centre)), **rows,
    }
    if name in world.cfg.sounds:
        keep_sounds(world, f"real-{name}-0-0-best", [x.features.samples for x in judge.sentences])
    replace_file(path, json.dumps(found).encode())


def keep_sounds(world: World, name: str, sounds: list[np.ndarray]) -> None:
    """The first two as files."""
    for i, x in enumerate(sounds[:2]):
        file = world.out / "sounds" / f"{name}-{i}.ogg"
        file.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(file, x, SAMPLE_RATE, format="OGG", subtype="VORBIS")


def listed(embeddings: np.ndarray) -> list[list[float]]:
    return [[round(float(x), 5) for x in e] for e in embeddings]


def of_recording(judge: Judge, sentence: Sentence, kind: str) -> tuple[Measured, dict]:
    """Measures of a recording, alone and beside itself."""
    found = judge.recording(sentence, kind)
    return found, beside(Sound(found.samples), sentence)


def measured(found: list[tuple[Measured, dict]], quality: bool = True) -> dict:
    """A row a sentence, and the embeddings."""
    rows = [{"heard": m.heard, **({"dnsmos": m.dnsmos} if quality else {}), **more} for m, more in found]
    return {"rows": rows, "embeddings": listed(np.stack([m.embedding for m, _ in found]))}


class Query:
    """Loss of a speaker's reference clips, which no method sees, under one likelihood for all methods."""

    def __init__(self, starter: Starter, items: list[Item]) -> None:
        self.starter, self.frames = starter, sum(len(i.mel) for i in items)
        self.batch = collate(items, starter.model.config.reduction)

    @torch.no_grad()
    def __call__(self, deltas: Tree) -> dict[str, float]:
        """nats per frame: total and its parts; mel_l1 (normalised), duration_ms (mean absolute error of a phone)."""
        params = {k: self.starter.phi[k] + d for k, d in deltas.items()}
        out = torch.func.functional_call(self.starter.model, params, (self.batch,))
        parts = negative_log_likelihood(out, self.batch, Scales())
        found = {k: float(v) / self.frames for k, v in parts.items()}
        mask, phones = self.batch["frame_mask"].unsqueeze(-1), self.batch["phone_mask"]
        l1 = ((out["mel"] - self.batch["mel"]).abs() * mask).sum() / mask.sum() / 80
        frames = ((out["log_duration"].exp() - self.batch["durations"]).abs() * phones).sum() / phones.sum()
        return {
            "total": sum(found.values()), **found, "mel_l1": float(l1),
            "duration_ms": float(frames) * 1000 * HOP / SAMPLE_RATE,
        }


def watched(steps: int) -> list[int]:
    """The steps at which the loss is measured."""
    return [s for s in (*range(0, 100, 10), *range(100, 1000, 50), *range(1000, 10_001, 100)) if s <= steps]


class Walk:
    """A method's way on one speaker: `at(step)` gives the deltas a user would have after that many steps."""

    def __init__(self, world: World, cell: Cell, support: list[Item]) -> None:
        spec = world.cfg.methods[cell.method]
        self.starter, method = world.method(cell.method)
        # At least one clip to stop early on, and at least one to learn from.
        held = min(max(1, round(spec.hold_out * len(support))), len(support) - 1) if "hold_out" in spec else 0
        self.inside, self.outside = support[: len(support) - held], support[len(support) - held :]
        self.early = bool(held)
        self.clips = self.starter.adaptation.clips
        self.seed, self.cell = cell.seed, cell
        self.first: AdaptationRun | None = None
        self.switch = 0
        if "first" in spec:
            self.switch = spec.first.steps
            warm = free(self.starter, list(spec.first.move), spec.first.rate)
            self.first = self._run(warm, None)
        self.method, self.second = method, None if self.first else self._run(method, None)
        self.seconds = 0.0

    def _run(self, method: Method, start: Tree | None) -> AdaptationRun:
        run = AdaptationRun(
            self.starter, method, self.inside, self.outside, 10**9, 1, self.clips, self.seed, start=start
        )
        next(run)  # step 0
        return run

    def at(self, step: int) -> Tree:
        begin = time.monotonic()
        if self.first is not None and self.second is None:
            self._advance(self.first, min(step, self.switch))
            if step > self.switch:
                self.second = self._run(self.method, self._deltas(self.first))
        if self.second is not None:
            self._advance(self.second, step - self.switch)
        self.seconds += time.monotonic() - begin
        return self._deltas(self.second or self.first)  # type: ignore[arg-type]

    @staticmethod
    def _advance(run: AdaptationRun, step: int) -> None:
        if step > run.step:
            run.chunk = step - run.step
            next(run)

    def _deltas(self, run: AdaptationRun) -> Tree:
        return run.deltas() if self.early else run.now()

    @property
    def moved(self) -> int:
        run = self.second or self.first
        assert run is not None
        return sum(v.numel() for v in run.phi.values())

    def save(self, path: Path) -> None:
        if self.second is not None and self.first is None:
            self.second.save(path)

    def restore(self, path: Path) -> None:
        assert self.second is not None
        self.second.restore(path)


def support_of(speaker: HeldOutSpeaker, clips: dict[Path, UsedClip], cell: Cell) -> list[Item]:
    """Draw 0 is the first clips, as `tts-meta clone` would be given them; the others are random ones of the same pool."""
    pool = [p for p in speaker.support if p in clips]
    if cell.seed:
        pool = [pool[i] for i in np.random.default_rng(cell.seed).permutation(len(pool))]
    return [clips[p].item for p in pool[: cell.shots]]


def run_cell(world: World, cell: Cell) -> None:
    """Make or continue a cell up to its steps."""
    cfg, path = world.cfg, world.out / "cells" / f"{cell.name()}.json"
    state = world.out / "states" / f"{cell.name()}.safetensors"
    done = json.loads(path.read_text()) if path.exists() else None
    identity = world.identity(cell.method)
    if done and done["identity"] != identity:
        done = None
    if done and done["steps"] >= cell.steps:
        return
    judge, clips = world.speaker(cell.speaker)
    s = world.speakers[cell.speaker]
    walk = Walk(world, cell, support_of(s, clips, cell))
    query = Query(walk.starter, [clips[p].item for p in s.reference if p in clips])
    result: dict = done or {"curve": {}, "judged": {}, "seconds": 0.0, "best": None}
    if done and state.exists():
        walk.restore(state)
    elif done:
        result = {"curve": {}, "judged": {}, "seconds": 0.0, "best": None}
    last = max(map(int, result["curve"]), default=-1)
    # phi itself speaks alike for every method that starts from it with the same clips.
    known = walk.starter.identity[:16] + f"-{cell.speaker}-{cell.shots}-{cell.seed}"
    start = world.out / "starts" / f"{known}.json"
    best_loss, best = (result["best"] or {}).get("loss", float("inf")), None

    def speak(deltas: Tree, step: int | str) -> None:
        quality = step in ("best", cell.steps) or step in cfg.quality
        gains = measure_gains(walk.starter, deltas, [*walk.inside, *walk.outside])  # as `clone` does, for every method
        said = list(judge.saying(Synthesizer(walk.starter, deltas, gains=gains), quality))
        found = measured([(s.measured, s.beside) for s in said], quality)
        result["judged"][str(step)] = found | {"realtime_factor": realtime_factor(said)}
        if step == 0:
            replace_file(start, json.dumps(result["judged"]["0"]).encode())
        if cell.speaker in cfg.sounds and cell.seed == 0:
            keep_sounds(world, f"{cell.name()}-{step}", [s.sound.samples for s in said])

    for step in sorted({*watched(cell.steps), *(j for j in cell.judged if isinstance(j, int) and j <= cell.steps)}):
        if step <= last:
            continue
        deltas = walk.at(step)
        loss = query(deltas)
        result["curve"][str(step)] = loss
        if loss["total"] < best_loss:
            best_loss, best = loss["total"], {k: v.clone() for k, v in deltas.items()}
            result["best"] = {"step": step, "loss": best_loss}
        if step == 0 and 0 in cell.judged and start.exists():
            result["judged"]["0"] = json.loads(start.read_text())
        elif step in cell.judged:
            speak(deltas, step)
    if best is not None and "best" in cell.judged:
        at = str(result["best"]["step"])
        if at in result["judged"] and "dnsmos" in result["judged"][at]["rows"][0]:
            result["judged"]["best"] = result["judged"][at]
            for file in (world.out / "sounds").glob(f"{cell.name()}-{at}-*.ogg"):
                replace_file(file.with_name(file.name.replace(f"-{at}-", "-best-")), file.read_bytes())
        else:
            speak(best, "best")
    result |= {
        "steps": cell.steps, "seconds": result["seconds"] + walk.seconds, "parameters": walk.moved,
        "seconds_of_speech": sum(len(i.mel) for i in walk.inside + walk.outside) * HOP / SAMPLE_RATE,
        "identity": identity, **{k: getattr(cell, k) for k in ("method", "speaker", "shots", "seed")},
    }
    walk.save(state)
    replace_file(path, json.dumps(result).encode())


@hydra.main(version_base="1.3", config_path="../configs/compare", config_name="compare")
def main(cfg: DictConfig) -> None:
    torch.set_num_threads(1)
    world = World(cfg)
    table = cells(cfg, list(world.speakers.values()))
    if cfg.workers > 1 and cfg.share[1] == 1:
        for cell in table:  # made once, before the workers want them
            world.starter(cfg.methods[cell.method].starter)
        command = [sys.executable, *sys.argv]
        started = [subprocess.Popen([*command, f"share=[{i},{cfg.workers}]"]) for i in range(cfg.workers)]
        sys.exit(max(p.wait() for p in started))
    begin, todo = time.monotonic(), table[cfg.share[0] :: cfg.share[1]]
    for number, cell in enumerate(todo):
        bounds(world, cell.speaker)
        run_cell(world, cell)
        minutes = (time.monotonic() - begin) / 60
        print(f"{number + 1}/{len(todo)} {cell.name()} {minutes:.0f} min", flush=True)
    replace_file(world.out / "config.yaml", OmegaConf.to_yaml(cfg, resolve=True).encode())


if __name__ == "__main__":
    check_overrides("compare", sys.argv[1:], folder="compare")
    main()

"""One validation run: meta-train an algorithm on a few-shot domain, test it, write results.json, curve.csv, curve.png."""

from __future__ import annotations

import csv
import json
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from tts_meta.audio.files import replace_file
from tts_meta.errors import InputError
from tts_meta.meta.algorithms.base import Algorithm
from tts_meta.meta.algorithms.gradient import Gradient
from tts_meta.meta.outer import Group
from tts_meta.meta.posterior import Posterior
from tts_meta.meta.prior import Shrinkage, relative_sigma
from tts_meta.meta.ranks import start_ranks
from tts_meta.meta.task import Episodes
from tts_meta.meta.trainer import MetaTrainer
from tts_meta.meta.tree import Tree, pick
from tts_meta.training.checkpoint import CHECKPOINT, clear, load_checkpoint, save_checkpoint
from tts_meta.training.compiled import Compiled
from tts_meta.training.fewshot.base import Domain
from tts_meta.training.fewshot.evaluate import Curve, evaluate
from tts_meta.training.fewshot.plots import plot_curve, plot_modules
from tts_meta.training.loop import LOG, Loop
from tts_meta.training.settings import check_same, settings_of


@dataclass
class FewShotConfig:
    """`domain` and `algorithm` are partial constructors: the domain gets `likelihood` and `network`, which the algorithm
    chooses; the algorithm gets the domain's attributes named in `needs` ({argument: attribute}). The values are those of
    configs/stage/fewshot.yaml and of the groups it reads; there are no others here."""

    run: str
    name: str
    domain_name: str
    size: str
    domain: Callable[..., Domain]
    algorithm: Callable[..., Algorithm]
    outer: Mapping[str, Group]
    likelihood: str
    network: str
    needs: Mapping[str, str]
    meta_steps: int
    tasks: int
    tasks_per_chunk: int
    at: Sequence[int]
    report: int
    test_tasks: int
    test_chunk: int
    split: str  # val to choose settings on
    points: int  # of the learning curve: how often during training `point_tasks` validation tasks are tested; 0: never
    point_tasks: int
    save_seconds: float
    compile: bool  # the meta-gradient as one graph: minutes at the start, then faster (tts_meta/training/compiled.py)
    seed: int
    device: str  # cpu, cuda: where tasks and state lie (episodic images only)
    resume: bool = True  # False: begin anew, whatever the folder holds


ELSEWHERE = ("run", "resume", "save_seconds", "tasks_per_chunk", "test_chunk", "domain.cache", "points", "point_tasks", "compile",
             "device")
"""Settings that change no result, but for rounding."""


def learning_points(steps: int, points: int) -> set[int]:
    """At most `points` meta-steps up to and with the last of `steps`, each as many times the one before."""
    return {max(1, round(steps ** (i / points))) for i in range(1, points + 1)} if points else set()


class FewShotRun:
    """Resumable: `run()` continues from run/last.safetensors, and does nothing when results.json is there.

    Raises InputError for a folder whose run has other settings (unless `resume` is off), and for an algorithm that does
    not fit the domain.
    """

    def __init__(self, cfg: FewShotConfig) -> None:
        if cfg.report not in cfg.at:
            raise ValueError(f"report is {cfg.report}, which is not among the tested inner steps {list(cfg.at)}.")
        self.cfg = cfg
        self.rank, self.world = start_ranks()
        self.folder = Path(cfg.run)
        self.settings = settings_of(cfg, ELSEWHERE)
        checkpoint = self.folder / CHECKPOINT
        saved, meta = load_checkpoint(checkpoint) if cfg.resume and checkpoint.exists() else (None, {})
        if saved is not None:
            check_same(self.folder, meta.get("settings"), self.settings)
        self.domain = cfg.domain(likelihood=cfg.likelihood, network=cfg.network, seed=cfg.seed)
        extras = {argument: getattr(self.domain, attribute, None) for argument, attribute in cfg.needs.items()}
        missing = [k for k, v in extras.items() if v is None]
        if missing:
            raise InputError(f"{cfg.name} needs {missing}, which {cfg.domain_name} does not give: it does not fit this domain.")
        self.algorithm = cfg.algorithm(**extras)
        self.domain.device = self._device()
        state = {k: v.to(self.domain.device) for k, v in self.algorithm.init(self.domain.fresh).items()}
        learner: Algorithm | Compiled = self.algorithm
        if cfg.compile:
            if not isinstance(self.algorithm, Gradient):
                raise InputError(f"{cfg.name} cannot be compiled; leave compile out.")
            learner = Compiled(self.algorithm, self._say)
        self.trainer = MetaTrainer(
            learner, state, self.domain.draw, cfg.outer, cfg.tasks, cfg.tasks_per_chunk, cfg.meta_steps,
            self.rank, self.world, self.algorithm.bounds(state), cfg.seed,
        )
        self.seconds = 0.0
        if saved is not None:
            self.trainer.restore(saved)
            self.seconds = meta["seconds"]

    def _device(self) -> torch.device:
        """Where the tasks go. Raises InputError where this domain or machine has no such device."""
        device = torch.device(self.cfg.device)
        if device.type == "cuda" and not torch.cuda.is_available():
            raise InputError(f"device is {device}, and torch finds no GPU here; leave it out.")
        if device.type != "cpu" and not self.domain.devices:
            raise InputError(f"device is {device}; {self.cfg.domain_name} runs on the CPU only, leave it out.")
        return device

    def _say(self, message: str) -> None:
        if self.rank == 0:
            print(f"{self.cfg.domain_name} {self.cfg.name}: {message}", file=sys.stderr, flush=True)

    def save(self, seconds: float) -> None:
        meta = {
            "step": self.trainer.step_count, "seconds": seconds, "name": self.cfg.name, "domain": self.cfg.domain_name,
            "settings": self.settings,
        }
        save_checkpoint(self.folder / CHECKPOINT, self.trainer.tensors(), meta)

    def train(self) -> None:
        cfg, main = self.cfg, self.rank == 0
        if main and not cfg.resume:
            clear(self.folder, (CHECKPOINT, "results.json", LOG))
        every = max(1, cfg.meta_steps // 200)
        tested = learning_points(cfg.meta_steps, cfg.points)
        window: list[dict[str, float]] = []

        def report(step: int, log: dict[str, float]) -> dict[str, float] | None:
            """Means over the steps since the last line."""
            window.append(log)
            if step % every and step != cfg.meta_steps and step not in tested:
                return None
            mean = {k: sum(w[k] for w in window) / len(window) for k in window[0]}
            window.clear()
            if step in tested:
                tasks = min(cfg.point_tasks, cfg.test_tasks)
                found = evaluate(self.algorithm, self.trainer.state, self.domain, "val", tasks, [cfg.report], cfg.test_chunk)
                mean |= {f"val_{k}": v["mean"] for k, v in found[cfg.report].items()}
            return mean

        loop = Loop(self.folder, f"{cfg.domain_name} {cfg.name}", cfg.save_seconds, main, self.seconds)
        loop.run(self.trainer.step_count, cfg.meta_steps, self.trainer.step, report, self.save)
        self.seconds = loop.seconds

    def learning(self) -> list[dict[str, float]]:
        """Rows {tasks: seen so far, val_MEASURE: mean over validation tasks} of the learning curve."""
        log = self.folder / LOG
        rows: dict[int, dict[str, float]] = {}  # of a step that a kill undid the later line counts
        for line in map(json.loads, log.read_text().splitlines() if log.is_file() else ()):
            if found := {k: round(v, 5) for k, v in line.items() if k.startswith("val_")}:
                rows[line["step"]] = {"tasks": line["step"] * self.cfg.tasks, **found}
        return [rows[step] for step in sorted(rows)]

    def modules(self) -> list[dict[str, Any]]:
        """Rows {name, parameters, sigma, sigma_relative} of a learned sigma; none where it is fixed."""
        algorithm, state = self.algorithm, self.trainer.state
        if not isinstance(algorithm, Gradient) or not any(g[1] == ["log_sigma2"] for g in self.trainer.outer.groups):
            return []
        parts, phi = algorithm.names(state), pick(state, "phi")
        prior = Shrinkage(parts, state["log_sigma2"])
        relative = relative_sigma(prior, phi).tolist()
        rows = []
        for m, r, s in zip(parts.modules, relative, state["log_sigma2"].tolist(), strict=True):
            count = sum(phi[n].numel() for n in parts.members(m))
            rows.append({"name": m, "parameters": count, "sigma": 2.718281828459045 ** (s / 2), "sigma_relative": r})
        return rows

    def test(self, state: Tree | None = None) -> Curve:
        from tqdm import tqdm

        cfg = self.cfg
        self.domain.calibrate(self.adapt, cfg.report, cfg.seed)
        with tqdm(total=cfg.test_tasks, desc=f"test {cfg.domain_name} {cfg.name}", mininterval=1) as bar:
            return evaluate(
                self.algorithm, self.trainer.state if state is None else state, self.domain, cfg.split, cfg.test_tasks,
                list(cfg.at), cfg.test_chunk, bar.update,
            )

    def adapt(
        self, episodes: Episodes, rngs: Sequence[torch.Generator], at: Sequence[int]
    ) -> dict[int, Posterior]:
        """The posteriors of the trained state after the inner steps `at`."""
        return self.algorithm.adapt(self.trainer.state, episodes, rngs, at)

    def run(self) -> dict[str, Any] | None:
        results = self.folder / "results.json"
        if self.cfg.resume and results.exists():
            found = json.loads(results.read_text())
            check_same(self.folder, found.get("settings"), self.settings)
            return found
        self.train()
        if self.rank:
            return None
        cfg, domain = self.cfg, self.domain
        begin = time.monotonic()
        curve = self.test()
        found = {
            "algorithm": cfg.name, "domain": cfg.domain_name, "size": cfg.size, "measure": domain.measures[0],
            "better": domain.better, "report": cfg.report, "result": curve[cfg.report], "curve": curve,
            "modules": self.modules(), "meta_steps": cfg.meta_steps, "tasks": cfg.tasks,
            "test_tasks": cfg.test_tasks, "split": cfg.split,
            "learning": self.learning(), "seed": cfg.seed,
            "train_seconds": round(self.seconds, 1), "test_seconds": round(time.monotonic() - begin, 1),
            "ranks": self.world, "torch": torch.__version__, "settings": self.settings,
        }
        with open(self.folder / "curve.csv", "w", newline="") as f:
            writer = csv.writer(f)
            writer.writerow(["steps", *(f"{m}{x}" for m in domain.measures for x in ("", "_ci95"))])
            for k, row in curve.items():
                writer.writerow([k, *(f"{row[m][x]:.6g}" for m in domain.measures for x in ("mean", "ci95"))])
        plot_curve({cfg.name: curve}, domain.measures[0], self.folder / "curve.png")
        if found["modules"]:
            plot_modules(self.modules(), self.folder / "modules.png", f"{cfg.domain_name}: {cfg.name}")
        domain.draw_pictures(self.adapt, cfg.report, self.folder)
        replace_file(results, json.dumps(found, indent=1).encode())
        best = curve[cfg.report][domain.measures[0]]
        value = f"{best['mean']:.4g} ± {best['ci95']:.2g}"
        print(f"{cfg.domain_name} {cfg.name}: {domain.measures[0]} {value} at step {cfg.report}")
        return found

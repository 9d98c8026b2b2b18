"""A speech run's folder (aligner, phase1, phase2) as a trainer, and as a starter."""

from __future__ import annotations

import subprocess
from pathlib import Path

import torch

from tts_meta.errors import InputError
from tts_meta.meta.tree import Tree, pick
from tts_meta.nets.acoustic import AcousticConfig, AcousticModel
from tts_meta.starters.small_starter import Starter, load_starter, save_starter
from tts_meta.training.checkpoint import load_checkpoint
from tts_meta.training.modules import speech_partition
from tts_meta.training.sigma_reptile import SigmaReptileConfig, SigmaReptileTrainer

LAST = "last.safetensors"
CORPORA = {
    "arctic": "CMU ARCTIC (bdl, slt)", "kathleen": "kathleen (CC0)",
    "librispeech-train-clean-100": "LibriSpeech train-clean-100 (CC BY 4.0)",
}
FROZEN = ["encoder.*"]


def load_trainer(run: Path, data: str | None = None) -> SigmaReptileTrainer:
    """Phase 2's trainer, for its development speakers (`dev`, seen by neither phase) and their tasks; `data` says where the
    prepared corpus lies now. Raises InputError when there is no such speaker."""
    config = load_checkpoint(run / "phase2" / LAST)[1]["config"]
    trainer = SigmaReptileTrainer(SigmaReptileConfig(**{**config, **({"data": data} if data else {}), "resume": True}))
    if not trainer.dev:
        raise InputError(f"{run} has no development speaker, who was kept out of both phases; train with more speakers.")
    return trainer


def phase2_parts(run: Path) -> tuple[Tree, torch.Tensor, dict]:
    """phi, log sigma^2 and the starter's JSON of a phase 2."""
    tensors, meta = load_checkpoint(run / "phase2" / LAST)
    base, config = meta["base"], meta["config"]
    phi = pick(tensors, "phi")
    frozen, _ = load_checkpoint(config["start"])
    phi |= {k: v for k, v in pick(frozen, "ema").items() if k not in phi and k != "table"}
    info = common(base) | {
        "scales": {**base["scales"], "smooth": config.get("smooth", 0.0)},
        "modules": [{k: r[k] for k in ("name", "parameters", "sigma_relative")} for r in meta["modules"]],
        "adaptation": {"solver": config["solver"], "clips": config["clips"], "frozen": FROZEN},
    }
    keys = ("meta_steps", "outer", "hypergrad", "solver", "support", "query", "seed")
    info["training"]["phase2"] = {k: config[k] for k in keys} | {
        "hours": round(meta["seconds"] / 3600, 2), "dev_speakers": meta["dev"],
    }
    return phi, tensors["log_sigma2"], info


def phase1_parts(run: Path) -> tuple[Tree, torch.Tensor, dict]:
    """The same of phase 1 alone: phi is its moving average with the mean speaker, sigma says nothing (infinite)."""
    tensors, base = load_checkpoint(run / "phase1" / LAST)
    phi = pick(tensors, "ema")
    phi["speaker"] = phi.pop("table").mean(0)
    # In the order of the network, which is that of the modules.
    phi = {k: phi[k] for k, _ in AcousticModel(AcousticConfig(**base["net"])).named_parameters()}
    partition = speech_partition(phi)
    rows = [
        {"name": m, "parameters": sum(phi[n].numel() for n in partition.members(m)), "sigma_relative": float("inf")}
        for m in partition.modules
    ]
    info = common(base) | {"scales": base["scales"], "modules": rows, "adaptation": {"clips": 3, "frozen": []}}
    return phi, torch.full((len(rows),), float("inf")), info


def common(base: dict) -> dict:
    """What phase 1's checkpoint says of any starter made on it."""
    return {
        "net": base["net"], "symbols": base["symbols"], "normaliser": base["normaliser"],
        "espeak_voice": base.get("espeak_voice", "en-us"),
        "training": {
            "data": ", ".join(CORPORA.get(c, c) for c in base.get("corpora", sorted(base["config"]["corpus_weights"]))),
            "phase1": {k: base["config"][k] for k in ("steps", "batch", "lr", "fold", "corpus_weights", "seed")}
            | {"hours": round(base["seconds"] / 3600, 2)},
            "commit": subprocess.run(["git", "rev-parse", "HEAD"], capture_output=True, text=True).stdout.strip(),
        },
    }


def make_starter(parts: tuple[Tree, torch.Tensor, dict], folder: Path, **adaptation) -> Starter:
    """Write the starter of `parts` into `folder` and load it; `adaptation` adds to that key of its JSON."""
    phi, log_sigma2, info = parts
    info = {**info, "adaptation": {**info["adaptation"], **adaptation}}
    save_starter(folder, phi, log_sigma2, info)
    return load_starter(folder)

"""Open a finished validation run again."""

from __future__ import annotations

from pathlib import Path

from hydra.utils import instantiate
from omegaconf import OmegaConf

from tts_meta.errors import InputError
from tts_meta.training.fewshot.run import FewShotRun


def load_run(folder: str | Path) -> FewShotRun:
    """The run whose folder this is, with its trained state; InputError when it is not finished."""
    folder = Path(folder)
    missing = [f for f in ("results.json", "config.yaml", "last.safetensors") if not (folder / f).is_file()]
    if missing:
        raise InputError(f"{folder} is not a finished run ({', '.join(missing)} missing); run recipes/train.py first.")
    cfg = OmegaConf.load(folder / "config.yaml")
    cfg.fewshot.cfg.run, cfg.fewshot.cfg.resume = str(folder), True
    return instantiate(cfg.fewshot, _convert_="all")

"""Catch typing errors in a recipe's overrides before Hydra does, and name the nearest valid word."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from difflib import get_close_matches
from pathlib import Path

from hydra import compose, initialize_config_dir
from omegaconf import DictConfig, OmegaConf

CONFIGS = Path(__file__).resolve().parents[2] / "configs"


def _keys(cfg: DictConfig, prefix: str = "") -> Iterator[str]:
    for k in cfg:
        yield f"{prefix}{k}"
        value = cfg._get_node(k)
        if isinstance(value, DictConfig) and not OmegaConf.is_interpolation(cfg, k) and not OmegaConf.is_missing(cfg, k):
            yield from _keys(value, f"{prefix}{k}.")


def _wrong(given: str, options: list[str], what: str) -> None:
    near = get_close_matches(given, options, 1, 0.5)
    hint = f"did you mean {near[0]!r}?" if near else f"valid are {', '.join(sorted(options)[:30])}."
    print(f"{given!r} is no {what}; {hint}", file=sys.stderr)
    sys.exit(2)


def check_overrides(
    config: str, words: list[str], choices: dict[str, str] | None = None, folder: str = ""
) -> None:
    """Exit with one sentence when a word of the command line names no group option and no key of the composed config.

    `choices` {plain key: the part of the composed config whose keys are its values}; `folder` is the config's own under
    configs/.
    """
    configs = CONFIGS / folder
    pairs = [w.split("=", 1) for w in words if "=" in w and not w.startswith("-")]
    groups = {p.name: sorted(f.stem for f in p.glob("*.yaml")) for p in configs.iterdir() if p.is_dir()}
    chosen = []
    for key, value in pairs:
        if key in groups:
            if value not in groups[key]:
                _wrong(value, groups[key], key)
            chosen.append(f"{key}={value}")
    with initialize_config_dir(str(configs), version_base="1.3"):
        cfg = compose(config, chosen)
    known = list(_keys(cfg))
    for key, value in pairs:
        if (options := [*cfg.get((choices or {}).get(key, ""), {})]) and value not in options:
            _wrong(value, options, key)
        if key not in groups and key[0] not in "+~" and not key.startswith("hydra") and key not in known:
            _wrong(key, known, "key of the configuration")

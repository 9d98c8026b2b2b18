"""Every YAML composes, and its parts can be built."""

from __future__ import annotations

import pytest
from hydra import compose, initialize_config_dir
from hydra.utils import get_class
from omegaconf import OmegaConf

from tests.conftest import ROOT
from tts_meta.data.layouts import LAYOUTS

CONFIGS = ROOT / "configs"


@pytest.mark.parametrize("experiment", sorted(p.stem for p in (CONFIGS / "experiment").glob("*.yaml")))
def test_experiments(experiment):
    with initialize_config_dir(str(CONFIGS), version_base="1.3"):
        cfg = OmegaConf.to_container(compose("train", [f"experiment={experiment}"]), resolve=True)
    assert isinstance(cfg, dict) and cfg["stages"]
    for stage in cfg["stages"]:
        options = dict(cfg[stage]["cfg"])
        get_class(cfg[stage]["_target_"])
        get_class(options.pop("_target_"))(**options)  # a key no stage knows is an error


@pytest.mark.parametrize("corpus", sorted(p.stem for p in (CONFIGS / "corpus").glob("*.yaml")))
def test_corpora(corpus):
    with initialize_config_dir(str(CONFIGS), version_base="1.3"):
        cfg = compose("prepare", [f"corpus={corpus}", "corpus.root=/nowhere"])
    assert cfg.corpus.layout in LAYOUTS and cfg.corpus.folder.startswith("cache/")

"""Every YAML composes, and its parts can be built."""

from __future__ import annotations

from dataclasses import MISSING, fields
from inspect import signature

import pytest
from hydra import compose, initialize_config_dir
from hydra.utils import get_class
from omegaconf import OmegaConf

from tests.conftest import ROOT
from tts_meta.data.layouts import LAYOUTS
from tts_meta.nets.acoustic import AcousticConfig
from tts_meta.training.aligner import AlignerConfig
from tts_meta.training.fewshot.run import FewShotConfig
from tts_meta.training.multispeaker import MultispeakerConfig
from tts_meta.training.sigma_reptile import OuterConfig, SigmaReptileConfig

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


STAGES = {
    "aligner": AlignerConfig, "multispeaker": MultispeakerConfig, "sigma_reptile": SigmaReptileConfig, "fewshot": FewShotConfig,
}


@pytest.mark.parametrize("stage", STAGES)
def test_a_setting_has_one_source(stage):
    """configs/ gives every setting of a run; the code has no defaults of its own that could differ from them."""
    kinds = [STAGES[stage], *([OuterConfig] if stage == "sigma_reptile" else [])]
    for kind in kinds:
        given = {f.name for f in fields(kind) if f.default is not MISSING or f.default_factory is not MISSING}
        assert given <= {"resume"}, (kind, given)
    with initialize_config_dir(str(CONFIGS), version_base="1.3"):
        cfg = compose("train", [])[stage].cfg
    assert set(cfg) - {"_target_"} == {f.name for f in fields(STAGES[stage])}
    if stage == "sigma_reptile":
        assert set(cfg.outer) == {f.name for f in fields(OuterConfig)}


@pytest.mark.parametrize("domain", sorted(p.stem for p in (CONFIGS / "domain").glob("*.yaml")))
def test_a_number_of_a_domain_is_in_its_config_or_in_the_code(domain):
    """A default in the code beside the number in the config would be a second source, of which one is ignored."""
    with initialize_config_dir(str(CONFIGS), version_base="1.3"):
        given = set(compose("train", ["experiment=fewshot", f"domain={domain}"]).domain) - {"_target_", "_partial_"}
        # What the algorithm asks of a domain is nobody's default: "as the domain has it" is None.
        asked = {"train_shots", "inner_batch"}
        kind = get_class(compose("train", ["experiment=fewshot", f"domain={domain}"]).domain._target_)
    known = [p for c in kind.__mro__[:-1] if "__init__" in vars(c) for p in signature(c.__init__).parameters.values()]
    defaults = {p.name for p in known if p.default is not p.empty}
    assert given and not (given - asked) & defaults
    assert all(p.default is None for p in known if p.name in asked and p.default is not p.empty)


def test_the_network_of_the_config_is_the_networks_own():
    """The sizes are written in the config so that a command can change them; they are those of AcousticConfig."""
    with initialize_config_dir(str(CONFIGS), version_base="1.3"):
        net = OmegaConf.to_container(compose("train", []).multispeaker.cfg.net)
    own = {f.name: f.default for f in fields(AcousticConfig) if f.name in net}
    assert net == own and {f.name for f in fields(AcousticConfig)} - set(net) == {"symbols", "mels"}

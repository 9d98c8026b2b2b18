"""The starter: phi, sigma and everything a clone needs, as `NAME.safetensors` + `NAME.json` and nothing else.

The JSON names the network's sizes, symbols, normaliser, likelihood scales, modules with their sigma, the modules that a
clone moves, and how the starter was made. The digest of the safetensors file ties a voice to it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import lru_cache
from importlib.resources import files
from pathlib import Path

import torch
from safetensors.torch import load_file, save
from torch import Tensor

from tts_meta.audio.files import replace_file
from tts_meta.data.batch import Normaliser
from tts_meta.errors import InputError
from tts_meta.meta.partition import Partition
from tts_meta.meta.prior import Shrinkage
from tts_meta.meta.tree import Tree
from tts_meta.nets.acoustic import AcousticConfig, AcousticModel
from tts_meta.nets.likelihood import Scales
from tts_meta.text.phonemes import SymbolTable
from tts_meta.training.modules import speech_partition
from tts_meta.voices.adaptation import Adaptation

NEEDED = ("sha256", "net", "symbols", "normaliser", "scales", "modules", "adaptation")
"""Keys of the JSON."""


@dataclass
class Starter:
    """A loaded starter. `phi` holds every parameter; `prior` covers the free ones, with sigma as it was learned."""

    model: AcousticModel
    phi: Tree
    prior: Shrinkage
    partition: Partition
    sigma_relative: dict[str, float]
    norm: Normaliser
    table: SymbolTable
    scales: Scales
    digest: str
    info: dict
    adaptation: Adaptation

    @property
    def identity(self) -> str:
        """Changes with all that a clone depends on: the weights, and how they are adapted. What results are kept under."""
        return hashlib.sha256(json.dumps([self.digest, self.info["adaptation"]], sort_keys=True).encode()).hexdigest()

    @property
    def espeak_voice(self) -> str:
        """The language (espeak-ng's name of it) that the starter was trained in."""
        return self.info.get("espeak_voice", "en-us")

    def moved(self, threshold: float | None = None) -> list[str]:
        """Modules that a clone moves, in network order: the starter's list, or those whose relative sigma reaches
        `threshold`.

        The list (`adaptation.moved` of the JSON) was made by recipes/choose_modules.py from what each module's
        movement under its sigma was worth to development speakers. Without a list everything moves; the modules under
        `adaptation.frozen` are on no list and over no threshold.
        """
        adaptation = self.adaptation
        if threshold is None and adaptation.moved is not None:
            return [m for m in self.partition.modules if m in set(adaptation.moved)]
        limit = threshold or 0.0
        return [
            m for m in self.partition.modules
            if self.sigma_relative[m] >= limit and not any(fnmatchcase(m, p) for p in adaptation.frozen)
        ]

    @property
    def widths(self) -> Mapping[str, float]:
        """{module: factor of its sigma when a clone moves the starter's list} (recipes/widen_sigma.py); others have 1."""
        return self.adaptation.widths

    @property
    def clone_prior(self) -> Shrinkage:
        """The prior of a clone that moves the starter's list: sigma times the modules' widths."""
        factors = torch.tensor([self.widths.get(m, 1.0) for m in self.partition.modules])
        return Shrinkage(self.partition, self.prior.log_sigma2 + 2 * factors.log())

    def module_table(self, moved: list[str] | None = None) -> list[dict]:
        """Rows of {name, parameters, sigma_relative (as a clone uses it), moved}."""
        chosen = set(self.moved() if moved is None else moved)
        return [
            {
                "name": m, "parameters": sum(self.phi[n].numel() for n in self.partition.members(m)),
                "sigma_relative": self.sigma_relative[m] * self.widths.get(m, 1.0), "moved": m in chosen,
            }
            for m in self.partition.modules
        ]


def save_starter(folder: Path, phi: Tree, log_sigma2: Tensor, info: dict, name: str = "starter") -> None:
    """Write phi (half precision) and log sigma^2 with their JSON; `info` needs the keys `load_starter` reads."""
    tensors = {k: v.detach().to(torch.float16).contiguous() for k, v in phi.items()}
    tensors["log_sigma2"] = log_sigma2.detach().float().contiguous()
    blob = save(tensors)
    info = {**info, "format": 1, "sha256": hashlib.sha256(blob).hexdigest()}
    replace_file(folder / f"{name}.safetensors", blob)
    replace_file(folder / f"{name}.json", (json.dumps(info, indent=1) + "\n").encode())


def load_starter(folder: str | Path | None = None, name: str = "starter") -> Starter:
    """The starter in `folder` (default: the one in the package). Raises InputError when it is missing or damaged."""
    root = Path(str(files("tts_meta") / "assets")) if folder is None else Path(folder)
    weights, header = root / f"{name}.safetensors", root / f"{name}.json"
    if not weights.is_file() or not header.is_file():
        raise InputError(f"{root} holds no starter; {weights.name} and {header.name} are expected. Reinstall tts-meta.")
    try:
        info = json.loads(header.read_text(encoding="utf-8"))
        missing = sorted(set(NEEDED) - set(info))
    except (ValueError, TypeError) as e:
        raise InputError(f"{header} is damaged ({e}); reinstall tts-meta.") from e
    if missing:
        raise InputError(f"{header} has no {missing[0]}; {', '.join(NEEDED)} are expected, reinstall tts-meta.")
    adaptation = Adaptation.read(str(header), info["adaptation"])
    digest = hashlib.sha256(weights.read_bytes()).hexdigest()
    if digest != info["sha256"]:
        raise InputError(f"{weights} is damaged (its SHA-256 is not the one {header.name} names); reinstall tts-meta.")
    tensors = {k: v.float() for k, v in load_file(str(weights)).items()}
    log_sigma2 = tensors.pop("log_sigma2")
    try:
        return _assemble(header, info, adaptation, digest, tensors, log_sigma2)
    except (KeyError, TypeError, ValueError, RuntimeError, AttributeError) as e:
        if isinstance(e, InputError):
            raise
        reason = " ".join(str(e).split())[:200]
        raise InputError(f"{header} does not fit {weights.name} ({type(e).__name__}: {reason}); reinstall tts-meta.") from e


def _assemble(
    header: Path, info: dict, adaptation: Adaptation, digest: str, tensors: Tree, log_sigma2: Tensor
) -> Starter:
    """The starter that the JSON `info` describes."""
    model = AcousticModel(AcousticConfig(**info["net"]))
    model.load_state_dict(tensors)
    model.eval().requires_grad_(False)
    # The order of the network's parameters, not of the file: log_sigma2 is in the order of the modules.
    phi = {k: tensors[k] for k, _ in model.named_parameters()}
    partition = speech_partition(phi)
    if partition.modules != [m["name"] for m in info["modules"]]:
        raise InputError(f"{header} names other modules than this version has; reinstall tts-meta.")
    return Starter(
        model, phi, Shrinkage(partition, log_sigma2), partition,
        {m["name"]: m["sigma_relative"] for m in info["modules"]},
        Normaliser.from_dict(info["normaliser"]), SymbolTable(info["symbols"]), Scales(**info["scales"]), digest, info,
        adaptation,
    )


@lru_cache(maxsize=1)
def default_starter() -> Starter:
    """The package's starter, loaded once a process."""
    return load_starter()

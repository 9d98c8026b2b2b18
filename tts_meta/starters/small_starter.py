"""The starter: phi, sigma and everything a clone needs, as `NAME.safetensors` + `NAME.json` and nothing else.

The JSON names the network's sizes, symbols, normaliser, likelihood scales, modules with their sigma, the modules that a
clone moves, and how the starter was made. The digest of the safetensors file ties a voice to it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file, save
from torch import Tensor

from tts_meta.audio.files import replace_file
from tts_meta.data.batch import Item, Normaliser, collate
from tts_meta.errors import InputError, one_line
from tts_meta.meta.loss import ModuleLoss, TaskLoss
from tts_meta.meta.prior import Shrinkage
from tts_meta.meta.tree import Tree
from tts_meta.nets.acoustic import AcousticConfig, AcousticModel
from tts_meta.nets.likelihood import Scales, utterance_loss
from tts_meta.starters.clone_defaults import Adaptation
from tts_meta.starters.gains import Gains
from tts_meta.starters.interface import Controls, Network
from tts_meta.starters.small_mel import small_mel
from tts_meta.text.phonemes import SILENCE, Phone, SymbolTable
from tts_meta.training.modules import speech_partition

NEEDED = ("sha256", "net", "symbols", "normaliser", "scales", "modules", "adaptation")
"""Keys of the JSON."""


@dataclass
class Starter(Network):
    """The small network, loaded. `phi` holds every parameter; `prior` covers the free ones, with sigma as it was learned."""

    model: AcousticModel
    norm: Normaliser
    table: SymbolTable
    scales: Scales

    kind = "small"

    @property
    def checker(self) -> Starter:
        return self

    @property
    def inventory(self) -> frozenset[str]:
        return self.table.inventory

    def item(self, clip: Any) -> Item:
        return clip.item

    def item_tensors(self, item: Item) -> dict[str, np.ndarray]:
        found = {k: getattr(item, k) for k in ("mel", "contour", "f0", "energy", "energy_nats", "durations")}
        return found | {"phones": np.array(item.phones), "stress": np.array(item.stress)}

    def item_of(self, arrays: dict[str, np.ndarray]) -> Item:
        return Item(**{**arrays, "phones": arrays["phones"].tolist(), "stress": arrays["stress"].tolist()})  # type: ignore[arg-type]

    def task_loss(self, bf16: bool, modules: Sequence[str]) -> TaskLoss:
        return ModuleLoss(self.model, utterance_loss(self.scales), bf16)

    @torch.no_grad()
    def encoded(
        self, item: Item, modules: Sequence[str], params: Mapping[str, Tensor] | None = None, before: Tensor | None = None
    ) -> Tensor | None:
        """The text encoder's output `[H, P]` where no module of it moves, or has moved."""
        if params or before is not None or any(m.startswith("encoder") for m in modules):
            return before
        ids, stress = torch.tensor([item.phones]), torch.tensor([item.stress])
        return self.model.encode(ids, stress, torch.ones(1, len(item.phones)))[0]

    def collate(self, items: Sequence[Item], encoded: Sequence[Tensor | None]) -> dict[str, Tensor]:
        batch = collate(items, self.model.config.reduction)
        if encoded[0] is not None:
            h = torch.zeros(len(items), self.model.config.hidden, batch["phones"].shape[1])
            for row, (item, made) in enumerate(zip(items, encoded, strict=True)):
                assert made is not None
                h[row, :, : len(item.phones)] = made
            batch["h"] = h
        return batch

    def gains(self, deltas: Tree, items: Sequence[Item]) -> Gains:
        from tts_meta.starters.variance import measure_gains

        return measure_gains(self, deltas, items)

    def mel(
        self, params: Tree, phones: Sequence[Phone], emphasis: Sequence[float], controls: Controls, gains: Gains | None
    ) -> tuple[np.ndarray, np.ndarray]:
        ids: list[int] = []
        stress: list[int] = []
        weight: list[float] = []
        for phone, strong in zip([Phone(SILENCE), *phones, Phone(SILENCE)], [0.0, *emphasis, 0.0], strict=True):
            i, k = self.table.encode([phone])
            ids, stress, weight = ids + i, stress + k, weight + [strong] * len(i)
        return small_mel(self, params, (ids, stress, weight), controls, gains)


def save_starter(folder: Path, phi: Tree, log_sigma2: Tensor, info: dict, name: str = "starter") -> None:
    """Write phi (half precision) and log sigma^2 with their JSON; `info` needs the keys `load_starter` reads."""
    tensors = {k: v.detach().to(torch.float16).contiguous() for k, v in phi.items()}
    tensors["log_sigma2"] = log_sigma2.detach().float().contiguous()
    blob = save(tensors)
    info = {**info, "format": 1, "sha256": hashlib.sha256(blob).hexdigest()}
    replace_file(folder / f"{name}.safetensors", blob)
    replace_file(folder / f"{name}.json", (json.dumps(info, indent=1) + "\n").encode())


def packaged_symbols() -> SymbolTable:
    """Symbols of the starter in the package, read from its JSON alone."""
    return SymbolTable(json.loads((files("tts_meta") / "assets" / "starter.json").read_text(encoding="utf-8"))["symbols"])


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
        reason = one_line(e)
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
        phi, Shrinkage(partition, log_sigma2), partition, {m["name"]: m["sigma_relative"] for m in info["modules"]}, digest,
        info, adaptation, model, Normaliser.from_dict(info["normaliser"]), SymbolTable(info["symbols"]),
        Scales(**info["scales"]),
    )

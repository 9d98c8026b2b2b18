"""What voices ask of a network, whichever it is: clips into items, items into batches, a loss, and text into a mel.

The two networks are `tts_meta.starters.small_starter.Starter` (small, trained here from nothing, for any language and for tests)
and `tts_meta.starters.kokoro_starter.KokoroStarter` (Kokoro-82M). Adaptation, jobs, voice files and speaking know only this.
"""

from __future__ import annotations

import hashlib
import json
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor

from tts_meta.errors import InputError
from tts_meta.meta.loss import TaskLoss
from tts_meta.meta.partition import Partition
from tts_meta.meta.prior import Shrinkage
from tts_meta.meta.tree import Tree
from tts_meta.starters.clone_defaults import Adaptation
from tts_meta.starters.gains import Gains
from tts_meta.text.accents import ACCENTS, accent_of, check_accent
from tts_meta.text.phonemes import Phone


@dataclass(frozen=True)
class Controls:
    """How a sentence is said: speed (1 = as learned), pitch (semitones), energy (dB), and what an emphasised word gets:
    times its duration, semitones, dB."""

    speed: float = 1.0
    pitch: float = 0.0
    energy: float = 0.0
    emphasis: tuple[float, float, float] = (1.0, 0.0, 0.0)


@dataclass
class Network(ABC):
    """A network that can be adapted. `phi` holds every parameter that may move; `prior` has sigma as it was learned."""

    phi: Tree
    prior: Shrinkage
    partition: Partition
    sigma_relative: dict[str, float]
    digest: str
    info: dict
    adaptation: Adaptation

    kind = ""
    threads = False
    """Whether several threads may compute with it at once: not where the parameters are put into the module for that long, as
    torch's functional_call does."""

    # --- what a network does -------------------------------------------------------------------------------------------

    @property
    @abstractmethod
    def checker(self) -> Any:
        """The small starter, whose aligner checks clips and cuts long ones."""

    @property
    @abstractmethod
    def inventory(self) -> frozenset[str]:
        """The phones that `[[...]]` and a lexicon may hold, known without loading the checker."""

    @abstractmethod
    def item(self, clip: Any) -> Any:
        """A clip that the clip doctor found usable, aligned, as this network learns from it."""

    @abstractmethod
    def item_tensors(self, item: Any) -> dict[str, np.ndarray]:
        """An item as arrays, from which `item_of` makes it again."""

    @abstractmethod
    def item_of(self, arrays: dict[str, np.ndarray]) -> Any: ...

    @abstractmethod
    def task_loss(self, bf16: bool, modules: Sequence[str]) -> TaskLoss:
        """(params `{name: [1, ...]}`, batch `[1, ...]`) -> negative log-likelihood `[1]` (nats), of the terms that `modules`
        have a say in."""

    def fixed(self, moved: Sequence[str]) -> Tree:
        """What the loss has to be given beside the parameters in `moved`, `{name: [1, ...]}`."""
        return {}

    @abstractmethod
    def encoded(
        self, item: Any, modules: Sequence[str], params: Mapping[str, Tensor] | None = None, before: Any = None
    ) -> Any:
        """What of an item does not change while `modules` move, made once; None where everything may change. `params`
        `{name: [...]}` are parameters of other modules that are not phi's, `before` is what was made while those moved too."""

    def window(self, item: Any, encoded: Any, rng: torch.Generator) -> tuple[Any, Any]:
        """What of an item, and of what `encoded` made of it, enters a step; all of it unless a network says otherwise."""
        return item, encoded

    @abstractmethod
    def collate(self, items: Sequence[Any], encoded: Sequence[Any]) -> dict[str, Tensor]:
        """A batch `[B, ...]` of items and what `encoded` made of them."""

    @abstractmethod
    def gains(self, deltas: Tree, items: Sequence[Any]) -> Gains:
        """What a voice with `deltas` gets back of the variance of its clips."""

    @abstractmethod
    def mel(
        self, params: Tree, phones: Sequence[Phone], emphasis: Sequence[float], controls: Controls, gains: Gains | None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Log-mel `[L, 80]` (nats) and frames of each token of one sentence, whose phones have an emphasis of 0 or 1 each;
        `params` are the parameters that are not phi's."""

    def measured(self, items: Sequence[Any], encoded: Sequence[Any]) -> Tree:
        """Deltas `{name: [...]}` that no step moves: they are measured on a speaker's clips and what `encoded` made of them."""
        return {}

    @property
    def size(self) -> int:
        """Numbers of the whole network."""
        return sum(v.numel() for v in self.phi.values())

    # --- what they share -----------------------------------------------------------------------------------------------

    @property
    def identity(self) -> str:
        """Changes with all that a clone depends on: the weights, and how they are adapted. What results are kept under."""
        usual = {k: v for k, v in self.info["adaptation"].items() if k != "learned"}  # of a method that has to be asked for
        return hashlib.sha256(json.dumps([self.digest, usual], sort_keys=True).encode()).hexdigest()

    @property
    def espeak_voice(self) -> str:
        """The language (espeak-ng's name of it) that texts are read in: the starter's, or of the accent that was chosen."""
        return self.info.get("espeak_voice", "en-us")

    @property
    def accent(self) -> str:
        """The accent that texts are read in; empty for a language that has none of `tts_meta.text.accents`."""
        return accent_of(self.espeak_voice)

    @property
    def accents(self) -> tuple[str, ...]:
        """Those that it can read in, its own first."""
        return (self.accent,) if self.accent else ()

    def in_accent(self, name: str | None) -> Self:
        """The same network, which reads in another accent (itself where none is named).

        Raises InputError for one that it has not.
        """
        if not name or name == self.accent:
            return self
        if check_accent(name, auto=False) not in self.accents:
            raise InputError(
                f"The network {self.kind!r} has no {name.title()} phonemes; leave the accent out, or use the network kokoro "
                "(TTS_META_NETWORK=kokoro)."
            )
        return replace(self, info={**self.info, "espeak_voice": ACCENTS[name]})

    def moved(self, threshold: float | None = None) -> list[str]:
        """Modules that a clone moves, in network order: the starter's list, or those whose relative sigma reaches
        `threshold`.

        The list (`adaptation.moved` of the JSON) was made by recipes/starter/choose_modules.py from what each module's
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
        """{module: factor of its sigma when a clone moves the starter's list} (recipes/starter/widen_sigma.py); others have 1."""
        return self.adaptation.widths

    @property
    def clone_prior(self) -> Shrinkage:
        """The prior of a clone that moves the starter's list: sigma times the modules' widths."""
        return self._times(self.widths)

    @property
    def learned_prior(self) -> Shrinkage:
        """The prior of a clone by the method `learned`: every sigma as meta-training left it, no factor set by hand."""
        return self._times(self.adaptation.learned)

    def _times(self, factors: Mapping[str, float]) -> Shrinkage:
        each = torch.tensor([factors.get(m, 1.0) for m in self.partition.modules])
        return Shrinkage(self.partition, self.prior.log_sigma2 + 2 * each.log())

    def module_table(self, moved: list[str] | None = None, method: str = "sigma") -> list[dict]:
        """Rows of {name, parameters, sigma_relative (as a clone by `method` uses it), moved}."""
        chosen = set(self.moved() if moved is None else moved)
        factors = self.adaptation.learned if method == "learned" else self.widths
        return [
            {
                "name": m, "parameters": sum(self.phi[n].numel() for n in self.partition.members(m)),
                "sigma_relative": self.sigma_relative[m] * factors.get(m, 1.0), "moved": m in chosen,
            }
            for m in self.partition.modules
        ]

"""Every weight of the acoustic blocks and the head, meta-trained without a prior: what sigma's methods are compared with.

    python recipes/kokoro/meta_weights.py cache/kokoro --method reptile --out runs/kokoro/reptile
    python recipes/kokoro/meta_weights.py cache/kokoro --method fomaml --out runs/kokoro/fomaml

Reptile (Nichol et al. 2018) and FO-MAML (Finn et al. 2017; Meta-TTS, Huang et al. 2022, takes five inner steps), from the
package's starter, on the people that sigma was learned on (recipes/kokoro/sigma.py); the inner loop is Adam of every weight, as
recipes/kokoro/evidence.py fine-tunes them. Kept in --out every few meta-steps: `state.safetensors`, resumed from there,
`log.jsonl`, and `weights.safetensors` (half precision), which evidence.py begins its clones with.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save
from torch import Tensor, nn
from torch.func import functional_call

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "recipes" / "kokoro")]

from meta_loop import meta_train  # noqa: E402
from people import pool, sigma_people  # noqa: E402
from sigma import OnePerson  # noqa: E402

from tts_meta.audio.files import replace_file  # noqa: E402
from tts_meta.meta.algorithms.gradient import Gradient  # noqa: E402
from tts_meta.meta.hypergrad.base import Hypergradient  # noqa: E402
from tts_meta.meta.hypergrad.displacement import Displacement  # noqa: E402
from tts_meta.meta.hypergrad.unroll import FirstOrder  # noqa: E402
from tts_meta.meta.outer import Group  # noqa: E402
from tts_meta.meta.partition import Partition  # noqa: E402
from tts_meta.meta.solvers.adam import ProximalAdam  # noqa: E402
from tts_meta.meta.trainer import MetaTrainer  # noqa: E402
from tts_meta.meta.tree import Tree  # noqa: E402
from tts_meta.nets.kokoro.speaker_loss import TIMBRE  # noqa: E402
from tts_meta.processor import bf16_is_fast  # noqa: E402
from tts_meta.starters.kokoro_starter import KokoroStarter, load_kokoro  # noqa: E402

PARTS = ("head.", "blocks.")
RATE = 1e-4
"""Of the inner Adam: that of `finetune_all`, chosen on development people."""


@dataclass(frozen=True)
class Method:
    """`steps` of a task's inner loop, the outer step (SGD's rate is Reptile's epsilon), and `meta_steps` of one person each: half
    an hour on one core."""

    hypergrad: Hypergradient
    steps: int
    outer: partial[torch.optim.Optimizer]
    meta_steps: int


METHODS = {
    "reptile": Method(Displacement("none"), 20, partial(torch.optim.SGD, lr=0.25), 60),
    "fomaml": Method(FirstOrder(), 5, partial(torch.optim.Adam, lr=1e-5), 180),
}


class Spoken(nn.Module):
    """The loss `[1]` of one person's clips by the network's weights, with the starter's styles and no deltas but phi's."""

    def __init__(self, starter: KokoroStarter) -> None:
        super().__init__()
        self.network, self.voice = starter.net, starter.start({})
        self.loss = starter.task_loss(bf16_is_fast(), [TIMBRE])

    def forward(self, batch: dict[str, Tensor]) -> Tensor:
        return self.loss(self.voice, batch)


class WeightsLoss:
    """A TaskLoss of the network's own weights `{name: [1, ...]}`; the others stay as they are."""

    def __init__(self, starter: KokoroStarter) -> None:
        self.spoken = Spoken(starter)

    def __call__(self, weights: Tree, batch: dict[str, Tensor]) -> Tensor:
        return functional_call(self.spoken, {f"network.{k}": v[0] for k, v in weights.items()}, (batch,))


def main() -> None:
    p = argparse.ArgumentParser()
    p.add_argument("data", type=Path)
    p.add_argument("--method", choices=METHODS, required=True)
    p.add_argument("--out", type=Path, required=True)
    p.add_argument("--meta-steps", type=int, help="the method's own without it")
    p.add_argument("--support", type=int, default=10)
    p.add_argument("--query", type=int, default=4)
    p.add_argument("--minutes", type=float, default=1e9, help="stop after so many")
    p.add_argument("--seed", type=int, default=0)
    args = p.parse_args()
    torch.set_num_threads(1)
    starter, method = load_kokoro(), METHODS[args.method]
    meta_steps = args.meta_steps or method.meta_steps
    crowd = sigma_people(args.data, args.support, args.query)

    def draw(step: int, positions: Sequence[int]) -> OnePerson:
        rng = np.random.default_rng([args.seed, step, *positions])
        among = pool(crowd, rng)
        while True:
            try:
                person = among[rng.integers(len(among))]
                return OnePerson(starter, person, PARTS, args.support, args.query, rng).again(rng)
            except ValueError:  # too few recordings
                continue

    phi = {n: v.detach().clone() for n, v in starter.net.named_parameters() if n.startswith(PARTS)}
    algorithm = Gradient(
        WeightsLoss(starter), Partition.single, ProximalAdam(RATE, whiten=False), method.hypergrad, method.steps)
    groups = {"phi": Group("phi/*", method.outer, decay="linear")}
    state = algorithm.init(lambda _: phi)
    trainer = MetaTrainer(algorithm, state, draw, groups, 1, 1, meta_steps, seed=args.seed)

    def keep(row: dict) -> None:
        replace_file(args.out / "weights.safetensors", save({k: v.half().contiguous() for k, v in trainer.phi.items()}))

    settings = {"method": args.method, "meta_steps": meta_steps}
    meta_train(trainer, args.out, settings, meta_steps, args.minutes, 20, dict, keep)


if __name__ == "__main__":
    main()

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
import json
import sys
import time
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

from people import people, pool  # noqa: E402
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
from tts_meta.training.checkpoint import load_checkpoint, save_checkpoint  # noqa: E402

PARTS = ("head.", "blocks.")
RATE = 1e-4
"""Of the inner Adam: that of `finetune_all`, chosen on development people."""


@dataclass(frozen=True)
class Method:
    """`steps` of a task's inner loop, and the outer step: SGD's rate is Reptile's epsilon."""

    hypergrad: Hypergradient
    steps: int
    outer: partial[torch.optim.Optimizer]


METHODS = {
    "reptile": Method(Displacement("none"), 20, partial(torch.optim.SGD, lr=0.25)),
    "fomaml": Method(FirstOrder(), 5, partial(torch.optim.Adam, lr=1e-5)),
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
    p.add_argument("--meta-steps", type=int, default=60, help="of one person each")
    p.add_argument("--support", type=int, default=10)
    p.add_argument("--query", type=int, default=4)
    p.add_argument("--minutes", type=float, default=1e9, help="stop after so many")
    p.add_argument("--seed", type=int, default=0)
    args = p.parse_args()
    torch.set_num_threads(1)
    args.settled = False
    starter, method = load_kokoro(), METHODS[args.method]
    crowd = [q for q in people(args.data, ("sigma",)) if len(q.pieces) >= args.support + args.query + 4]

    def draw(step: int, positions: Sequence[int]) -> OnePerson:
        rng = np.random.default_rng([args.seed, step, *positions])
        among = pool(crowd, rng)
        while True:
            try:
                return OnePerson(starter, among[rng.integers(len(among))], PARTS, args, rng).again(rng)
            except ValueError:  # too few recordings
                continue

    phi = {n: v.detach().clone() for n, v in starter.net.named_parameters() if n.startswith(PARTS)}
    algorithm = Gradient(
        WeightsLoss(starter), Partition.single, ProximalAdam(RATE, whiten=False), method.hypergrad, method.steps)
    groups = {"phi": Group("phi/*", method.outer, decay="linear")}
    state = algorithm.init(lambda _: phi)
    trainer = MetaTrainer(algorithm, state, draw, groups, 1, 1, args.meta_steps, seed=args.seed)
    kept = args.out / "state.safetensors"
    if kept.exists():
        tensors, meta = load_checkpoint(kept)
        if meta != {"method": args.method, "meta_steps": args.meta_steps}:
            raise SystemExit(f"{kept} is of {meta['meta_steps']} meta-steps of {meta['method']}; give another --out.")
        trainer.restore(tensors)
    args.out.mkdir(parents=True, exist_ok=True)
    started = time.time()
    while trainer.step_count < args.meta_steps and time.time() - started < 60 * args.minutes:
        log = {k: round(v, 2) for k, v in trainer.step().items()}
        with open(args.out / "log.jsonl", "a") as f:
            f.write(json.dumps({"step": trainer.step_count, "seconds": round(time.time() - started), **log}) + "\n")
        if trainer.step_count % 20 == 0 or trainer.step_count == args.meta_steps:
            save_checkpoint(kept, trainer.tensors(), {"method": args.method, "meta_steps": args.meta_steps})
            replace_file(args.out / "weights.safetensors", save({k: v.half().contiguous() for k, v in trainer.phi.items()}))


if __name__ == "__main__":
    main()

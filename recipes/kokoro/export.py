"""What differs from Kokoro, in the three files of a starter.

    python recipes/kokoro/export.py RUN/people ALIGNER.safetensors --out STARTER

RUN/people are campaign.py's `people_head.safetensors` and `people_rest.safetensors`. Changes of matrices are kept in 8 bits
with a scale a row. Every kind of module has one sigma here; `recipes/kokoro/rewrite.py --sigma` puts learned ones in.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import load_file
from torch import Tensor

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "recipes" / "kokoro")]

from rewrite import load, of_kind  # noqa: E402

from tts_meta.audio.mel import mel_bands  # noqa: E402
from tts_meta.kokoro.register import REGISTER, SIZE  # noqa: E402
from tts_meta.kokoro.weights import base_weights  # noqa: E402
from tts_meta.meta.partition import Partition  # noqa: E402
from tts_meta.nets.eight_bits import SCALE, pack  # noqa: E402
from tts_meta.nets.kokoro.likelihood import KokoroScales  # noqa: E402
from tts_meta.nets.kokoro.network import Kokoro, KokoroConfig  # noqa: E402
from tts_meta.nets.kokoro.speaker_loss import MANNER, TIMBRE, speaker_parameters  # noqa: E402
from tts_meta.starters.kokoro_files import write_files  # noqa: E402
from tts_meta.starters.kokoro_starter import NAME  # noqa: E402


def main() -> None:
    p = argparse.ArgumentParser()
    p.add_argument("run", help="path of the phase-1 files without _head.safetensors")
    p.add_argument("aligner", nargs="?", help="not needed with --keep")
    p.add_argument("--keep", help="folder of the starter the run began from: what the run did not move is its, phi and sigma too")
    p.add_argument("--steps", type=int, default=120)
    p.add_argument("--clips", type=int, default=2)
    p.add_argument("--rate", type=float, default=0.1)
    p.add_argument("--decay", type=float, default=0.02)
    p.add_argument("--wider", type=float, default=1.0, help="factor of the sigmas of a kind")
    p.add_argument("--out", default=str(ROOT / "tts_meta" / "assets"))
    p.add_argument("--training", default="{}", help="JSON: how it was made")
    args = p.parse_args()
    if not (args.aligner or args.keep):
        p.error("name the aligner's file, or a starter to --keep")
    base = base_weights()
    config = KokoroConfig()
    tensors: dict[str, Tensor] = {}
    styles: dict[str, Tensor] = {}
    for part in ("head", "rest"):
        for key, value in load_file(f"{args.run}_{part}.safetensors").items():
            value = value.float()
            if key.startswith("styles."):
                styles[key.split(".")[1]] = value
            elif key.endswith((".update.left", ".update.right")):
                layer, _, side = key.rpartition(".update.")
                tensors |= pack(f"{side}/{layer}.conv.weight", value)
            elif key in base:
                tensors |= pack(f"diff/{key}", value - base[key])
            else:
                tensors |= pack(f"net/{key}", value)
    with safe_open(f"{args.run}_rest.safetensors", "pt") as f:
        speakers = json.loads(f.metadata()["speakers"])
    if args.keep:
        kept, info = load(Path(args.keep))
        for key in [k for k in tensors if k.startswith(("net/", "diff/")) and not k.endswith(SCALE)]:
            kept.pop(key + SCALE, None)
        tensors = kept | tensors | {f"phi/{k}": v.mean(0).to(torch.float16) for k, v in styles.items()}
        info["training"] |= json.loads(args.training)
        print("bytes:", write_files(Path(args.out), NAME, tensors, info))
        return
    with torch.device("meta"):
        net = Kokoro(config, torch.zeros(*mel_bands().shape))
    phi = speaker_parameters(net, styles[TIMBRE].mean(0), styles[MANNER].mean(0))
    phi = {k: v if v.device.type != "meta" else torch.zeros(v.shape) for k, v in phi.items()}
    phi[REGISTER] = torch.zeros(SIZE)
    partition = Partition({n: [n] for n in phi}, phi)
    kind = {m: of_kind(m) for m in partition.modules}
    log_sigma2 = 2 * torch.tensor([kind[m] * args.wider for m in partition.modules]).log()
    tensors |= {f"phi/{k}": v.to(torch.float16) for k, v in phi.items() if k != REGISTER}
    tensors["log_sigma2"] = log_sigma2
    tensors |= {f"aligner/{k}": v.float() for k, v in load_file(args.aligner).items()}
    spread = {TIMBRE: float(styles[TIMBRE].std(0).mean()), MANNER: float(styles[MANNER].std(0).mean())}
    sigma = (0.5 * log_sigma2).exp().tolist()
    rows = zip(partition.modules, sigma, strict=True)
    info = {
        "format": 1, "network": "kokoro", "net": config.to_dict(),
        "espeak_voice": "en-us",
        "scales": KokoroScales().to_dict(),
        "modules": [{"name": m, "sigma_relative": s / spread.get(m, kind[m])} for m, s in rows],
        "adaptation": {
            "solver": {"rate": args.rate, "decay": args.decay}, "clips": args.clips, "steps": args.steps,
            "frozen": [REGISTER, MANNER, "prosody.*"],
            "moved": [m for m in partition.modules if m == TIMBRE or m.startswith(("blocks.", "head."))],
            "embedding": [TIMBRE, MANNER], "embedding_rate": 0.005, "all_rate": 0.001,
        },
        "training": {**json.loads(args.training), "people": len(speakers)},
    }
    print("bytes:", write_files(Path(args.out), NAME, tensors, info))


if __name__ == "__main__":
    main()

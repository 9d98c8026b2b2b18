"""Pack what the comparison needs of phase 1 (its moving average, half precision) into a file small enough to keep.

    python recipes/starter/export_phase1.py runs/starter/phase1/last.safetensors recipes/baselines/phase1.safetensors

Put back as `runs/starter/phase1/last.safetensors` it is a phase 1 to adapt from and to meta-train from, not to go on with.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from tts_meta.training.checkpoint import load_checkpoint, save_checkpoint


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("out", type=Path)
    args = parser.parse_args()
    tensors, meta = load_checkpoint(args.checkpoint)
    args.out.parent.mkdir(parents=True, exist_ok=True)
    save_checkpoint(args.out, {k: v.half() for k, v in tensors.items() if k.startswith("ema/")}, meta)
    print(f"{args.out}: {args.out.stat().st_size / 1e6:.1f} MB, step {meta['step']}")


if __name__ == "__main__":
    main()

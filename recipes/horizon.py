"""Held-out loss against inner steps for each method on real held-out speakers. Resumable cell by cell.

    python recipes/horizon.py ../shared/data/speech/heldout --speakers p225 p226 --steps 1000

The first 10 clips are the support set; the loss (nats per frame) is that of up to 10 of the other clips, which no method
sees. Rates and modules are the starter's, chosen on development speakers.
"""

from __future__ import annotations

import argparse
import json
from collections import defaultdict
from pathlib import Path

import numpy as np
import torch

from tts_meta.audio.files import replace_file
from tts_meta.errors import InputError
from tts_meta.evaluation.protocol import HeldOutSpeaker, heldout_speakers
from tts_meta.voices.adapt import AdaptationRun
from tts_meta.voices.clips import load_clips
from tts_meta.voices.clone import METHODS
from tts_meta.voices.methods import choose_method
from tts_meta.voices.starter import Starter, load_starter

CHUNK = 10


def one_cell(starter: Starter, speaker: HeldOutSpeaker, method: str, steps: int) -> dict:
    """The curve {step: nats per frame} of one speaker and method, with what moved and the seconds it took."""
    inside, _ = load_clips(speaker.support, speaker.texts, starter)
    outside, _ = load_clips(speaker.reference[:10], speaker.texts, starter)
    run = AdaptationRun(
        starter, choose_method(starter, method), [c.item for c in inside], [c.item for c in outside], steps, CHUNK,
        clips=starter.info["adaptation"]["clips"],
    )
    curve = {p.step: p.heldout_loss for p in run}
    return {"curve": curve, "parameters": sum(v.numel() for v in run.phi.values()), "seconds": run.seconds}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("root", type=Path)
    parser.add_argument("--out", type=Path, default=Path("out/horizon"))
    parser.add_argument("--speakers", nargs="*")
    parser.add_argument("--methods", nargs="*", default=list(METHODS))
    parser.add_argument("--steps", type=int, default=1000)
    args = parser.parse_args()
    torch.set_num_threads(1)
    starter = load_starter()
    shown = [s for s in (0, 10, 30, 100, 300, 1000, 3000) if s <= args.steps]
    lines = [f"| speaker | method | parameters | {' | '.join(map(str, shown))} | best (step) | last | s a step |"]
    lines.append("|---" * (len(shown) + 6) + "|")
    for speaker in heldout_speakers(args.root, args.speakers):
        name = speaker.name
        for method in args.methods:
            done = args.out / starter.identity[:8] / f"{name}.{method}.{args.steps}.json"
            if not done.exists():
                try:
                    cell = one_cell(starter, speaker, method, args.steps)
                except InputError as e:
                    print(f"{name}: {e}")
                    break
                replace_file(done, json.dumps(cell).encode())
                print(f"{name} {method} done", flush=True)
            cell = json.loads(done.read_text())
            curve = {int(k): v for k, v in cell["curve"].items()}
            best = min(curve, key=curve.__getitem__)
            values = " | ".join(f"{curve[s]:.2f}" for s in shown)
            lines.append(
                f"| {name} | {method} | {cell['parameters']:,} | {values} | {curve[best]:.2f} ({best}) | "
                f"{curve[max(curve)]:.2f} | {cell['seconds'] / args.steps:.2f} |"
            )
    print("\n".join(lines))
    found: dict[str, list[float]] = defaultdict(list)
    for path in sorted((args.out / starter.identity[:8]).glob(f"*.{args.steps}.json")):
        curve = json.loads(path.read_text())["curve"]
        found[path.name.split(".")[-3]].append(curve[str(args.steps)])
    for method, values in found.items():
        print(f"{method}: mean loss at {args.steps} steps {np.mean(values):.2f} over {len(values)} speakers")


if __name__ == "__main__":
    main()

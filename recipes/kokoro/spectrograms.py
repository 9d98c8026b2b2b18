"""Spectrograms of a clone beside the recordings of the same sentences.

    python recipes/kokoro/spectrograms.py VOICE REFERENCE --out docs/kokoro_spectrograms.png
"""

from __future__ import annotations

import argparse
import csv
import sys
from pathlib import Path

import matplotlib
import soundfile
import torch

matplotlib.use("Agg")
from matplotlib import pyplot as plt  # noqa: E402

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from tts_meta.audio.features import clip_features  # noqa: E402
from tts_meta.audio.mel import HOP, SAMPLE_RATE, log_mel  # noqa: E402
from tts_meta.door import load  # noqa: E402


def main() -> None:
    p = argparse.ArgumentParser()
    p.add_argument("voice")
    p.add_argument("reference", type=Path, help="a folder with transcripts.csv")
    p.add_argument("--count", type=int, default=2)
    p.add_argument("--out", type=Path, required=True)
    args = p.parse_args()
    torch.set_num_threads(1)
    voice = load(args.voice)
    with open(args.reference / "transcripts.csv") as f:
        rows = sorted(csv.DictReader(f), key=lambda r: len(r["text"]))[: args.count]
    figure, axes = plt.subplots(2 * len(rows), 1, figsize=(11, 3.6 * len(rows)))
    for k, row in enumerate(rows):
        found = clip_features(*soundfile.read(args.reference / row["file"], dtype="float32"))
        assert found is not None
        pair = ((found.mel, "recording"), (log_mel(voice.say(row["text"]).samples), "clone"))
        for axis, (mel, name) in zip(axes[2 * k : 2 * k + 2], pair, strict=True):
            axis.imshow(mel.T, origin="lower", aspect="auto", cmap="magma", vmin=-11, vmax=1,
                        extent=(0, len(mel) * HOP / SAMPLE_RATE, 0, 80))
            axis.set_title(f"{name}: {row['text']}", fontsize=9, loc="left")
            axis.set_ylabel("mel band")
    axes[-1].set_xlabel("s")
    figure.tight_layout()
    figure.savefig(args.out, dpi=65)


if __name__ == "__main__":
    main()

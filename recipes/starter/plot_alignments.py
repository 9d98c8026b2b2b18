"""Draw mels with the phones the aligner found in them, to look at: docs/alignments.png.

    python recipes/starter/plot_alignments.py app/examples/p225/clips --count 3 --out docs/alignments.png
"""

from __future__ import annotations

import argparse
from pathlib import Path

import matplotlib
import numpy as np

matplotlib.use("Agg")

import matplotlib.pyplot as plt  # noqa: E402

from tts_meta.clips.transcripts import complete_transcripts, find_clips  # noqa: E402
from tts_meta.clips.whole_clips import whole_clips  # noqa: E402
from tts_meta.starters.small_starter import load_starter  # noqa: E402
from tts_meta.text.phonemes import phonemize  # noqa: E402


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("clips", type=Path)
    parser.add_argument("--transcripts", type=Path)
    parser.add_argument("--count", type=int, default=3)
    parser.add_argument("--frames", type=int, default=260, help="frames shown of each clip")
    parser.add_argument("--out", type=Path, default=Path("out/alignments.png"))
    args = parser.parse_args()
    starter = load_starter()
    paths = find_clips([args.clips])
    used = list(whole_clips(paths, complete_transcripts(paths, args.transcripts), starter).values())
    figure, axes = plt.subplots(args.count, 1, figsize=(15, 3.2 * args.count), squeeze=False)
    for axis, clip in zip(axes[:, 0], used, strict=False):
        assert clip.item.durations is not None
        axis.imshow(clip.features.mel.T, origin="lower", aspect="auto", cmap="magma")
        axis.set_title(f"{clip.path.name}: {clip.text[:90]}", fontsize=10)
        axis.set_xlim(0, min(args.frames, len(clip.features.mel)))
        ends = np.cumsum(clip.item.durations)
        phones = phonemize(clip.text, starter.espeak_voice, inventory=starter.table.inventory)
        for end, frames, phone in zip(ends, clip.item.durations, phones, strict=False):
            axis.axvline(end - 0.5, color="w", lw=0.6)
            axis.text(end - frames / 2 - 0.5, 73, phone.symbol, color="w", fontsize=11, ha="center", clip_on=True)
    figure.tight_layout()
    args.out.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(args.out, dpi=50)
    print(args.out)


if __name__ == "__main__":
    main()

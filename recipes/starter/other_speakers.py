"""Embeddings of one clip of each of 80 training speakers, by both speaker encoders: other people's voices, the floor of
every similarity.

    pip install -e '.[judges]'
    python recipes/starter/other_speakers.py ../shared/data/speech/train --out tts_meta/assets
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np
import torch
from safetensors.numpy import save

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from tts_meta.audio.files import read_audio, replace_file  # noqa: E402
from tts_meta.data.layouts import read_manifest  # noqa: E402
from tts_meta.measures.second_encoder import embed_second  # noqa: E402
from tts_meta.measures.similarity import embed  # noqa: E402

COUNT = 80


def clips(root: Path, count: int) -> list[Path]:
    """One of each of `count` speakers of the packs, LibriSpeech first three quarters, speechocean762 the rest."""
    rows = read_manifest(root / "manifest.tsv")
    found = []
    for corpus, share in (("librispeech-train-clean-100", 0.75), ("speechocean762", 0.25)):
        first: dict[str, str] = {}
        for r in rows:
            if r["corpus"] == corpus:
                first.setdefault(r["speaker"], r["path"])
        names = sorted(first)
        step = len(names) / (share * count)
        found += [first[names[int(i * step)]] for i in range(int(share * count))]
    return [root / p for p in found]


def main() -> None:
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("corpus", type=Path)
    p.add_argument("--out", type=Path, default=Path("tts_meta/assets"))
    args = p.parse_args()
    torch.set_num_threads(1)
    sounds = [read_audio(c) for c in clips(args.corpus, COUNT)]
    first, second = [embed(*s) for s in sounds], [e for s in sounds if (e := embed_second(*s)) is not None]
    replace_file(args.out / "other_speakers.safetensors", save({"embeddings": np.stack(first).astype(np.float32)}))
    assert second, "the extra 'judges' is needed"
    replace_file(args.out / "other_speakers_second.safetensors", save({"embeddings": np.stack(second).astype(np.float16)}))


if __name__ == "__main__":
    main()

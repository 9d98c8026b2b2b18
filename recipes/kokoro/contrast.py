"""What a little contrast does to the judges: clones of development people, and their own recordings, with more of it.

    pip install -e '.[judges]'       # distillmos, a second judge of naturalness
    python recipes/kokoro/contrast.py ../shared/data/speech/train --speakers 2961,7127,slt,8230 --out docs/kokoro_contrast.json

A sentence's frames are moved away from its mean spectrum by a factor (the idea of Toda & Tokuda 2007, global variance); levels
and the mean stay. Ten clips, 120 steps, eight new sentences, as recipes/kokoro/arms.py. The person's other recordings go through
the vocoder with the same factors: what a judge likes in them, too, is no merit of a clone. A speaker that is in the file is
not made again. Three minutes a speaker on one core.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "recipes"), str(ROOT / "recipes" / "kokoro")]

from arms import Judges, clone, plain_kokoro, reference  # noqa: E402
from heldout import LONGEST, SENTENCES, share, spoken  # noqa: E402
from over_people import over_people  # noqa: E402
from tables import kokoro_contrast  # noqa: E402

FACTORS = (1.0, 1.05, 1.1)


def contrasted(mel: np.ndarray, factor: float) -> np.ndarray:
    """A log-mel `[L, 80]` whose spectra, each less its mean over the bands, stand `factor` times as far from their mean over the
    frames."""
    shape = mel - mel.mean(1, keepdims=True)
    return (mel + (factor - 1) * (shape - shape.mean(0))).astype(np.float32)


def scores(
    judges: Judges, mels: Sequence[np.ndarray], factor: float, middle: np.ndarray, own: dict[str, float]
) -> dict[str, float]:
    """Of log-mels `[L, 80]` with a contrast, less what the recordings have without one."""
    sounds = [spoken(contrasted(m, factor)) for m in mels]
    found = judges.sounds(sounds, middle)
    return {
        "position": share(found["like"], own["floor"], own["like"]),
        "p808": round(found["p808"] - own["p808"], 3), "distillmos": round(found["distillmos"] - own["distillmos"], 3),
    }


def main() -> None:
    starter, judges = plain_kokoro(), Judges()

    def measure(_: str, support: list, others: list) -> dict:
        middle, own = reference(judges, support, others)
        voice = clone(starter, support)
        said, read = [voice.sentence_mel(t)[0] for t in SENTENCES], [i.mel[:LONGEST] for i in others]
        return {
            what: {str(f): scores(judges, mels, f, middle, own) for f in FACTORS}
            for what, mels in (("clone", said), ("recordings", read))
        }

    print(kokoro_contrast(over_people(__doc__, starter, measure)[0]))


if __name__ == "__main__":
    main()

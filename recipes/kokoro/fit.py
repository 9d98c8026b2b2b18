"""How well the starter, and clones made on it, match recordings that they have not learned from: error, spread, F0, voicing.

    pip install -e '.[judges]'       # distillmos, a second judge of naturalness
    python recipes/kokoro/fit.py ../shared/data/speech/train --speakers 2961,7127,slt,8230 --out docs/kokoro_fit.json

Ten clips to learn from, eight others to be matched, as recipes/kokoro/arms.py. Of the others' mels, with the recordings' own
durations, F0 and energy: mean absolute error (nats), and the spread ratio: standard deviation over the frames of cepstra 1-8,
9-20 and 21-40, made over recorded. Of the prosody that the network draws for their texts, with the recordings' durations: the
standard deviation of log F0 over the recordings', and the share of frames that are voiced in one and not in the other, as a
voice speaks and with a pitch wherever the network draws one. The
starter itself, an average voice, also says the eight sentences of recipes/kokoro/heldout.py to the judges. A speaker that is in
the file is not made again. Two minutes a speaker on one core.
"""

from __future__ import annotations

import copy
import math
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "recipes"), str(ROOT / "recipes" / "kokoro")]

from arms import Judges, clone  # noqa: E402
from heldout import SENTENCES, spoken  # noqa: E402
from over_people import keep, over_people  # noqa: E402
from swap import made  # noqa: E402
from tables import AVERAGE, kokoro_fit  # noqa: E402

from tts_meta.kokoro.clips import KokoroItem  # noqa: E402
from tts_meta.nets.cepstra import cepstral_basis  # noqa: E402
from tts_meta.speaking.synthesize import Synthesizer  # noqa: E402
from tts_meta.starters.kokoro_starter import load_kokoro  # noqa: E402

CLONES = {"sigma": "settled", "learned": "imaml 200"}
"""Arms of recipes/kokoro/arms.py, by the method of `tts-meta clone` that they are."""
BANDS = {"1-8": slice(1, 9), "9-20": slice(9, 21), "21-40": slice(21, 41)}
STARTER = "the starter"


def spreads(mel: np.ndarray) -> dict[str, float]:
    """Mean standard deviation over the frames of the cepstra of each of BANDS, of a log-mel `[L, 80]`."""
    deviation = (mel @ cepstral_basis(80, 80).numpy().T).std(0)
    return {k: float(deviation[band].mean()) for k, band in BANDS.items()}


def match(voice: Synthesizer, items: list[KokoroItem]) -> dict[str, float]:
    """Of a voice beside recordings."""
    mels = [made(voice, i, "dfe")[0] for i in items]
    curves = [made(voice, i, "d")[1] for i in items]
    everywhere = copy.copy(voice)
    everywhere.starter = replace(voice.starter, quiet=math.inf)  # type: ignore[type-var]
    first = np.concatenate([made(everywhere, i, "d")[1] for i in items])
    pairs = [(m[: len(i.mel)], i.mel[: len(m)]) for m, i in zip(mels, items, strict=True)]
    ours, theirs = ([spreads(p[k]) for p in pairs] for k in (0, 1))
    drawn, heard = np.concatenate(curves), np.concatenate([i.f0[: len(c)] for i, c in zip(items, curves, strict=True)])
    return {
        "l1": round(float(np.mean([np.abs(a - b).mean() for a, b in pairs])), 3),
        **{k: round(sum(o[k] for o in ours) / sum(t[k] for t in theirs), 3) for k in BANDS},
        "f0_spread": round(float(np.log(drawn[drawn > 0]).std() / np.log(heard[heard > 0]).std()), 3),
        "voicing": round(float(((drawn > 0) != (heard > 0)).mean()), 3),
        "voicing_drawn": round(float(((first > 0) != (heard > 0)).mean()), 3),
    }


def average(judges: Judges, voice: Synthesizer) -> dict[str, float]:
    """What the judges say of the starter's own voice."""
    sounds = [spoken(voice.sentence_mel(t)[0]) for t in SENTENCES]
    found = judges.sounds(sounds, np.zeros(256, dtype=np.float32))
    return {k: round(found[k], 2) for k in ("p808", "distillmos")} | {"wer": round(judges.words(sounds), 4)}


def main() -> None:
    starter = load_kokoro()

    def measure(_: str, support: list[KokoroItem], others: list[KokoroItem]) -> dict:
        return {STARTER: match(Synthesizer(starter), others)} | {
            method: match(clone(starter, support, arm), others) for method, arm in CLONES.items()
        }

    found, path = over_people(__doc__, starter, measure)
    if AVERAGE not in found:
        found[AVERAGE] = average(Judges(), Synthesizer(starter))
        keep(found, path)
    print(kokoro_fit(found), found[AVERAGE], sep="\n")


if __name__ == "__main__":
    main()

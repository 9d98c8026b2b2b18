"""What noise in the clips does to a clone, and what lowering it brings: pink noise laid under the clips of development people.

    pip install -e '.[judges]'       # distillmos, CAM++
    python recipes/kokoro/noisy_clips.py ../shared/data/speech/train --speakers 2961,8230 --out docs/noisy_clips.json

Ten clips, cloned by the default settings: as they were recorded, under noise, and under noise that the clip doctor lowers. All
are judged on eight new sentences beside the clean recordings: position by Resemblyzer and by CAM++, P.808 and distillmos less
those of other clean recordings through the vocoder, wrong words by Whisper tiny.en. A speaker that is in the file is not made
again. Five minutes a speaker on one core.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path

import numpy as np
import soundfile
import torch

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "recipes"), str(ROOT / "recipes" / "kokoro")]

from arms import Judges, plain_kokoro  # noqa: E402
from evidence import own_scores, scores  # noqa: E402
from heldout import by_second, clone, speakers_of, split  # noqa: E402
from tables import noisy_clips  # noqa: E402

from tts_meta.audio.features import clip_features  # noqa: E402
from tts_meta.audio.files import replace_file  # noqa: E402
from tts_meta.clips import sound_check  # noqa: E402
from tts_meta.measures.similarity import centroid, embed  # noqa: E402
from tts_meta.speaking.synthesize import Synthesizer  # noqa: E402
from tts_meta.voices.voice_file import load_voice  # noqa: E402

DOCTORS = sound_check.HISS
ARMS: dict[str, tuple[float | None, bool]] = {
    "as recorded": (None, True), "15 dB": (15.0, False), "15 dB, lowered": (15.0, True), "22 dB": (22.0, False),
    "22 dB, lowered": (22.0, True),
}
"""dB of the whole clip over the noise; whether the clip doctor may lower it."""


def pink(samples: np.ndarray, rate: int, db: float, rng: np.random.Generator) -> np.ndarray:
    """`[N]` samples with noise of 1 / f power (flat under 50 Hz) beside them."""
    falling = np.sqrt(np.maximum(np.fft.rfftfreq(len(samples), 1 / rate), 50.0))
    noise = np.fft.irfft(np.fft.rfft(rng.normal(size=len(samples))) / falling, len(samples))
    return (samples + noise * (samples.std() / noise.std()) * 10 ** (-db / 20)).astype(np.float32)


def main() -> None:
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("root", type=Path, help="folder with manifest.tsv")
    p.add_argument("--speakers", required=True, help="apart by commas")
    p.add_argument("--out", type=Path, required=True)
    args = p.parse_args()
    torch.set_num_threads(1)
    starter, judges = plain_kokoro(), Judges()
    people = {name.split("/")[1]: rows for name, rows in speakers_of(args.root).items()}
    found = json.loads(args.out.read_text()) if args.out.exists() else {}
    for name in args.speakers.split(","):
        if name in found:
            continue
        support, reference = split(people[name])
        clean, others = ([soundfile.read(args.root / r["path"], dtype="float32") for r in rows] for rows in (support, reference))
        middle, second = (centroid([by(*s) for s in clean]) for by in (embed, by_second))
        own = own_scores(starter, judges, [f.mel for f in (clip_features(*s) for s in others) if f is not None], middle, second)
        cells = {}
        for arm, (db, may) in ARMS.items():
            sound_check.HISS, rng = DOCTORS if may else -np.inf, np.random.default_rng(0)
            with tempfile.TemporaryDirectory() as folder:
                rows = []
                for i, (row, (samples, rate)) in enumerate(zip(support, clean, strict=True)):
                    heard = samples if db is None else pink(samples, rate, db, rng)
                    soundfile.write(Path(folder, f"{i}.wav"), 0.9 * heard / np.abs(heard).max(), rate)
                    rows.append(row | {"path": f"{i}.wav"})
                clone(rows, Path(folder), Path(folder, "v.voice"))
                voice = Synthesizer.of(starter, load_voice(Path(folder, "v.voice"), starter))
            cells[arm] = scores(judges, voice, middle, own)
            print(name, arm, cells[arm], flush=True)
        found[name] = cells
        replace_file(args.out, (json.dumps(found, indent=1) + "\n").encode())
    print(noisy_clips(found))


if __name__ == "__main__":
    main()

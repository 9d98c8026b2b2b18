"""Clone every held-out speaker on the small network and measure it: docs/heldout.json. Resumable speaker by speaker.

    python recipes/evidence/heldout_people.py ../shared/data/speech/heldout [--speakers p225 p226] [--method sigma]

The first 10 clips are the support set and the rest the reference; speakers with fewer than 13 clips are cloned from
half of theirs. "WER new" is of the 20 sentences of recipes/sentences.txt, which no speaker ever said. Never choose
anything about the starter by this table.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

import torch

from tts_meta.adaptation.clone_at_once import clone_voice
from tts_meta.audio.files import replace_file
from tts_meta.audio.mel import SAMPLE_RATE
from tts_meta.clips.whole_clips import check_clip
from tts_meta.errors import InputError
from tts_meta.evaluation.evaluate import Reference, evaluate_voice
from tts_meta.evaluation.protocol import HeldOutSpeaker, heldout_speakers
from tts_meta.measures.intelligibility import load_recogniser, word_error_rate
from tts_meta.speaking.synthesize import Synthesizer
from tts_meta.starters.chosen_starter import default_starter
from tts_meta.starters.small_starter import Starter
from tts_meta.voices.voice_file import FORMAT, load_voice

sys.path.append(str(Path(__file__).resolve().parents[1]))  # recipes/, for what they share

from tables import small_heldout  # noqa: E402

SENTENCES = (Path(__file__).resolve().parents[1] / "sentences.txt").read_text().splitlines()


def one_speaker(speaker: HeldOutSpeaker, out: Path, method: str, steps: int | None) -> dict:
    """Clone and evaluate one speaker; returns the row of the table."""
    starter = default_starter()
    made = clone_voice(
        starter, speaker.support, speaker.name, out, texts=speaker.texts, method=method, steps=steps, force=True,
        on_message=print,
    )
    references = []
    for path in speaker.reference:
        try:
            references.append(Reference(path, speaker.texts[path], check_clip(path)))
        except InputError as e:
            print(f"left out: {e}")
    voice = load_voice(made.path, starter)
    metrics = evaluate_voice(starter, voice, references, out / speaker.name)
    recogniser, synthesizer = load_recogniser(), Synthesizer.of(starter, voice)
    if recogniser is not None:
        heard = [recogniser.transcribe(synthesizer.speak(s).samples, SAMPLE_RATE) for s in SENTENCES]
        metrics["wer"]["new"] = round(word_error_rate(SENTENCES, heard), 4)
        metrics["heard_new"] = heard
    summary = {k: made.summary[k] for k in ("steps", "best_step", "heldout_loss", "seconds_total", "bytes")}
    story = {"speaker": speaker.name, "corpus": speaker.corpus, "support": len(speaker.support), "method": method,
             **made_of(starter, steps)}
    return {**story, **metrics, **summary}


def made_of(starter: Starter, steps: int | None) -> dict:
    """A row of another starter, another number of steps or another kind of voice is measured again."""
    asked = starter.adaptation.need("steps") if steps is None else steps
    return {"starter_identity": starter.identity, "voice_format": FORMAT, "asked_steps": asked}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("root", type=Path)
    parser.add_argument("--out", type=Path, default=Path("out/heldout"))
    parser.add_argument("--speakers", nargs="*")
    parser.add_argument("--method", default="sigma")
    parser.add_argument("--steps", type=int)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--publish", type=Path, help="also write all rows into this JSON file")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    results = []
    for speaker in heldout_speakers(args.root, args.speakers):
        done = args.out / f"{speaker.name}.{args.method}.json"
        known = json.loads(done.read_text()) if done.exists() else {}
        if made_of(default_starter(), args.steps).items() <= known.items():
            results.append(known)
        else:
            results.append(one_speaker(speaker, args.out, args.method, args.steps))
            replace_file(done, json.dumps(results[-1]).encode())
    print(small_heldout(results))
    if args.publish:
        replace_file(args.publish, (json.dumps(results, indent=1) + "\n").encode())


if __name__ == "__main__":
    main()

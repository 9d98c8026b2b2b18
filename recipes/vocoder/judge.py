"""The two vocoders side by side: copies of people's recordings, and the bundled voice's new sentences.

    python recipes/vocoder/judge.py ../shared/data/speech/heldout --out docs/vocoders.json

Of every speaker four recordings, as mels through each: likeness (cosine of Resemblyzer to the mean of the speaker's other
recordings), P.808, distillmos, wrong words by Whisper tiny.en; and processor seconds a second of speech on one thread, the two
in turns. `TTS_META_BF16=off` measures HiFi-GAN in float32. Six minutes on one core.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path

import numpy as np
import soundfile

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "recipes"), str(ROOT / "recipes" / "kokoro")]

from heldout import SENTENCES, naturalness, speakers_of  # noqa: E402
from tables import vocoders  # noqa: E402

from tts_meta.audio.fast_vocoder import FastVocoder  # noqa: E402
from tts_meta.audio.features import clip_features  # noqa: E402
from tts_meta.audio.files import replace_file  # noqa: E402
from tts_meta.audio.mel import SAMPLE_RATE  # noqa: E402
from tts_meta.audio.vocoder import HiFiGan, Vocoder  # noqa: E402
from tts_meta.measures.intelligibility import load_recogniser, word_errors  # noqa: E402
from tts_meta.measures.quality import dnsmos  # noqa: E402
from tts_meta.measures.similarity import centroid, embed  # noqa: E402
from tts_meta.processor import kind, use_bf16, use_threads  # noqa: E402
from tts_meta.speaking.synthesize import Synthesizer  # noqa: E402
from tts_meta.starters.chosen_starter import default_starter  # noqa: E402
from tts_meta.voices.library import find_voice  # noqa: E402
from tts_meta.voices.voice_file import load_voice  # noqa: E402

COPIED, OTHERS = 4, 10
"""Recordings of a speaker that are copied, and that say who speaks."""


class Judging:
    def __init__(self) -> None:
        self.recogniser = load_recogniser()
        assert self.recogniser is not None, "the extra 'asr' is needed"
        self.vocoders: dict[str, Vocoder] = {"hifigan": HiFiGan(), "fast": FastVocoder()}

    def row(self, mels: list[np.ndarray], texts: list[str], middle: np.ndarray) -> dict[str, dict[str, float]]:
        """{vocoder: {likeness, p808, distillmos, wrong, words, seconds (of the processor, a second of speech)}}."""
        found: dict[str, list[list[float]]] = {name: [] for name in self.vocoders}
        for mel, text in zip(mels, texts, strict=True):
            for name, vocoder in self.vocoders.items():
                vocoder(mel)  # the kernels of this length are made
                begin = time.process_time()
                y = vocoder(mel)
                seconds = (time.process_time() - begin) / (len(y) / SAMPLE_RATE)
                scores = dnsmos(y, SAMPLE_RATE)
                assert scores is not None and self.recogniser is not None
                wrong, words = word_errors([text], [self.recogniser.transcribe(y, SAMPLE_RATE)])
                likeness = float(embed(y, SAMPLE_RATE) @ middle)
                found[name].append([likeness, scores["p808"], naturalness(y), wrong, words, seconds])
        names = ("likeness", "p808", "distillmos", "wrong", "words", "seconds")
        return {
            vocoder: {n: round(float((np.sum if n in ("wrong", "words") else np.mean)([r[i] for r in rows])), 4)
                      for i, n in enumerate(names)}
            for vocoder, rows in found.items()
        }


def main() -> None:
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("root", type=Path, help="folder with manifest.tsv")
    p.add_argument("--speakers", default="", help="default: all of the manifest")
    p.add_argument("--out", type=Path, required=True)
    args = p.parse_args()
    use_threads()
    judging = Judging()
    people = {}
    for name, everything in sorted(speakers_of(args.root).items()):
        if args.speakers and everything[0]["speaker"] not in args.speakers.split(","):
            continue
        rows = [r for r in everything if r["text"] and float(r["seconds"]) < 15]
        heard = [soundfile.read(args.root / r["path"], dtype="float32") for r in rows[: COPIED + OTHERS]]
        found = [f for f in (clip_features(*h) for h in heard[:COPIED]) if f is not None]
        if len(heard) > COPIED and len(found) == COPIED:
            people[name] = judging.row([f.mel for f in found], [r["text"] for r in rows[:COPIED]],
                                       centroid([embed(*h) for h in heard[COPIED:]]))
            print(name, people[name], flush=True)
    starter = default_starter()
    voice = Synthesizer.of(starter, load_voice(find_voice("example"), starter))
    mels = [voice.sentence_mel(t)[0] for t in SENTENCES]
    middle = centroid([embed(judging.vocoders["hifigan"](m), SAMPLE_RATE) for m in mels])
    spoken = judging.row(mels, SENTENCES, middle)
    result = {"processor": kind(), "bfloat16": use_bf16(), "copies": people, "the bundled voice": spoken}
    replace_file(args.out, (json.dumps(result, indent=1) + "\n").encode())
    print(vocoders(result))


if __name__ == "__main__":
    main()

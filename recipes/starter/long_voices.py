"""Word error rate of the long training voices on 20 sentences that no corpus holds (recipes/sentences.txt).

    python recipes/starter/long_voices.py runs/starter/phase1/last.safetensors --out out/long_voices

Speaks with phase 1's moving average and each voice's own row of the speaker table. Needs the `asr` extra.
"""

from __future__ import annotations

import argparse
import json
import math
from pathlib import Path

import torch

from tts_meta.audio.files import replace_file, write_wav
from tts_meta.audio.mel import SAMPLE_RATE
from tts_meta.data.batch import Normaliser
from tts_meta.measures.intelligibility import load_recogniser, word_error_rate
from tts_meta.meta.prior import Shrinkage
from tts_meta.meta.tree import pick
from tts_meta.nets.acoustic import AcousticConfig, AcousticModel
from tts_meta.nets.likelihood import Scales
from tts_meta.speaking.synthesize import Synthesizer
from tts_meta.starters.small_starter import Starter
from tts_meta.text.phonemes import SymbolTable
from tts_meta.training.checkpoint import load_checkpoint
from tts_meta.training.modules import speech_partition


def phase1_voice(checkpoint: Path, voice: str) -> Starter:
    """Phase 1's moving average with `voice`'s row of the table as its speaker embedding; nothing of it can be cloned."""
    tensors, meta = load_checkpoint(checkpoint)
    average = pick(tensors, "ema")
    names = [s for s in meta["speakers"] if s.rpartition("/")[2] == voice]
    if len(names) != 1:
        raise SystemExit(f"{checkpoint} knows {len(names)} speakers called {voice!r}; one is expected.")
    average["speaker"] = average.pop("table")[meta["speakers"].index(names[0])]
    model = AcousticModel(AcousticConfig(**meta["net"]))
    model.load_state_dict(average)
    model.eval().requires_grad_(False)
    phi = {k: v.detach() for k, v in model.named_parameters()}
    partition = speech_partition(phi)
    prior = Shrinkage(partition, torch.full((len(partition.modules),), -math.inf))
    return Starter(
        model, phi, prior, partition, dict.fromkeys(partition.modules, 0.0), math.inf,
        Normaliser.from_dict(meta["normaliser"]), SymbolTable(meta["symbols"]), Scales(**meta["scales"]), "phase1", {},
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("checkpoint", type=Path, help="phase 1's last.safetensors")
    parser.add_argument("--voices", nargs="+", default=["bdl", "slt", "kathleen"])
    parser.add_argument("--out", type=Path, default=Path("out/long_voices"))
    args = parser.parse_args()
    torch.set_num_threads(1)
    sentences = (Path(__file__).resolve().parents[1] / "sentences.txt").read_text().splitlines()
    recogniser = load_recogniser()
    if recogniser is None:
        raise SystemExit("Word error rates need the extra 'asr': pip install 'tts-meta[asr]'")
    found = {}
    for voice in args.voices:
        starter = phase1_voice(args.checkpoint, voice)
        heard = []
        for i, sentence in enumerate(sentences):
            spoken = Synthesizer(starter).speak(sentence)
            write_wav(args.out / f"{voice}_{i:02d}.wav", spoken.samples, SAMPLE_RATE)
            heard.append(recogniser.transcribe(spoken.samples, SAMPLE_RATE))
        wer = [word_error_rate([s], [h]) for s, h in zip(sentences, heard, strict=True)]
        for s, h, w in zip(sentences, heard, wer, strict=True):
            if w:
                print(f"  {voice}: {s} -> {h}")
        found[voice] = {"wer": word_error_rate(sentences, heard), "heard": heard}
        print(f"{voice}: WER {100 * found[voice]['wer']:.1f} %", flush=True)
    replace_file(args.out / "wer.json", json.dumps(found, indent=1).encode())


if __name__ == "__main__":
    main()

"""What the layout of the convolutions' memory is worth (tts_meta/nets/channels_last.py): ratios in one run, one thread.

    python recipes/bench/bench_layout.py

Median processor seconds of the vocoder, of a sentence, of a clone's inner step (3 utterances) and of a training step
(12), with torch's own 1-D convolutions and with ours. Then what a listener waits for: 20 sentences that were not spoken
before, so of lengths that oneDNN has no kernels for, with the vocoder's windows and with whole mels.
"""

from __future__ import annotations

import argparse
import copy
import statistics
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import torch
from alternate import in_turns, show_ratio
from torch import nn

from tts_meta.audio.mel import HOP, SAMPLE_RATE, log_mel
from tts_meta.audio.vocoder import HiFiGan
from tts_meta.clips.transcripts import complete_transcripts, find_clips
from tts_meta.clips.whole_clips import check_clip, whole_clips
from tts_meta.data.batch import collate
from tts_meta.nets.acoustic import AcousticModel
from tts_meta.nets.channels_last import Conv1d, ConvTranspose1d
from tts_meta.nets.likelihood import Scales, negative_log_likelihood
from tts_meta.processor import bf16_is_fast
from tts_meta.speaking.synthesize import Synthesizer
from tts_meta.starters.chosen_starter import default_starter
from tts_meta.voices.library import EXAMPLE, named_voice
from tts_meta.voices.voice_file import load_voice

CLIPS = Path(__file__).resolve().parents[2] / "app" / "examples" / "p225" / "clips"
SENTENCES = (Path(__file__).resolve().parents[1] / "sentences.txt").read_text().splitlines()
TEXT = "The old lighthouse keeper poured himself another cup of tea and looked out over the water."


def plain(network: nn.Module) -> None:
    """Give the network torch's own layers back, in place."""
    for layer in network.modules():
        for ours, theirs in ((Conv1d, nn.Conv1d), (ConvTranspose1d, nn.ConvTranspose1d)):
            if type(layer) is ours:
                layer.__class__ = theirs
                layer.weight.data = layer.weight.data.contiguous()


def step(network: AcousticModel, batch: dict[str, torch.Tensor]) -> None:
    """Loss and gradients of every module."""
    with torch.autocast("cpu", torch.bfloat16, enabled=bf16_is_fast()):
        out = network(batch)
    loss = sum(negative_log_likelihood({k: v.float() for k, v in out.items()}, batch, Scales()).values())
    torch.autograd.grad(loss, list(network.parameters()), allow_unused=True)


def compare(name: str, ours: Callable[[], object], theirs: Callable[[], object], speech: float) -> None:
    """Print medians of runs in turns; `speech` seconds, or 0, are what one run makes."""
    times = in_turns({"ours": ours, "theirs": theirs})
    a, b = (statistics.median(t) for t in times.values())
    factor = f"; {a / speech:.3f} s a second of speech, was {b / speech:.3f}" if speech else ""
    ratio = show_ratio(times["theirs"], times["ours"])
    print(f"{name}: {1000 * a:.0f} ms, torch's layers {1000 * b:.0f} ms, {ratio} times as fast{factor}", flush=True)


class Whole(HiFiGan):
    """Without windows: every length is a shape of its own."""

    def __call__(self, mel: np.ndarray) -> np.ndarray:
        with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16, enabled=self.bf16):
            return self.generator(torch.from_numpy(mel).T[None].float())[0, 0].float().numpy()


class Kept(HiFiGan):
    """Keeps the mels it is given."""

    def __call__(self, mel: np.ndarray) -> np.ndarray:
        mels.append(mel)
        return super().__call__(mel)


mels: list[np.ndarray] = []


def new_sentences(synthesizer: Synthesizer) -> None:
    """Print the time of sentences that are spoken for the first time, and of their mels in windows and whole."""
    synthesizer.speak(TEXT)
    mels.clear()
    begin, speech = time.process_time(), 0.0
    for sentence in SENTENCES:
        speech += len(synthesizer.speak(sentence).samples) / SAMPLE_RATE
    rate = (time.process_time() - begin) / speech
    print(f"{len(SENTENCES)} new sentences, from text to samples: {rate:.3f} s a second of speech")
    spent: dict[str, list[float]] = {"windows": [], "whole": []}
    ways = {"windows": HiFiGan(), "whole": Whole()}
    for mel in mels:
        for name, vocoder in ways.items():
            begin = time.process_time()
            vocoder(mel)
            spent[name].append(time.process_time() - begin)
    seconds = sum(map(len, mels)) * HOP / SAMPLE_RATE
    a, b = (sum(t) / seconds for t in spent.values())
    print(f"vocoder, {len(mels)} new lengths: {a:.3f} s a second of speech in windows, {b:.3f} whole, "
          f"{show_ratio(spent['whole'], spent['windows'])} times as fast", flush=True)


def main() -> None:
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    torch.set_num_threads(1)
    mel = log_mel(check_clip(sorted(CLIPS.glob("*.flac"))[2]).samples)
    for bf16 in (True, False) if bf16_is_fast() else (False,):
        ours, theirs = HiFiGan(bf16), HiFiGan(bf16)
        plain(theirs.generator)
        name = f"vocoder, {'bfloat16' if bf16 else 'float32'}"
        compare(name, partial(ours, mel), partial(theirs, mel), len(mel) * HOP / SAMPLE_RATE)
    starter = default_starter()
    voice = load_voice(named_voice(EXAMPLE), starter)
    ours, theirs = (Synthesizer.of(starter, voice, vocoder) for vocoder in (HiFiGan(), HiFiGan()))
    plain(theirs.vocoder.generator)  # type: ignore[union-attr]
    speech = len(ours.speak(TEXT).samples) / SAMPLE_RATE
    compare("a sentence, from text to samples", partial(ours.speak, TEXT), partial(theirs.speak, TEXT), speech)
    new_sentences(Synthesizer.of(starter, voice, Kept()))
    clips = find_clips([CLIPS])
    items = [c.item for c in whole_clips(clips, complete_transcripts(clips, None), starter).values()]
    model = copy.deepcopy(starter.model).requires_grad_(True)
    other = copy.deepcopy(model)
    plain(other)
    for name, count in (("inner step", 3), ("training step", 12)):
        batch = collate((items * 2)[:count], model.config.reduction)
        compare(f"{name}, {count} utterances, all modules", partial(step, model, batch), partial(step, other, batch), 0)


if __name__ == "__main__":
    main()

"""What the fast vocoder learns from: mels, HiFi-GAN's samples of them, and the F0 that is in these samples.

    python recipes/vocoder/speech.py DATA/train --texts LINES.txt --voices VOICES.safetensors --out runs/vocoder

Two files of equal use: `spoken.npz`, what the Kokoro starter says in mixtures of Kokoro's voices (25 min), and
`recorded.npz`, recordings of the training corpora (20 min). The F0 a network was asked for is not what is heard (a quarter of the
spoken frames is 30 cents or more below it, and a quarter is voiced in one and not in the other), so it is measured: SwiftF0,
then the multiple of it within 3 % whose harmonics under 3.5 kHz are loudest. About 15 minutes on one core with bfloat16.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path

import librosa
import numpy as np
import torch
from safetensors.numpy import load_file

from tts_meta.audio import pitch
from tts_meta.audio.mel import HOP, SAMPLE_RATE, log_mel
from tts_meta.audio.vocoder import HiFiGan
from tts_meta.data.layouts import read_manifest
from tts_meta.nets.kokoro.speaker_loss import MANNER, TIMBRE
from tts_meta.processor import use_threads
from tts_meta.starters.interface import Controls
from tts_meta.starters.kokoro_starter import load_kokoro
from tts_meta.text.phonemes import phonemize

KEPT_OUT = {"2961", "7127", "8230", "slt", "0461", "1420", "2438"}
"""Development speakers: choices are made on them."""
LONGEST = 10  # s of a recording
TOP, SPAN, TRIED = 3500.0, 0.03, 41
"""Hz of the highest harmonic that is listened to; the share by which F0 may move, and how many places are tried."""


def sharpened(samples: np.ndarray, f0: np.ndarray) -> np.ndarray:
    """F0 `[L]` (Hz, 0 unvoiced), at each frame moved within SPAN to where the harmonics under TOP are loudest; the median of
    three frames' moves."""
    padded = np.pad(samples.astype(np.float32), (512, 1024))
    window, ratios = np.hanning(1024), np.linspace(1 - SPAN, 1 + SPAN, TRIED)
    move = np.zeros(len(f0))
    for t in np.flatnonzero(f0 > 0):
        centre = t * HOP + HOP // 2
        spectrum = np.log(np.abs(np.fft.rfft(padded[centre : centre + 1024] * window, 2048)) + 1e-9)
        places = np.outer(f0[t] * ratios, np.arange(1, int(TOP // f0[t]) + 1)) * 2048 / SAMPLE_RATE
        low = places.astype(int)
        loud = (spectrum[low] * (1 - places + low) + spectrum[low + 1] * (places - low)).mean(1)
        move[t] = np.log(ratios[loud.argmax()])
    move = np.median(np.stack([np.roll(move, 1), move, np.roll(move, -1)]), 0)
    return (f0 * np.exp(move)).astype(np.float32)


def spoken(rng: np.random.Generator, texts: list[str], voices: dict[str, np.ndarray]) -> Iterator[np.ndarray]:
    """Mels `[L, 80]` of the starter saying texts in mixtures of two voices, lower and higher, slower and faster."""
    starter = load_kokoro()
    names = sorted(n for n in voices if n[0] in "ab")  # American and British
    while True:
        phones = phonemize(texts[rng.integers(len(texts))], starter.espeak_voice, None, starter.inventory)[1:-1]
        if not 10 <= len(phones) <= 300:
            continue
        one, other = (voices[names[rng.integers(len(names))]][len(phones)].reshape(-1).astype(np.float32) for _ in range(2))
        share = rng.choice([0.0, 0.3, 0.5])
        style = torch.from_numpy((1 - share) * one + share * other).float()
        timbre, manner = style[:128], style[128:]
        if rng.random() < 0.3:  # nearer to the people of phase 1
            timbre = (timbre + starter.phi[TIMBRE]) / 2
        controls = Controls(rng.uniform(0.85, 1.1), rng.uniform(-3, 3), rng.uniform(-4, 4), (1.25, 1.5, 2.0))
        with torch.inference_mode():
            yield starter.mel({TIMBRE: timbre, MANNER: manner}, phones, [0.0] * len(phones), controls, None)[0]


def recorded(rng: np.random.Generator, data: Path) -> Iterator[np.ndarray]:
    """Mels `[L, 80]` of recordings, a speaker as often as any other, at different levels."""
    of: dict[str, list[str]] = {}
    for r in read_manifest(data / "manifest.tsv"):
        if r["speaker"] not in KEPT_OUT:
            of.setdefault(r["speaker"], []).append(r["path"])
    speakers = sorted(of)
    while True:
        paths = of[speakers[rng.integers(len(speakers))]]
        samples, _ = librosa.load(data / paths[rng.integers(len(paths))], sr=SAMPLE_RATE, mono=True)
        start = rng.integers(max(1, len(samples) - LONGEST * SAMPLE_RATE))
        samples = samples[start : start + LONGEST * SAMPLE_RATE]
        yield log_mel(samples / max(1e-4, np.abs(samples).max()) * rng.uniform(0.4, 0.95))


def gather(mels: Iterator[np.ndarray], minutes: float, vocoder: HiFiGan, path: Path) -> None:
    """Write so much speech: mel `[L, 80]`, f0 `[L]`, wave `[256 L]` (16 bits) of all one after another, and their lengths."""
    found: dict[str, list[np.ndarray]] = {"mel": [], "f0": [], "wave": []}
    frames = 0
    while frames * HOP < minutes * 60 * SAMPLE_RATE:
        mel = next(mels)
        samples = vocoder(mel)
        f0 = sharpened(samples, pitch.f0_at_frames(samples, SAMPLE_RATE, len(mel)))
        found["mel"].append(mel.astype(np.float16))
        found["f0"].append(f0)
        found["wave"].append((samples.clip(-1, 1) * 32767).astype(np.int16))
        frames += len(mel)
        print(f"\r{path.name}: {frames * HOP / SAMPLE_RATE / 60:.1f} min", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)
    np.savez(path, lengths=[len(m) for m in found["mel"]], **{k: np.concatenate(v) for k, v in found.items()})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="folder of recordings with manifest.tsv (speaker, path)")
    parser.add_argument("--texts", type=Path, required=True, help="a sentence a line")
    parser.add_argument("--voices", type=Path, required=True, help="Kokoro's voices, {name: [510, 256]}")
    parser.add_argument("--minutes", default="25,20", help="of what the starter says, of recordings")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    use_threads()
    pitch.CONFIDENCE = 0.5
    args.out.mkdir(parents=True, exist_ok=True)
    texts = [t for t in args.texts.read_text(encoding="utf-8").split("\n") if 30 < len(t) < 160]
    said, real = map(float, args.minutes.split(","))
    vocoder = HiFiGan()
    gather(spoken(np.random.default_rng(args.seed), texts, load_file(args.voices)), said, vocoder, args.out / "spoken.npz")
    gather(recorded(np.random.default_rng(args.seed + 1), args.data), real, vocoder, args.out / "recorded.npz")


if __name__ == "__main__":
    main()

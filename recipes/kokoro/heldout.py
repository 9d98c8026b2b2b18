"""Clones of held-out speakers by the default settings, judged on eight sentences that none of them said.

    pip install -e '.[judges]'       # distillmos, a second judge of naturalness
    python recipes/kokoro/heldout.py ../shared/data/speech/heldout --speakers vctk/p225,vctk/p226 --out docs/kokoro_heldout.json

Position: 0 is other people's voices, 1 the speaker's own other recordings through the vocoder, by cosine of Resemblyzer to
the mean of the clips. The encoder's cosine grows with what it hears (the same recordings: 2 s 0.88, 3 s 0.92, 6 s 0.94), so
they are cut to the length of the clone's sentences; `position_whole` compares with the whole recordings, `position_second` is
by another encoder (CAM++) that nothing was chosen by. P.808 is DNSMOS's,
WER by Whisper tiny.en; F0 (mean, spread of the logarithm) are the clone's over those of four other recordings, on their texts,
and over those of the clips that were learned from. Rate is how long the phones of the four last, by the aligner, over how long
they would last in the clone.
A speaker that is in the file already is not made again. About two minutes a speaker on one core.
"""

from __future__ import annotations

import argparse
import csv
import json
import shutil
import sys
import tempfile
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import soundfile
import torch

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "recipes")]

from tables import kokoro_heldout  # noqa: E402

from tts_meta.adaptation.clone_at_once import clone_voice  # noqa: E402
from tts_meta.audio.features import ClipFeatures, clip_features  # noqa: E402
from tts_meta.audio.files import replace_file, write_wav  # noqa: E402
from tts_meta.audio.mel import HOP, SAMPLE_RATE  # noqa: E402
from tts_meta.audio.pitch import f0_at_frames  # noqa: E402
from tts_meta.audio.vocoder import default_vocoder  # noqa: E402
from tts_meta.data.layouts import read_manifest  # noqa: E402
from tts_meta.kokoro.register import REGISTER, Register  # noqa: E402
from tts_meta.measures.intelligibility import load_recogniser, word_errors  # noqa: E402
from tts_meta.measures.quality import distillmos, dnsmos  # noqa: E402
from tts_meta.measures.second_encoder import embed_second, second_other_speakers  # noqa: E402
from tts_meta.measures.similarity import centroid, embed, other_speakers  # noqa: E402
from tts_meta.speaking.synthesize import Synthesizer  # noqa: E402
from tts_meta.starters.chosen_starter import default_starter  # noqa: E402
from tts_meta.starters.interface import Network  # noqa: E402
from tts_meta.voices.voice_file import load_voice  # noqa: E402
from tts_meta.voices.voice_header import read_header  # noqa: E402

SENTENCES = [
    "She sells fresh bread and honey at the market every morning.", "Please leave the keys on the table before you go.",
    "Nobody expected the weather to change so quickly that afternoon.",
    "My brother has been learning to play the violin for years.", "Could you turn down the music while I make a phone call?",
    "A thin layer of ice covered the lake in the early winter.", "The museum opens at nine and closes late on Fridays.",
    "I would rather walk along the river than take the bus.",
]
SAME = 4  # recordings whose texts the clone says too
LONGEST = 1300  # mel frames of a recording that is judged: 15 s


def naturalness(samples: np.ndarray) -> float:
    """distillmos of `[N]` samples."""
    score = distillmos(samples, SAMPLE_RATE)
    assert score is not None, "the extra 'judges' is needed"
    return score


def by_second(samples: np.ndarray, rate: int) -> np.ndarray:
    """CAM++'s embedding of `[N]` samples."""
    found = embed_second(samples, rate)
    assert found is not None, "the extra 'judges' is needed"
    return found


def spoken(mel: np.ndarray) -> np.ndarray:
    y = default_vocoder()(np.ascontiguousarray(mel, dtype=np.float32))
    return y / max(1.0, float(np.abs(y).max()) * 1.01)


def share(clone: float, floor: float, ceiling: float) -> float:
    """Where a clone's likeness lies between other people's (0) and the person's own (1)."""
    return round((clone - floor) / (ceiling - floor), 3)


def sentence_case(text: str) -> str:
    """A transcript as it is said: one in capitals has no letter words."""
    return text.lower() if text.isupper() else text


def log_f0(found: list[ClipFeatures]) -> np.ndarray:
    """log Hz of every voiced frame of recordings."""
    return np.concatenate([np.log(f.f0[f.f0 > 0]) for f in found])


def pace(starter: Network, texts: list[str], found: list[ClipFeatures]) -> float:
    """log of how long recordings' phones last over how long the network would draw them."""
    items = [starter.item(SimpleNamespace(text=t, features=f)) for t, f in zip(texts, found, strict=True)]
    return Register.of(starter.measured(items, [starter.encoded(i, ()) for i in items])[REGISTER]).slow


def cut_alike(recordings: list[np.ndarray], lengths: list[int]) -> list[np.ndarray]:
    """Log-mels of recordings through the vocoder, cut to the lengths (frames) of sentences; the longest to the longest."""
    order = sorted(range(len(recordings)), key=lambda i: len(recordings[i]))
    sizes = sorted(lengths)
    sizes = [sizes[k * len(sizes) // len(order)] for k in range(len(order))]
    return [spoken(recordings[i][:n]) for i, n in zip(order, sizes, strict=True)]


def split(rows: list[dict]) -> tuple[list[dict], list[dict]]:
    """A speaker's recordings: those to learn from, and up to eight others."""
    count = 10 if len(rows) >= 14 else max(5, len(rows) - 4)
    return rows[:count], rows[count : count + 8]


def speakers_of(root: Path) -> dict[str, list[dict]]:
    """{corpus/speaker: rows of manifest.tsv}, as they come."""
    found: dict[str, list[dict]] = {}
    for r in read_manifest(root / "manifest.tsv"):
        found.setdefault(f"{r['corpus']}/{r['speaker']}", []).append(r)
    return found


def clone(support: list[dict], root: Path, out: Path, method: str = "sigma") -> None:
    """Writes the voice made of recordings by the default settings, but for the method."""
    with tempfile.TemporaryDirectory() as folder:
        clips = Path(folder)
        with open(clips / "transcripts.csv", "w", newline="") as f:
            table = csv.writer(f)
            table.writerow(["file", "text"])
            for r in support:
                shutil.copy(root / r["path"], clips)
                table.writerow([Path(r["path"]).name, r["text"]])
        made = clone_voice(default_starter(), [clips], "v", clips, method=method, consent="an evaluation of the recipe's")
        replace_file(out, made.path.read_bytes())


def kept(support: list[dict], root: Path, folder: Path, method: str) -> Path:
    """The voice of recordings that lies in `folder`, made where there is none. Ends with a sentence where it is by another
    method, which would be measured under a wrong name."""
    path = folder / f"{support[0]['corpus']}-{support[0]['speaker']}.voice"
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        clone(support, root, path, method)
    found = read_header(path)["method"]
    if found != method:
        sys.exit(f"{path} was made by --method {found}, and {method} is asked for; give another --voices.")
    return path


def one(rows: list[dict], root: Path, keep: Path | None = None, method: str = "sigma", voices: Path | None = None) -> dict:
    """The row of a speaker; the voice, and a sentence as recorded and as the clone says it, in `keep`. A voice in `voices` is not
    made again."""
    starter, recogniser = default_starter(), load_recogniser()
    assert recogniser is not None, "the extra 'asr' is needed"
    support, reference = split(rows)
    with tempfile.TemporaryDirectory() as folder:
        path = kept(support, root, voices or Path(folder), method)
        size = path.stat().st_size
        voice = load_voice(path, starter)
        synthesizer = Synthesizer.of(starter, voice)
        if keep:
            keep.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, keep / f"{rows[0]['speaker']}.voice")

    def heard(row: dict) -> tuple[np.ndarray, int]:
        return soundfile.read(root / row["path"], dtype="float32")

    middle = centroid([embed(*heard(r)) for r in support])
    found = [f for f in (clip_features(*heard(r)) for r in reference) if f is not None]
    mels = [synthesizer.sentence_mel(t)[0] for t in SENTENCES]
    vocoded = [spoken(f.mel[:LONGEST]) for f in found]
    alike = cut_alike([f.mel for f in found], [len(m) for m in mels])
    cloned = [spoken(m) for m in mels]
    # Melody and rate depend on what is said: on the recordings' own texts.
    same = [(sentence_case(r["text"]), f) for r in reference if r["text"] and (f := clip_features(*heard(r))) is not None][:SAME]
    texts, theirs = [t for t, _ in same], [f for _, f in same]
    learned = [f for f in (clip_features(*heard(r)) for r in support) if f is not None]
    again = [synthesizer.speak(t).samples for t in texts]
    if keep:
        short = min(range(len(theirs)), key=lambda i: abs(theirs[i].seconds - 4.0))
        for kind, samples in (("recording", theirs[short].samples), ("clone", again[short])):
            write_wav(keep / f"{rows[0]['speaker']}-{kind}.wav", samples, SAMPLE_RATE)
    curves = [f0_at_frames(y, SAMPLE_RATE, len(y) // HOP) for y in again]
    said = np.concatenate([np.log(f[f > 0]) for f in curves])
    own, clips = log_f0(theirs), log_f0(learned)
    rate = np.exp(pace(synthesizer.starter, texts, theirs) - Register.of(voice.deltas[REGISTER]).slow)

    def mean(score, sounds: list[np.ndarray]) -> float:
        return float(np.mean([score(y) for y in sounds]))

    def like(y: np.ndarray) -> float:
        return float(embed(y, SAMPLE_RATE) @ middle)

    second = centroid([by_second(*heard(r)) for r in support])

    def like_second(y: np.ndarray) -> float:
        return float(by_second(y, SAMPLE_RATE) @ second)

    def p808(y: np.ndarray) -> float:
        score = dnsmos(y, SAMPLE_RATE)
        assert score is not None, "the extra 'eval' is needed"
        return score["p808"]

    floor, floor_second = float((other_speakers() @ middle).mean()), float((second_other_speakers() @ second).mean())
    errors = [word_errors([t], [recogniser.transcribe(y, SAMPLE_RATE)]) for t, y in zip(SENTENCES, cloned, strict=True)]
    return {
        "clips": len(support), "position": share(mean(like, cloned), floor, mean(like, alike)),
        "position_second": share(mean(like_second, cloned), floor_second, mean(like_second, alike)),
        "position_whole": share(mean(like, cloned), floor, mean(like, vocoded)),
        "p808": round(mean(p808, cloned), 2), "p808_vocoded": round(mean(p808, vocoded), 2),
        "distillmos": round(mean(naturalness, cloned), 2), "distillmos_vocoded": round(mean(naturalness, vocoded), 2),
        "wer": round(sum(e for e, _ in errors) / sum(n for _, n in errors), 4),
        "f0": round(float(np.exp(said.mean() - own.mean())), 3), "f0_spread": round(float(said.std() / own.std()), 2),
        "f0_clips": round(float(np.exp(said.mean() - clips.mean())), 3),
        "f0_spread_clips": round(float(said.std() / clips.std()), 2), "rate": round(float(rate), 2),
        "bytes": size, "accent": synthesizer.starter.accent,
    }


def main() -> None:
    p = argparse.ArgumentParser()
    p.add_argument("root", type=Path)
    p.add_argument("--speakers", default="", help="corpus/speaker, apart by commas; all without it")
    p.add_argument("--out", type=Path, required=True)
    p.add_argument("--method", default="sigma", help="as of tts-meta clone")
    p.add_argument("--voices", type=Path, help="folder of voices, as recipes/kokoro/verify.py keeps them; others are put there")
    p.add_argument("--keep", type=Path, help="folder for the voices, and for a sentence of each as recorded and as cloned")
    args = p.parse_args()
    torch.set_num_threads(1)
    people = speakers_of(args.root)
    found = json.loads(args.out.read_text()) if args.out.exists() else {}
    for name in args.speakers.split(",") if args.speakers else people:
        if name in found:
            continue
        found[name] = one(people[name], args.root, args.keep, args.method, args.voices)
        print(name, found[name], flush=True)
        replace_file(args.out, (json.dumps(found, indent=1) + "\n").encode())
    print(kokoro_heldout(found))
    for key, less in (("position", None), ("p808", "p808_vocoded"), ("distillmos", "distillmos_vocoded"), ("wer", None)):
        print(key, "mean", round(float(np.mean([r[key] - (r[less] if less else 0) for r in found.values()])), 3))


if __name__ == "__main__":
    main()

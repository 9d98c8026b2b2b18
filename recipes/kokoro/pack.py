"""Recordings and texts as recipes/kokoro/campaign.py takes them: small enough to be carried to another machine.

    python recipes/kokoro/pack.py features ../shared/data/speech/train cache/kokoro          # 7 min on one core for 7 hours
    python recipes/kokoro/pack.py align cache/kokoro                                         # 1 min
    python recipes/kokoro/pack.py pack cache/kokoro                                          # 3 min: people1.xz, people2.xz
    python recipes/kokoro/pack.py texts cache/kokoro --texts FILE --voices FILE              # texts.safetensors

features: trimmed, levelled, log-mel, F0 and energy of every clip. align: the aligner's Gaussians from the network's own speech
(`own/*.npz` in the folder, of `own`) and two Viterbi rounds over people, then everybody's symbols. pack: cut at pauses to at
most 9.5 s, mels in steps of 0.1 nats. The people are in three folds by speaker: phase1, sigma, dev.
"""

from __future__ import annotations

import argparse
import copy
import csv
import io
import json
import lzma
import os
import sys
from collections import defaultdict
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np
import soundfile
import torch

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "recipes" / "kokoro")]

from tts_meta.audio.features import clip_features  # noqa: E402
from tts_meta.audio.files import replace_file  # noqa: E402
from tts_meta.audio.mel import HOP, SAMPLE_RATE, log_mel, mel_bands  # noqa: E402
from tts_meta.kokoro.alignment import SILENT, SPACE, TokenAligner, units, with_pauses  # noqa: E402
from tts_meta.kokoro.clips import ENERGY_OFFSET, curve_at_features, frame_energy  # noqa: E402
from tts_meta.kokoro.symbols import encode, from_phones  # noqa: E402
from tts_meta.text.phonemes import phonemize  # noqa: E402

LONG, LONGEST, SHORTEST = 9.5, 13.0, 1.0  # s of a piece
MINUTES = 200.0  # s from which somebody counts as a speaker with minutes


def symbols_of(text: str, british: bool = False) -> list[int]:
    """Ids of a transcript; one in capitals has no letter words, and one without an end gets a full stop."""
    text = text.strip()
    text = text.lower() if text.upper() == text else text
    text = text if text[-1:] in ".!?;:," else text + "."
    phones = phonemize(text, "en-gb" if british else "en-us")
    return encode(from_phones([(p.symbol, p.stress) for p in phones], british))


def features(root: Path, out: Path, every: int = 6) -> None:
    """Of the two corpora with an hour a speaker only one clip in `every`."""
    (out / "clips").mkdir(parents=True, exist_ok=True)
    with open(root / "manifest.tsv") as f:
        rows = list(csv.DictReader(f, delimiter="\t", quoting=csv.QUOTE_NONE))
    seen: dict[str, int] = defaultdict(int)
    minutes: dict[str, float] = defaultdict(float)
    todo: list[tuple[Path, Path, str, str]] = []
    for r in rows:
        minutes[f"{r['corpus']}/{r['speaker']}"] += float(r["seconds"])
    for r in rows:
        speaker = f"{r['corpus']}/{r['speaker']}"
        seen[speaker] += 1
        if r["corpus"] in ("arctic", "kathleen") and seen[speaker] % every:
            continue
        if r["corpus"].startswith("librispeech") and minutes[speaker] > MINUTES and r["text_source"] != "given":
            continue
        path = out / "clips" / f"{speaker.replace('/', '_')}__{Path(r['path']).stem}.npz"
        if not path.exists():
            todo.append((root / r["path"], path, r["text"], speaker))
    with ProcessPoolExecutor(os.cpu_count()) as workers:
        list(workers.map(features_of, *zip(*todo, strict=True), chunksize=8))


def features_of(recording: Path, path: Path, text: str, speaker: str) -> None:
    torch.set_num_threads(1)
    samples, rate = soundfile.read(recording, dtype="float32")
    found = clip_features(samples, rate)
    if found is None or found.speech_seconds < 0.3:
        return
    energy = frame_energy(found.samples, SAMPLE_RATE) - ENERGY_OFFSET
    whole = io.BytesIO()
    np.savez(whole, mel=found.mel.astype(np.float16), f0=found.f0, N=energy, text=text, speaker=speaker)
    replace_file(path, whole.getvalue())


def own(out: Path, sentences: int) -> None:
    """The network's own speech with its durations, from texts.safetensors."""
    from generator import Generator, read_generator  # type: ignore[import-not-found]

    from tts_meta.audio.files import resample
    from tts_meta.kokoro.dequantise import OnnxWeights
    from tts_meta.kokoro.weights import base_weights, packaged_onnx
    from tts_meta.nets.kokoro.network import Kokoro, KokoroConfig, token_index

    (out / "own").mkdir(exist_ok=True)
    (out / "kokoro.onnx").write_bytes(packaged_onnx())
    net = Kokoro(KokoroConfig(), mel_bands())
    net.load_state_dict(base_weights(), strict=False)
    generator = Generator().eval()
    generator.load_state_dict(read_generator(OnnxWeights(out / "kokoro.onnx")), strict=False)
    from safetensors.numpy import load_file

    t = load_file(str(out / "texts.safetensors"))
    rows = np.split(t["ids"], np.cumsum(t["lengths"])[:-1])
    for n, (ids, style) in enumerate(zip(rows[:sentences], t["style"], strict=False)):
        with torch.no_grad():
            i, s = torch.from_numpy(ids.astype(np.int64))[None], torch.from_numpy(style.astype(np.float32))[None]
            mask, lengths = torch.ones(i.shape), torch.tensor([i.shape[1]])
            r = net.eval().read(i, mask)
            read = net.prosody.read(r.prosody, s[:, 128:], mask, lengths)
            counts = net.prosody.durations(read, lengths).round().clamp(min=1).long()[0]
            index = token_index(counts)[None]
            m = torch.ones(index.shape)
            f0, energy = net.melody(read, index, s[:, 128:], m)
            x = net.features(r.sound, index, f0, energy, s[:, :128], m)
            y = generator(x, s[:, :128], f0)[0].numpy()
        mel = log_mel(resample(y, 24000, SAMPLE_RATE))
        np.savez(out / "own" / f"{n:05d}.npz", mel=mel.astype(np.float16), ids=ids, frames=counts.numpy())


def align(out: Path, ready: bool) -> None:
    """Writes aligned.npz, by the starter's aligner or by one estimated here (aligner.safetensors)."""
    files = sorted((out / "clips").glob("*.npz"))
    if ready:
        from tts_meta.starters.kokoro_starter import load_kokoro

        aligner = load_kokoro().aligner
    else:
        aligner = estimated(out, files)
    names, ids, frames = [], [], []
    with ProcessPoolExecutor(os.cpu_count(), initializer=torch.set_num_threads, initargs=(1,)) as workers:
        for f, found in zip(files, workers.map(partial(aligned, aligner), files, chunksize=16), strict=True):
            if isinstance(found, str):
                print(f"left out: {f.name}: {found}")
                continue
            names.append(f.name)
            ids.append(np.array(found[0], dtype=np.uint8))
            frames.append(found[1].astype(np.int16))
    np.savez(out / "aligned.npz", names=np.array(names), lengths=[len(i) for i in ids], ids=np.concatenate(ids),
             frames=np.concatenate(frames))


def aligned(aligner: TokenAligner, path: Path) -> tuple[list[int], np.ndarray] | str:
    """Ids and frames of a clip, or why there are none."""
    z = np.load(path)
    try:
        found = aligner.align(symbols_of(str(z["text"])), z["mel"].astype(np.float32))
    except ValueError as e:
        return str(e)
    return found.ids, found.frames


def estimated(out: Path, files: list[Path], rounds: int = 2, each: int = 25, weight: float = 600.0) -> TokenAligner:
    """From the network's own speech, then Viterbi rounds over people."""
    from safetensors.torch import save_file

    spoken = sorted((out / "own").glob("*.npz"))
    if not spoken:
        raise SystemExit(f"{out / 'own'} has none of the network's own speech; run `pack.py own`, or leave --own-aligner out.")
    rng = np.random.default_rng(0)
    some = rng.choice(files, min(300, len(files)), replace=False)
    sample = np.concatenate([np.load(f)["mel"].astype(np.float32) for f in some])
    aligner = TokenAligner.empty(sample.mean(0), sample.std(0))
    data = []
    for f in spoken:
        z = np.load(f)
        found, _ = aligner.features(z["mel"].astype(np.float32))
        data.append((found, aligner.known_states(z["ids"].astype(int).tolist(), z["frames"], len(found))))
    aligner.estimate(data)
    prior = TokenAligner(copy.deepcopy(aligner.net), aligner.mean, aligner.std)
    by: dict[str, list[Path]] = defaultdict(list)
    for f in files:
        by[f.name.split("__")[0]].append(f)
    chosen = [f for rows in by.values() for f in (rows if len(rows) <= each else rng.choice(rows, each, replace=False))]
    clips = []
    for f in chosen:
        z = np.load(f)
        mel, ids = z["mel"].astype(np.float32), symbols_of(str(z["text"]))
        if 2 * len(units(ids)) <= len(mel):
            clips.append((ids, *aligner.features(mel)))
    for n in range(rounds):
        data, total, count = [], 0.0, 0
        for ids, found, quiet in clips:
            scores = aligner.scores(found, quiet)
            durations, states, score = aligner.path(ids, scores)
            longer = with_pauses(ids, durations, quiet.numpy())
            if longer != ids:
                durations, states, score = aligner.path(longer, scores)
            data.append((found, states))
            total, count = total + score * len(found), count + len(found)
        aligner.estimate(data, prior, weight)
        print(f"round {n + 1}: {total / count:.3f} nats a frame")
    save_file({
        "mean": aligner.net.mean.data, "variance": aligner.net.variance.data,
        "mel_mean": torch.from_numpy(aligner.mean), "mel_std": torch.from_numpy(aligner.std),
    }, str(out / "aligner.safetensors"))
    return aligner


def pieces_of(ids: np.ndarray, frames: np.ndarray) -> list[tuple[int, int]]:
    """Token ranges of at most LONG seconds, cut after silences of 0.125 s and more."""
    ends = np.cumsum(frames) / 40
    cuts = [i for i in range(1, len(ids) - 1) if ids[i] in SILENT and frames[i] >= 5]
    found, first = [], 0
    while ends[-1] - (ends[first - 1] if first else 0) > LONG:
        start = ends[first - 1] if first else 0
        fit = [c for c in cuts if c > first + 8 and 2.5 <= ends[c] - start <= LONG]
        if not fit:
            break
        found.append((first, fit[-1] + 1))
        first = fit[-1] + 1
    return [*found, (first, len(ids))]


def pack(out: Path, most: float = 420.0) -> None:
    """people1.xz and people2.xz: half of the pieces each; `most` seconds of a speaker (600 of the three long voices)."""
    from safetensors.numpy import save

    z = np.load(out / "aligned.npz")
    ends = np.cumsum(z["lengths"])[:-1]
    items, pitch = [], defaultdict(list)
    for name, ids, frames in zip(z["names"], np.split(z["ids"], ends), np.split(z["frames"], ends), strict=True):
        c = np.load(out / "clips" / str(name))
        ids, speaker = ids.astype(int), str(c["speaker"])
        total = int(frames.sum())
        f0 = curve_at_features(c["f0"], 2 * total)
        if (f0 > 0).sum() < 5:
            continue
        pitch[speaker].append(float(np.log(f0[f0 > 0]).mean()))
        energy = np.pad(c["N"], (0, max(0, 2 * total - len(c["N"]))), mode="edge")[: 2 * total]
        border = np.concatenate([[0], np.cumsum(frames)])
        for a, b in pieces_of(ids, frames):
            start, stop = int(border[a]), int(border[b])
            if not SHORTEST <= (stop - start) / 40 <= LONGEST:
                continue
            row, count = ids[a:b].tolist(), frames[a:b].astype(int).tolist()
            if a and row[0] == SPACE:
                row[0] = 0  # the space after the pause is the silence that the piece begins with
            elif a:
                row, count = [0, *row], [0, *count]
            if b < len(ids):
                row, count = [*row, 0], [*count, 0]
            first, length = round(start / 40 * SAMPLE_RATE / HOP), round((stop - start) / 40 * SAMPLE_RATE / HOP)
            mel = c["mel"].astype(np.float32)[first : first + length]
            mel = np.pad(mel, ((0, length - len(mel)), (0, 0)), mode="edge")
            items.append({
                "speaker": speaker, "name": str(name),
                "ids": np.array(row, dtype=np.uint8), "fr": np.array(count, dtype=np.int16),
                "mel": np.clip(np.round((mel + 11.6) * 10), 0, 255).astype(np.uint8),
                "f0": np.round(f0[2 * start : 2 * stop] * 10).astype(np.uint16),
                "N": np.clip(np.round(energy[2 * start : 2 * stop] * 10), -127, 127).astype(np.int8),
            })
    seconds: dict[str, float] = defaultdict(float)
    for i in items:
        seconds[i["speaker"]] += i["fr"].sum() / 40
    fold = folds(seconds, {s: float(np.mean(v)) for s, v in pitch.items()})
    (out / "folds.json").write_text(json.dumps(fold, indent=1))
    rng, used, kept = np.random.default_rng(0), defaultdict(float), []
    for n in rng.permutation(len(items)):
        i = items[n]
        length = i["fr"].sum() / 40
        if used[i["speaker"]] + length <= (600.0 if i["speaker"].startswith(("arctic", "kathleen")) else most):
            used[i["speaker"]] += length
            kept.append(i)
    for part in (1, 2):
        half = kept[(part - 1) * len(kept) // 2 : part * len(kept) // 2]
        tensors = {k: np.concatenate([i[k] for i in half]) for k in ("ids", "fr", "f0", "N")}
        mel = np.concatenate([i["mel"] for i in half]).T.astype(np.int16)  # bands apart, as differences: a third smaller
        tensors["mel"] = np.ascontiguousarray(np.diff(mel, axis=1, prepend=0).astype(np.uint8))
        told = [[i["speaker"], i["name"], fold[i["speaker"]], len(i["ids"]), len(i["f0"]), len(i["mel"])] for i in half]
        tensors["pieces"] = np.frombuffer(json.dumps(told).encode(), dtype=np.uint8)
        (out / f"people{part}.xz").write_bytes(lzma.compress(save(tensors), preset=1))


def folds(seconds: dict[str, float], pitch: dict[str, float]) -> dict[str, str]:
    """Speaker -> phase1, sigma or dev. Native readers with minutes are dealt out along their mean F0."""
    big = sorted((s for s in seconds if s.startswith("librispeech") and seconds[s] > MINUTES), key=lambda s: pitch[s])
    rest = sorted(s for s in seconds if s.startswith("speechocean"))
    dev = {big[i] for i in (3, 10, 18, 24, 31) if i < len(big)} | set(rest[5::20][:3])
    sigma = {big[i] for i in (1, 5, 8, 13, 16, 20, 26, 29, 33) if i < len(big)} | {s for i, s in enumerate(rest) if i % 4 == 1}
    return {s: "dev" if s in dev else "sigma" if s in sigma else "phase1" for s in seconds}


def texts(out: Path, lines: Path, voices: Path, count: int = 3200) -> None:
    """texts.safetensors: sentences with styles of Kokoro's voices, mixed by pairs; four voices are held out."""
    from safetensors.numpy import save_file
    from safetensors.torch import load_file

    styles = {k: v.float().numpy() for k, v in load_file(str(voices)).items()}
    held_out = ("af_bella", "am_michael", "bf_emma", "bm_george")
    rng = np.random.default_rng(7)
    pool = [t.strip() for t in lines.read_text().splitlines() if 20 < len(t.strip()) < 110]
    rows: dict[str, list] = defaultdict(list)
    for n, k in enumerate(rng.permutation(len(pool))[:count]):
        held = n % 25 == 0
        names = [v for v in sorted(styles) if (v in held_out) == held]
        a = names[rng.integers(len(names))]
        alike = [v for v in names if v[0] == a[0]]
        b = alike[rng.integers(len(alike))]
        ids = symbols_of(pool[k], a[0] == "b")
        if not 17 < len(ids) < 132:
            continue
        x, y = styles[a][len(ids) - 2], styles[b][len(ids) - 2]
        share = 0.0 if held else float(rng.choice([0, 0, 0.3, 0.5]))
        style = (1 - share) * x + share * y
        if not held and rng.random() < 0.25:
            style = np.concatenate([x[:128], y[128:]])
        rows["ids"].append(np.array(ids, dtype=np.uint8))
        rows["style"].append(style.astype(np.float16))
        rows["speed"].append(1.0 if held else float(rng.choice([0.9, 1.0, 1.0, 1.1])))
        rows["held"].append(held)
    save_file({
        "ids": np.concatenate(rows["ids"]), "lengths": np.array([len(i) for i in rows["ids"]], dtype=np.int32),
        "style": np.stack(rows["style"]), "speed": np.array(rows["speed"], dtype=np.float32), "held": np.array(rows["held"]),
    }, str(out / "texts.safetensors"))


def main() -> None:
    p = argparse.ArgumentParser()
    p.add_argument("what", choices=["features", "texts", "own", "align", "pack"])
    p.add_argument("folders", nargs="+", type=Path)
    p.add_argument("--texts", type=Path)
    p.add_argument("--voices", type=Path)
    p.add_argument("--sentences", type=int, default=220)
    p.add_argument("--own-aligner", action="store_true", help="estimate one (needs `own`); otherwise the starter's")
    a = p.parse_args()
    torch.set_num_threads(1)
    if a.what == "features":
        features(*a.folders)
    elif a.what == "texts":
        texts(a.folders[0], a.texts, a.voices)
    elif a.what == "own":
        own(a.folders[0], a.sentences)
    elif a.what == "align":
        align(a.folders[0], not a.own_aligner)
    else:
        pack(a.folders[0])


if __name__ == "__main__":
    main()

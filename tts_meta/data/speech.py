"""Speech corpora as cached features: log-mels, F0 and phonemes of every utterance, memory-mapped.

A prepared folder holds `mels.npy` `[N, 80]` float16, `f0.npy` `[N]` float16 (frames of all utterances end to end) and
`index.json` (symbols, utterances). `prepare` makes it with several processes; `SpeechCorpus` reads it.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from multiprocessing import get_context
from pathlib import Path

import numpy as np
from tqdm import tqdm

from tts_meta.audio.features import clip_features
from tts_meta.audio.files import read_audio, replace_file
from tts_meta.data.layouts import Clip
from tts_meta.errors import InputError
from tts_meta.text.phonemes import BOUNDARY, MARKS, SILENCE, Phone, SymbolTable, phonemize

INDEX = "index.json"
"""Of a prepared folder: its symbols, its language, and what is said by whom where."""


@dataclass(frozen=True)
class Utterance:
    """One utterance of a prepared corpus; `offset` and `frames` address the two frame arrays."""

    speaker: str
    corpus: str
    recording: str  # the file it came from: support and query never share one unless a speaker has a single file
    text: str
    phones: tuple[tuple[str, int], ...]
    offset: int
    frames: int


def _features(job: tuple[Clip, float, str]) -> tuple | None:
    clip, warp, voice = job
    samples, rate = read_audio(clip.path)
    end = len(samples) if clip.end is None else int(clip.end * rate)
    found = clip_features(samples[int(clip.start * rate) : end], rate, warp)
    if found is None:
        return None
    try:
        phones = phonemize(clip.text, voice)
    except InputError:
        return None
    # Under 2 frames a phone the text cannot have been said in that time: a wrong transcript.
    if len(found.mel) < 2 * len(phones) or len(found.mel) > 1300:
        return None
    return found.mel.astype(np.float16), found.f0.astype(np.float16), [(p.symbol, p.stress) for p in phones]


def prepare(
    clips: Iterable[Clip],
    folder: str | Path,
    workers: int = 2,
    warps: dict[str, list[float]] | None = None,
    espeak_voice: str = "en-us",
) -> int:
    """Compute and cache the features of `clips` under `folder`; returns how many utterances were kept.

    `warps`: corpus -> speed factors that each make one more set of speakers (`SPEAKER@FACTOR`) of that corpus.
    `espeak_voice`: the language the texts are read in (espeak-ng's name of it), kept with the corpus and the starter.
    Clips with no speech, no text or a text that cannot fit are left out.
    """
    folder = Path(folder)
    jobs = [(c, 1.0, espeak_voice) for c in clips]
    jobs += [(c, w, espeak_voice) for c, _, _ in jobs for w in (warps or {}).get(c.corpus, [])]
    utterances: list[Utterance] = []
    mels, f0s, offset = [], [], 0
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn"), initializer=_one_thread) as pool:
        results = pool.map(_features, jobs, chunksize=8)
        for (clip, warp, _), found in zip(jobs, tqdm(results, total=len(jobs), desc="features"), strict=True):
            if found is None:
                continue
            mel, f0, phones = found
            speaker = f"{clip.corpus}/{clip.speaker}" + (f"@{warp:g}" if warp != 1.0 else "")
            utterances.append(
                Utterance(speaker, clip.corpus, str(clip.path.name), clip.text, tuple(phones), offset, len(mel))
            )
            mels.append(mel)
            f0s.append(f0)
            offset += len(mel)
    if not utterances:
        raise InputError(f"No clip of {len(jobs)} could be used for {folder}; check the audio and the transcripts.")
    symbols = sorted({s for u in utterances for s, _ in u.phones} | {SILENCE, BOUNDARY, *MARKS})
    folder.mkdir(parents=True, exist_ok=True)
    (folder / INDEX).unlink(missing_ok=True)  # a crash from here on leaves no corpus, rather than the old index beside new frames
    np.save(folder / "mels.npy", np.concatenate(mels))
    np.save(folder / "f0.npy", np.concatenate(f0s))
    index = {"symbols": symbols, "espeak_voice": espeak_voice, "utterances": [asdict(u) for u in utterances]}
    replace_file(folder / INDEX, json.dumps(index).encode())
    return len(utterances)


def _one_thread() -> None:
    import torch

    torch.set_num_threads(1)


class SpeechCorpus:
    """A prepared folder, memory-mapped. Raises InputError when it is not one."""

    def __init__(self, folder: str | Path) -> None:
        folder = Path(folder)
        if not (folder / INDEX).is_file():
            raise InputError(f"{folder} is not a prepared corpus; run `python recipes/starter/prepare.py` to make it.")
        index = json.loads((folder / INDEX).read_text())
        self.symbols: list[str] = index["symbols"]
        self.espeak_voice: str = index.get("espeak_voice", "en-us")
        self.utterances = [Utterance(**{**u, "phones": tuple(map(tuple, u["phones"]))}) for u in index["utterances"]]
        self.mels = np.load(folder / "mels.npy", mmap_mode="r")
        self.f0s = np.load(folder / "f0.npy", mmap_mode="r")

    def mel(self, u: Utterance) -> np.ndarray:
        """Log-mel `[L, 80]` float32 (nats)."""
        return np.asarray(self.mels[u.offset : u.offset + u.frames], dtype=np.float32)

    def f0(self, u: Utterance) -> np.ndarray:
        """F0 `[L]` float32 (Hz), 0 = unvoiced."""
        return np.asarray(self.f0s[u.offset : u.offset + u.frames], dtype=np.float32)

    def phones(self, u: Utterance, table: SymbolTable) -> tuple[list[int], list[int]]:
        return table.encode([Phone(s, k) for s, k in u.phones])

    def by_speaker(self) -> dict[str, list[Utterance]]:
        """Utterances of each speaker, in corpus order."""
        groups: dict[str, list[Utterance]] = defaultdict(list)
        for u in self.utterances:
            groups[u.speaker].append(u)
        return dict(groups)

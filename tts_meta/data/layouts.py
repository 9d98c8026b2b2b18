"""Corpora as lists of `Clip`: this project's packs, and the folder layouts of LibriTTS, VCTK and LJSpeech.

Every reader names what it expected when a file is missing, and never reads audio.
"""

from __future__ import annotations

import csv
import json
from dataclasses import dataclass
from pathlib import Path

from tts_meta.audio.files import read_audio
from tts_meta.data.segments import cut_at_pauses
from tts_meta.errors import InputError


@dataclass(frozen=True)
class Clip:
    """One utterance of a corpus; `start`/`end` (s) choose a piece of the file, end None is its end."""

    path: Path
    speaker: str
    corpus: str
    text: str
    start: float = 0.0
    end: float | None = None


def read_manifest(path: Path) -> list[dict[str, str]]:
    """Rows of a tab-separated manifest with a header, no quoting. Raises InputError on a missing file or column."""
    if not path.is_file():
        raise InputError(f"{path} does not exist; a manifest.tsv with corpus, speaker, path, text is expected.")
    with open(path, newline="", encoding="utf-8") as f:
        rows = list(csv.DictReader(f, delimiter="\t", quoting=csv.QUOTE_NONE))
    missing = {"corpus", "speaker", "path", "text"} - set(rows[0] if rows else ())
    if missing:
        raise InputError(f"{path} lacks the column(s) {', '.join(sorted(missing))}; corpus, speaker, path, text needed.")
    return rows


def read_pack(root: str | Path, words: str | Path | None = None) -> list[Clip]:
    """A pack of this project: `manifest.tsv` beside the clips.

    `words` (JSON made by recipes/starter/transcribe_words.py: path -> word times) cuts the clips it names at their pauses;
    clips whose text came from a recogniser and that have no word times are left out.
    """
    root = Path(root)
    times = json.loads(Path(words).read_text()) if words else {}
    clips = []
    for row in read_manifest(root / "manifest.tsv"):
        path = root / row["path"]
        if row["path"] in times:
            samples, rate = read_audio(path)
            for start, end, text in cut_at_pauses(samples, rate, times[row["path"]]):
                clips.append(Clip(path, row["speaker"], row["corpus"], text, float(start), float(end)))
        elif row.get("text_source", "given") == "given":
            clips.append(Clip(path, row["speaker"], row["corpus"], row["text"]))
    return clips


def read_libritts(root: str | Path) -> list[Clip]:
    """LibriTTS: `[subset/]speaker/chapter/ID.wav` beside `ID.normalized.txt`; LibriSpeech's `*.trans.txt` also works."""
    root = Path(root)
    clips = []
    for text in sorted(root.rglob("*.normalized.txt")):
        wav = text.with_name(text.name.removesuffix(".normalized.txt") + ".wav")
        if wav.exists():
            clips.append(Clip(wav, text.parent.parent.name, "libritts", text.read_text(encoding="utf-8").strip()))
    for transcript in sorted(root.rglob("*.trans.txt")):
        for line in transcript.read_text(encoding="utf-8").splitlines():
            name, _, words = line.partition(" ")
            audio = transcript.with_name(name + ".flac")
            if audio.exists():
                clips.append(Clip(audio, transcript.parent.parent.name, "librispeech", words.capitalize()))
    if not clips:
        raise InputError(f"{root} holds no LibriTTS clips; speaker/chapter/ID.wav with ID.normalized.txt is expected.")
    return clips


def read_vctk(root: str | Path) -> list[Clip]:
    """VCTK 0.92: `txt/pNNN/pNNN_MMM.txt` and `wav48_silence_trimmed/pNNN/pNNN_MMM_mic1.flac` (or `wav48/.../.wav`)."""
    root = Path(root)
    clips = []
    for text in sorted((root / "txt").glob("*/*.txt")):
        speaker, name = text.parent.name, text.stem
        options = [
            root / "wav48_silence_trimmed" / speaker / f"{name}_mic1.flac",
            root / "wav48" / speaker / f"{name}.wav",
        ]
        audio = next((p for p in options if p.exists()), None)
        if audio is not None:
            clips.append(Clip(audio, speaker, "vctk", text.read_text(encoding="utf-8").strip()))
    if not clips:
        raise InputError(
            f"{root} holds no VCTK clips; txt/pNNN/*.txt with wav48_silence_trimmed/pNNN/*_mic1.flac "
            "(or wav48/pNNN/*.wav) is expected."
        )
    return clips


def read_ljspeech(root: str | Path) -> list[Clip]:
    """LJSpeech: `metadata.csv` (`ID|text|normalised text`) and `wavs/ID.wav`; one speaker."""
    root = Path(root)
    table = root / "metadata.csv"
    if not table.is_file():
        raise InputError(f"{table} does not exist; LJSpeech's metadata.csv beside wavs/ is expected.")
    clips = []
    for line in table.read_text(encoding="utf-8").splitlines():
        fields = line.split("|")
        wav = root / "wavs" / f"{fields[0]}.wav"
        if len(fields) >= 2 and wav.exists():
            clips.append(Clip(wav, "LJ", "ljspeech", fields[-1].strip() or fields[1].strip()))
    if not clips:
        raise InputError(f"{root} holds no clips that metadata.csv names; wavs/ID.wav is expected for each line ID|text.")
    return clips


LAYOUTS = {"pack": read_pack, "libritts": read_libritts, "vctk": read_vctk, "ljspeech": read_ljspeech}

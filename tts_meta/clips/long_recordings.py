"""A lecture, an audio book, an hour of radio: cut at its pauses into clips before anything else looks at it.

The recording is decoded in windows, so that its length costs no memory.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Collection, Iterator
from pathlib import Path

import numpy as np
import soundfile

from tts_meta.audio.activity import speech_spans
from tts_meta.audio.decoding import Source, mix, open_source
from tts_meta.clips.cutting import LONGEST_WITH_TEXT, choose
from tts_meta.errors import InputError

WINDOW = 240.0  # s decoded at once
MOST = 1200.0
"""Seconds of clips that are made of one recording; a voice gains nothing from more."""
PAUSE, MARGIN = 0.25, 0.2  # s: the shortest pause to cut in; what is kept of it on each side
LONGEST_PIECE = 15.0
_folders: list[tempfile.TemporaryDirectory] = []
"""The clips last as long as the process: what is learned from them is kept elsewhere."""
_whole: dict[Path, Path] = {}
"""The recording that a clip was cut from."""


def cut_from(clip: Path) -> Path | None:
    """The recording that `cut_long_recordings` cut `clip` from; None for a file of its own."""
    return _whole.get(clip)


def seconds_of(path: Path) -> float:
    """The length a file's header tells (s); 0 when it tells none or cannot be read."""
    try:
        source = open_source(path)
    except InputError:
        return 0.0
    return source.frames / source.rate if source.rate else 0.0


def _windows(source: Source) -> Iterator[np.ndarray]:
    """Mono samples, WINDOW s at a time."""
    weights, parts, count = None, [], 0
    size = int(WINDOW * source.rate)
    for block in source.blocks():
        parts.append(block)
        count += len(block)
        if count >= size:
            whole = np.concatenate(parts)
            weights = mix(iter([whole]), source.channels) if weights is None else weights
            yield (whole @ weights).astype(np.float32)
            parts, count = [], 0
    if parts:
        whole = np.concatenate(parts)
        yield (whole @ (mix(iter([whole]), source.channels) if weights is None else weights)).astype(np.float32)


def pieces(source: Source) -> Iterator[np.ndarray]:
    """Stretches of speech of some seconds each, `[N]` at the source's rate; what has no pause to cut in is left out."""
    rest = np.zeros(0, np.float32)
    for window in _windows(source):
        samples = np.concatenate([rest, window])
        spans = speech_spans(samples, source.rate)
        if not spans:
            rest = samples[:0]
            continue
        gaps = [(a[1], b[0]) for a, b in zip(spans, spans[1:], strict=False) if b[0] - a[1] >= PAUSE]
        cuts = choose(gaps, spans[0][0], spans[-1][1])
        edges = [(spans[0][0] - MARGIN, spans[0][0]), *cuts, (spans[-1][1], spans[-1][1] + MARGIN)]
        for left, right in zip(edges, edges[1:], strict=False):
            start, end = max(0.0, left[1] - MARGIN), min(len(samples) / source.rate, right[0] + MARGIN)
            # The last piece may go on in the next window.
            if right is edges[-1] and len(window) >= int(WINDOW * source.rate):
                break
            if 1.0 <= end - start <= LONGEST_PIECE + 1:
                yield samples[int(start * source.rate) : int(end * source.rate)]
        rest = samples[int(max(0.0, edges[-2][1] - MARGIN) * source.rate) :] if len(edges) > 1 else samples[:0]
        rest = rest[-int(LONGEST_PIECE * 2 * source.rate) :]


def cut_long_recordings(
    clips: list[Path], with_text: Collection[Path], say: Callable[[str], None] = lambda message: None, most: float = MOST,
) -> list[Path]:
    """`clips` with every recording of more than LONGEST_WITH_TEXT s replaced by clips cut from it. Those of it that are in
    `with_text` lose their text, which is too long to be placed: the clips are to be transcribed. `most` seconds of clips are
    made of one recording.

    They are temporary files and are removed when the process ends. `say` is told what was cut, and what was not used.
    """
    found: list[Path] = []
    for clip in clips:
        seconds = seconds_of(clip)
        if seconds <= LONGEST_WITH_TEXT:
            found.append(clip)
            continue
        _folders.append(tempfile.TemporaryDirectory(prefix="tts-meta-cut-"))
        made: list[Path] = []
        folder, used = Path(_folders[-1].name) / "clips", 0.0
        folder.mkdir()  # texts are also looked for in the folder above, which is to be nobody's
        source = open_source(clip)
        for samples in pieces(source):
            path = folder / f"{clip.stem}-{len(made) + 1:03d}.flac"
            soundfile.write(path, np.clip(samples, -1, 1), source.rate, subtype="PCM_16")
            made.append(path)
            used += len(samples) / source.rate
            if used >= most:
                break
        if not made:
            found.append(clip)  # the clip doctor says what is wrong with it
            continue
        _whole.update(dict.fromkeys(made, clip))
        minutes = f"{used / 60:.0f} minutes" if used >= 90 else "minute"
        more = f"; its first {minutes} of speech are used" if used >= most else ""
        text = (f". Its text is not used: one of more than {LONGEST_WITH_TEXT / 60:.0f} minutes cannot be placed"
                if clip in with_text else "")
        say(f"{clip.name} lasts {seconds / 60:.0f} minutes: it is cut at its pauses into {len(made)} clips{more}{text}.")
        found += made
    return found

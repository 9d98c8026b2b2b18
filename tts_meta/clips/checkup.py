"""Recordings and their texts -> what can be learned from, and a finding for everything that is wrong or doubtful.

The command line (`tts-meta check`, `tts-meta clone`) and the page show the same Checkup; a clone learns from its usable
clips. Thresholds of the text and of the speaker were set on development clips (docs/clips.md says how).
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from pathlib import Path

from tts_meta.audio.files import read_recording
from tts_meta.clips.clip_check import Checkup, ClipCheck
from tts_meta.clips.cutting import Piece, cut
from tts_meta.clips.findings import Finding
from tts_meta.clips.set_check import check_set, meter_of
from tts_meta.clips.sound_check import check_sound
from tts_meta.clips.speaker_check import same_sound, same_voice
from tts_meta.clips.text_check import align_clips, check_text, prepare_text
from tts_meta.clips.whole_clips import SHORTEST
from tts_meta.errors import InputError
from tts_meta.starters.interface import Network
from tts_meta.starters.small_starter import Starter

LONGEST = 15.0  # s; longer recordings are cut


def check_clips(paths: Sequence[Path], texts: dict[Path, str], network: Network) -> Checkup:
    """Check files and their texts (a file without one is checked as sound only). Never raises for a bad file."""
    starter = network.checker
    clips: list[ClipCheck] = []
    seen: dict[str, Path] = {}
    for path in paths:
        clips += _check_file(Path(path), texts.get(path), starter, seen)
    align_clips([c for c in clips if c.used], starter)
    same_sound(clips)
    same_voice(clips)
    for c in clips:
        if c.used:
            check_text(c, starter)
    for c in clips:
        if c.level == "red":
            c.used = None
    meter = meter_of(clips, starter.table, network.kind)
    return Checkup(clips, check_set(clips, meter), meter)


def _check_file(path: Path, text: str | None, starter: Starter, seen: dict[str, Path]) -> list[ClipCheck]:
    whole = ClipCheck(path, 0.0, 0.0, text or "")
    try:
        recording = read_recording(path)
        samples, rate = recording.samples, recording.rate
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        whole.end = len(samples) / rate
        if digest in seen:
            raise InputError(f"It is the same recording as {seen[digest].name}; leave one out.")
        seen[digest] = path
        if whole.end < SHORTEST:
            raise InputError(f"It lasts {whole.end:.2f} s; clips of at least {SHORTEST} s are expected.")
        if whole.end <= LONGEST:
            pieces = [Piece(0.0, whole.end, text)]
        else:
            pieces = cut(samples, rate, text, starter)
            if not pieces:
                raise InputError("No speech was found in it; record it again or leave it out.")
    except InputError as e:
        # The clip's name is shown beside the sentence.
        sentence = re.sub(rf"^{re.escape(str(path))} ", "it ", str(e)).replace(str(path), path.name)
        whole.findings.append(Finding("red", "file", sentence[:1].upper() + sentence[1:]))
        return [whole]
    found = []
    for p in pieces:
        c = ClipCheck(path, p.start, p.end, p.text or "")
        c.findings += [Finding("amber", "file", *problem) for problem in recording.problems]
        check_sound(c, samples[int(p.start * rate) : int(p.end * rate)], rate)
        if c.end - c.start > LONGEST + 1:
            c.findings.append(Finding(
                "red", "length", f"{c.end - c.start:.0f} s without a pause to cut in.", "Cut it by hand into clips of 1 to 12 s.",
            ))
        if c.samples is not None and c.level != "red" and text is not None:
            prepare_text(c, rate, digest, starter)
        found.append(c)
    return found

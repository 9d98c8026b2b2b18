"""Clips beside each other: the same recording twice, another speaker, another microphone."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from tts_meta.audio.mel import SAMPLE_RATE
from tts_meta.clips.clip_check import ClipCheck
from tts_meta.clips.findings import Finding
from tts_meta.measures.similarity import centroid, embed

OTHER_VOICE, DOUBTFUL_VOICE = 0.65, 0.76  # cosine to the other clips' centroid: red, amber
BRIEF, DOUBTFUL_BRIEF = 2.0, 0.72  # s of speech: the likeness of briefer clips spreads wider, amber comes later


def same_sound(clips: list[ClipCheck]) -> None:
    """The same recording under another name, format or loudness: the same course of the mel."""
    heard: list[tuple[ClipCheck, np.ndarray]] = []
    for c in clips:
        if not c.used or c.level == "red":
            continue
        mel = c.used.features.mel
        shape = mel - mel.mean(0)
        shape /= shape.std() + 1e-6
        for other, theirs in heard:
            length = min(len(shape), len(theirs))
            if abs(len(shape) - len(theirs)) <= 4 and float((shape[:length] * theirs[:length]).mean()) > 0.9:
                sentence = f"It is the same recording as {other.path.name}."
                c.findings.append(Finding("red", "duplicate", sentence, "Leave one out."))
                break
        else:
            heard.append((c, shape))


def _embedding(c: ClipCheck) -> np.ndarray:
    """Of the trimmed sound where there is one; a used clip keeps it."""
    if c.used is None:
        assert c.samples is not None
        return embed(c.samples, int(c.measures["sample_rate"] or 0))
    found = embed(c.used.features.samples, SAMPLE_RATE)
    c.used = replace(c.used, embedding=found)
    return found


def same_voice(clips: list[ClipCheck]) -> None:
    """A clip unlike the others' centroid is of another speaker, or of another microphone."""
    known = [c for c in clips if c.samples is not None and c.level != "red"]
    if len(known) < 3:
        return
    embeddings = [_embedding(c) for c in known]
    for i, c in enumerate(known):
        likeness = float(embeddings[i] @ centroid([e for j, e in enumerate(embeddings) if j != i]))
        c.measures["voice_likeness"] = likeness
        if likeness < OTHER_VOICE:
            c.findings.append(Finding("red", "speaker", f"It sounds like another speaker than the other clips ({likeness:.2f}).",
                                      "Leave it out, or record it again in the same place."))
        elif likeness < (DOUBTFUL_BRIEF if (c.measures["speech_seconds"] or 0.0) < BRIEF else DOUBTFUL_VOICE):
            c.findings.append(Finding("amber", "speaker", f"It is less like the other clips than is usual ({likeness:.2f}).",
                                      "Check that one person speaks, with the same microphone."))

"""Recordings and their texts -> what can be learned from, and a finding for everything that is wrong or doubtful.

The command line (`tts-meta check`, `tts-meta clone`) and the page show the same Checkup; a clone learns from its usable
clips. Thresholds of the text and of the speaker were set on development clips (docs/clips.md says how).
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from tts_meta.audio.activity import shorten_pauses, speech_spans
from tts_meta.audio.features import ClipFeatures, clip_features
from tts_meta.audio.files import read_recording
from tts_meta.audio.measures import bandwidth, clipped_share, longest_pause, loudness, signal_to_noise
from tts_meta.audio.mel import SAMPLE_RATE
from tts_meta.clips.cutting import Piece, cut
from tts_meta.clips.findings import Finding, worst
from tts_meta.clips.sound_coverage import missing_sounds
from tts_meta.clips.speech_meter import Meter, expected
from tts_meta.clips.text_margin import transcript_margin
from tts_meta.clips.whole_clips import CLIPPED, ENOUGH_SPEECH, SHORTEST, UsedClip
from tts_meta.data.batch import make_item
from tts_meta.data.tasks import align_items
from tts_meta.errors import InputError
from tts_meta.measures.similarity import centroid, embed
from tts_meta.starters.interface import Network
from tts_meta.starters.small_starter import Starter
from tts_meta.text.phonemes import SymbolTable, phonemize

LONGEST = 15.0  # s; longer recordings are cut
TOUCHED = 0.0005  # share of samples at full scale: amber
NOISY, VERY_NOISY = 20.0, 8.0  # dB between speech and pauses: amber, red
MUFFLED = 5500.0  # Hz
OTHER_TEXT, DOUBTFUL_TEXT = 0.4, 0.85  # nats a frame over decoy texts: red, amber
OTHER_VOICE, DOUBTFUL_VOICE = 0.65, 0.76  # cosine to the other clips' centroid: red, amber
BRIEF, DOUBTFUL_BRIEF = 2.0, 0.72  # s of speech: the likeness of briefer clips spreads wider, amber comes later
LONG_PAUSE, KEPT_PAUSE = 1.5, 0.5  # s between two stretches of speech: amber; what is kept of it
FAST, SLOW = 22.0, 5.0  # phones a second of speech
WHISPERED, HARDLY_VOICED = 0.05, 0.2  # share of the loud frames that have a pitch: red, amber; speech has 0.35 to 0.6


@dataclass
class ClipCheck:
    """One clip, or one piece of a long recording: measures, findings, and what a clone would learn from (None: nothing)."""

    path: Path
    start: float
    end: float
    text: str
    measures: dict[str, float | None] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)
    used: UsedClip | None = None
    samples: np.ndarray | None = None

    @property
    def level(self) -> str:
        return worst(self.findings)

    def to_dict(self) -> dict:
        reasons = [f.sentence for f in self.findings if f.level == "red"]
        return {
            "file": str(self.path), "start": round(self.start, 2), "seconds": round(self.end - self.start, 2), "text": self.text,
            "used": self.used is not None, "reason": "; ".join(reasons), "level": self.level,
            **{k: None if v is None else round(v, 3) for k, v in self.measures.items()},
            "findings": [f.to_dict() for f in self.findings],
        }


@dataclass
class Checkup:
    """All clips, findings about the set, the meter, and what was said of files that were passed over and texts that were
    guessed."""

    clips: list[ClipCheck]
    findings: list[Finding]
    meter: Meter
    notes: list[str] = field(default_factory=list)

    @property
    def used(self) -> list[UsedClip]:
        return [c.used for c in self.clips if c.used is not None]

    def require(self) -> list[UsedClip]:
        """What a clone learns from. Raises InputError when that is too little."""
        for f in self.findings:
            if f.level == "red":
                raise InputError(f"{f.sentence} {f.fix}")
        return self.used

    @property
    def level(self) -> str:
        """Red when nothing can be cloned from it, amber when something is doubtful or left out."""
        doubtful = any(c.level != "green" for c in self.clips)
        return max((worst(self.findings), "amber" if doubtful else "green"), key=("green", "amber", "red").index)

    def to_dict(self) -> dict:
        return {
            "level": self.level, "meter": self.meter.to_dict(), "findings": [f.to_dict() for f in self.findings],
            "clips": [c.to_dict() for c in self.clips], "notes": self.notes,
        }


def check_clips(paths: Sequence[Path], texts: dict[Path, str], network: Network) -> Checkup:
    """Check files and their texts (a file without one is checked as sound only). Never raises for a bad file."""
    starter = network.checker
    clips: list[ClipCheck] = []
    seen: dict[str, Path] = {}
    for path in paths:
        clips += _check_file(Path(path), texts.get(path), starter, seen)
    _align([c for c in clips if c.used], starter)
    _same_sound(clips)
    _same_voice(clips)
    for c in clips:
        if c.used:
            _check_text(c, starter)
    for c in clips:
        if c.level == "red":
            c.used = None
    meter = _meter(clips, starter.table)
    return Checkup(clips, _check_set(clips, meter), meter)


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
        _check_sound(c, samples[int(p.start * rate) : int(p.end * rate)], rate)
        if c.end - c.start > LONGEST + 1:
            c.findings.append(Finding(
                "red", "length", f"{c.end - c.start:.0f} s without a pause to cut in.", "Cut it by hand into clips of 1 to 12 s.",
            ))
        if c.samples is not None and c.level != "red" and text is not None:
            _prepare(c, rate, digest, starter)
        found.append(c)
    return found


def _check_sound(c: ClipCheck, samples: np.ndarray, rate: int) -> None:
    """Everything that the samples alone tell."""
    peak = float(np.abs(samples).max(initial=0.0))
    spans = speech_spans(samples, rate) if peak >= 1e-3 else []
    speech = sum(b - a for a, b in spans)
    seconds = len(samples) / rate
    noise = signal_to_noise(samples, rate, spans) if spans else None
    c.measures = {
        "speech_seconds": speech, "speech_ratio": speech / seconds if seconds else 0.0, "longest_pause": longest_pause(spans),
        "clipped": clipped_share(samples), "snr_db": noise, "loudness_lufs": loudness(samples, rate),
        "bandwidth_hz": bandwidth(samples, rate), "sample_rate": float(rate),
    }
    add = c.findings.append
    if peak < 1e-3:
        add(Finding("red", "silence", "The clip is silent.", "Record it again; look at the microphone's level."))
        return
    if speech < 0.3:
        add(Finding("red", "silence", "No speech was found in it.", "Record it again or leave it out."))
        return
    c.samples = samples
    share = c.measures["clipped"] or 0.0
    if share >= CLIPPED:
        add(Finding("red", "clipping", f"It is clipped: {100 * share:.1f} % of it is cut off, too loud for its recording.",
                    "Record it again at a lower level, or further from the microphone."))
    elif share >= TOUCHED:
        add(Finding("amber", "clipping", "A few of its peaks are cut off.", "Lower the microphone's level a little."))
    if noise is not None and noise < NOISY:
        red = noise < VERY_NOISY
        add(Finding("red" if red else "amber", "noise", f"Speech is only {noise:.0f} dB above the noise of the pauses.",
                    "Record in a quiet, soft room, close to the microphone."))
    if (c.measures["bandwidth_hz"] or rate) < MUFFLED:
        add(Finding("amber", "bandwidth", f"Nothing above {c.measures['bandwidth_hz']:.0f} Hz: it sounds like a telephone, "
                    "and so will the voice.", "Record with the device itself, not in a call; save as wav or flac."))
    level = c.measures["loudness_lufs"]
    if level is not None and level < -42:
        add(Finding("amber", "loudness", f"It is very quiet ({level:.0f} LUFS).", "Raise the microphone's level or come closer."))
    pause = longest_pause(spans)
    if pause > LONG_PAUSE:
        # An aligner that knows speech knows no such pauses: it would call the text wrong.
        c.samples = shorten_pauses(samples, rate, spans, LONG_PAUSE, KEPT_PAUSE)
        add(Finding("amber", "pauses", f"It has a pause of {pause:.1f} s, of which {KEPT_PAUSE} s are used.",
                    "Read a sentence without stopping."))


def _prepare(c: ClipCheck, rate: int, digest: str, starter: Starter) -> None:
    """Features and phonemes; finds texts that cannot be the clip's by their length."""
    assert c.samples is not None
    add = c.findings.append
    try:
        ids, stress = starter.table.encode(phonemize(c.text, starter.espeak_voice, inventory=starter.table.inventory))
    except InputError as e:
        add(Finding("red", "text", str(e), "Write what is said in the clip."))
        return
    features = clip_features(c.samples, rate)
    if features is None:
        add(Finding("red", "silence", "No speech was found in it.", "Record it again or leave it out."))
        return
    spoken = len(ids) - 2
    c.measures["phones_per_second"] = speed = spoken / features.speech_seconds
    if len(features.mel) < 2 * len(ids):
        add(Finding("red", "text", "Its transcript is too long to be said in that time.", "Write what is said, no more."))
    elif features.speech_seconds > 0.6 * len(ids):
        add(Finding("red", "text", "Its transcript is too short for that much speech.", "Write all that is said."))
    elif (voiced := voiced_share(features)) < WHISPERED:
        c.measures["voiced"] = voiced
        add(Finding("red", "voicing", "It is whispered: nothing in it has a pitch, which a voice is learned from.",
                    "Say it aloud, or leave it out."))
    else:
        c.measures["voiced"] = voiced
        if voiced < HARDLY_VOICED:
            add(Finding("amber", "voicing", f"Only {100 * voiced:.0f} % of it has a pitch: it is hoarse or half whispered.",
                        "Say it in your usual voice."))
        if not SLOW <= speed <= FAST:
            how = "slow" if speed < SLOW else "fast"
            add(Finding("amber", "rate", f"It is read very {how} ({speed:.0f} sounds a second), or its text is not what is said.",
                        "Check the text; read as you would tell a friend."))
        c.used = UsedClip(c.path, c.text, features, make_item(ids, stress, features.mel, features.f0, starter.norm), digest)


def voiced_share(features: ClipFeatures) -> float:
    """Share of the frames within 4 nats of the loudest that have a pitch."""
    level = features.mel.mean(-1)
    return float((features.f0[level > np.percentile(level, 95) - 4] > 0).mean())


def _align(clips: list[ClipCheck], starter: Starter) -> None:
    used = [c.used for c in clips if c.used]
    for c, item in zip(clips, align_items(starter.model, [u.item for u in used]), strict=True):
        assert c.used is not None
        c.used = replace(c.used, item=item)


def _check_text(c: ClipCheck, starter: Starter) -> None:
    assert c.used is not None
    fit, margin = transcript_margin(starter, c.used.item)
    c.measures |= {"alignment": fit, "text_margin": margin}
    if margin < OTHER_TEXT:
        if any(f.about == "noise" for f in c.findings):
            c.findings.append(Finding("red", "text", "The noise hides what is said: other texts fit as well as its own.",
                                      "Record in a quiet, soft room, close to the microphone."))
        else:
            c.findings.append(Finding("red", "text", "The sounds do not fit its text: other texts fit as well.",
                                      "Listen to it and write what is said."))
    elif margin < DOUBTFUL_TEXT:
        c.findings.append(Finding("amber", "text", "Part of its text may not be what is said.",
                                  "Listen to it and check the text."))


def _same_sound(clips: list[ClipCheck]) -> None:
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


def _same_voice(clips: list[ClipCheck]) -> None:
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


def _meter(clips: list[ClipCheck], table: SymbolTable) -> Meter:
    usable = [c for c in clips if c.level != "red" and c.samples is not None]
    speech = sum(c.measures["speech_seconds"] or 0.0 for c in usable)
    used = [c.used for c in usable if c.used]
    missing = missing_sounds(table.symbols[i - 1] for u in used for i in u.item.phones) if used else None
    # The curve was measured against the length of trimmed clips, pauses and all.
    seconds = sum(c.used.features.seconds if c.used else (c.measures["speech_seconds"] or 0.0) for c in usable)
    return Meter(len(usable), speech, missing, expected(seconds))


def _why(c: ClipCheck) -> str:
    """The first red finding as half a sentence."""
    sentence = next(f.sentence for f in c.findings if f.level == "red").rstrip(".")
    return sentence.removeprefix(f"{c.path.name} ")


def _check_set(clips: list[ClipCheck], meter: Meter) -> list[Finding]:
    found = []
    if meter.speech_seconds < ENOUGH_SPEECH:
        red = [c for c in clips if c.level == "red"]
        why = f" ({red[0].path.name}: {_why(red[0])})" if red else ""
        found.append(Finding(
            "red", "amount",
            f"The clips hold {meter.speech_seconds:.1f} s of usable speech{why}; at least {ENOUGH_SPEECH:.0f} s is expected.",
            "Record some more; `tts-meta prompts` has sentences to read.",
        ))
    elif meter.speech_seconds < 15:
        found.append(Finding("amber", "amount", f"{meter.speech_seconds:.0f} s of usable speech: enough to try.",
                             "Half a minute makes a better voice."))
    if meter.missing is not None and len(meter.missing) > 8:
        found.append(Finding("amber", "sounds", f"{len(meter.missing)} sounds of English are in no clip.",
                             "Read some of the sentences of `tts-meta prompts`."))
    return found

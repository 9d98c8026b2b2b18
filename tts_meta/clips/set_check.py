"""All clips together: how much there is, and whether that is enough."""

from __future__ import annotations

from tts_meta.clips.clip_check import ClipCheck
from tts_meta.clips.findings import Finding
from tts_meta.clips.sound_coverage import missing_sounds
from tts_meta.clips.speech_meter import Meter, expected, measured_speakers
from tts_meta.clips.whole_clips import ENOUGH_SPEECH
from tts_meta.text.phonemes import SymbolTable


def meter_of(clips: list[ClipCheck], table: SymbolTable, kind: str) -> Meter:
    """How much of what can be learned from there is, which sounds it lacks, and what a clone on the network `kind` may be."""
    usable = [c for c in clips if c.level != "red" and c.samples is not None]
    speech = sum(c.measures["speech_seconds"] or 0.0 for c in usable)
    used = [c.used for c in usable if c.used]
    missing = missing_sounds(table.symbols[i - 1] for u in used for i in u.item.phones) if used else None
    # The curve was measured against the length of trimmed clips, pauses and all.
    seconds = sum(c.used.features.seconds if c.used else (c.measures["speech_seconds"] or 0.0) for c in usable)
    return Meter(len(usable), speech, missing, expected(seconds, kind), measured_speakers(kind))


def _why(c: ClipCheck) -> str:
    """The first red finding as half a sentence."""
    sentence = next(f.sentence for f in c.findings if f.level == "red").rstrip(".")
    return sentence.removeprefix(f"{c.path.name} ")


def check_set(clips: list[ClipCheck], meter: Meter) -> list[Finding]:
    """What is wrong or doubtful about the clips as a whole."""
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

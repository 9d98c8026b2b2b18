"""Whether a clip says its text, and its features and phonemes if it does.

Thresholds were set on development clips (docs/clips.md says how).
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from tts_meta.audio.features import ClipFeatures, clip_features
from tts_meta.clips.clip_check import ClipCheck
from tts_meta.clips.findings import Finding
from tts_meta.clips.text_margin import transcript_margin
from tts_meta.clips.whole_clips import UsedClip
from tts_meta.data.batch import make_item
from tts_meta.data.tasks import align_items
from tts_meta.errors import InputError
from tts_meta.starters.small_starter import Starter
from tts_meta.text.phonemes import phonemize

OTHER_TEXT, DOUBTFUL_TEXT = 0.4, 0.85  # nats a frame over decoy texts: red, amber
FAST, SLOW = 22.0, 5.0  # phones a second of speech
WHISPERED, HARDLY_VOICED = 0.05, 0.2  # share of the loud frames that have a pitch: red, amber; speech has 0.35 to 0.6


def prepare_text(c: ClipCheck, rate: int, digest: str, starter: Starter) -> None:
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


def align_clips(clips: list[ClipCheck], starter: Starter) -> None:
    """Phones to frames, for those from which can be learned."""
    used = [c.used for c in clips if c.used]
    for c, item in zip(clips, align_items(starter.model, [u.item for u in used]), strict=True):
        assert c.used is not None
        c.used = replace(c.used, item=item)


def check_text(c: ClipCheck, starter: Starter) -> None:
    """A clip whose sounds fit other texts as well does not say its own."""
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

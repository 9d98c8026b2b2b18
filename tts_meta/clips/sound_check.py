"""What the samples of a clip alone tell: silence, clipping, noise, bandwidth, loudness, pauses."""

from __future__ import annotations

import numpy as np

from tts_meta.audio.activity import shorten_pauses, speech_spans
from tts_meta.audio.denoise import without_noise
from tts_meta.audio.measures import bandwidth, clipped_share, longest_pause, loudness, signal_to_noise
from tts_meta.clips.clip_check import ClipCheck
from tts_meta.clips.findings import Finding
from tts_meta.clips.whole_clips import CLIPPED

TOUCHED = 0.0005  # share of samples at full scale: amber
NOISY, VERY_NOISY = 20.0, 8.0  # dB between speech and pauses: amber, red
HISS = 18.0  # dB between them after pre-emphasis, which hears hiss and not rumble: under it the noise is lowered
MUFFLED = 5500.0  # Hz
LONG_PAUSE, KEPT_PAUSE = 1.5, 0.5  # s between two stretches of speech: amber; what is kept of it


def check_sound(c: ClipCheck, samples: np.ndarray, rate: int) -> None:
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
    hiss = signal_to_noise(np.append(samples[:1], samples[1:] - 0.97 * samples[:-1]), rate, spans)
    if noise is not None and hiss is not None and noise >= VERY_NOISY and hiss < HISS:
        # A clone says the noise of its clips too.
        quiet = without_noise(samples, rate)
        c.samples = samples if quiet is None else quiet
    lowered = c.samples is not samples
    if noise is not None and (noise < NOISY or lowered):
        red = noise < VERY_NOISY
        done = " The noise was lowered before anything is learned from it." if lowered else ""
        add(Finding("red" if red else "amber", "noise", f"Speech is only {noise:.0f} dB above the noise of the pauses.{done}",
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
        c.samples = shorten_pauses(c.samples, rate, spans, LONG_PAUSE, KEPT_PAUSE)
        add(Finding("amber", "pauses", f"It has a pause of {pause:.1f} s, of which {KEPT_PAUSE} s are used.",
                    "Read a sentence without stopping."))

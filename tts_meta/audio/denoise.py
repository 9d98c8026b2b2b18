"""Noise under speech, taken out by RNNoise (Valin 2018, "A Hybrid DSP/Deep Learning Approach to Real-Time Full-Band Speech
Enhancement"; its weights are inside the package pyrnnoise)."""

from __future__ import annotations

import numpy as np

from tts_meta.audio.files import resample

DELAY = 960
"""Samples by which RNNoise is late, at its rate: two of its frames of 10 ms."""


LEFT = 0.1
"""Share of the recording that is left as it was: pauses that are nothing at all are no room."""


def without_noise(samples: np.ndarray, rate: int) -> np.ndarray | None:
    """Mono speech `[N]` at `rate` (Hz) with the noise under it lowered by up to 20 dB: `[N]` float32, no sample late. None where
    the package pyrnnoise is not (it has no build for every system)."""
    try:
        from pyrnnoise import rnnoise
    except (ImportError, OSError):
        return None
    # At full scale, the network's own levels; quieter clips are brought there and back.
    peak = float(np.abs(samples).max(initial=0.0)) or 1.0
    frame = rnnoise.FRAME_SIZE
    whole = resample(samples / peak, rate, rnnoise.SAMPLE_RATE)
    padded = np.pad(whole, (0, DELAY + -(len(whole) + DELAY) % frame))
    integers = np.round(np.clip(padded, -1.0, 1.0) * 32767).astype(np.int16)
    state = rnnoise.create()
    try:
        made = [rnnoise.process_mono_frame(state, integers[i : i + frame])[0] for i in range(0, len(integers), frame)]
    finally:
        rnnoise.destroy(state)
    quiet = np.concatenate(made)[DELAY : DELAY + len(whole)].astype(np.float32) / 32767
    back = resample(quiet, rnnoise.SAMPLE_RATE, rate)[: len(samples)]
    clear = np.pad(back, (0, len(samples) - len(back))) * np.float32(peak)
    return (1 - LEFT) * clear + np.float32(LEFT) * samples

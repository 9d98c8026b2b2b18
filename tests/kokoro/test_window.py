"""What of a long clip enters a step."""

import numpy as np
import torch

from tts_meta.audio.mel import HOP, SAMPLE_RATE
from tts_meta.kokoro.clips import NEAR, TOKEN_RATE, WINDOW_SECONDS, Encoded, KokoroItem, window


def clip(seconds: float) -> tuple[KokoroItem, Encoded]:
    """Every number says where it stands in the clip."""
    rng = np.random.default_rng(3)
    counts = rng.integers(2, 9, 400)
    counts = counts[: int(np.searchsorted(np.cumsum(counts), seconds * TOKEN_RATE)) + 1].astype(np.int64)
    frames, tokens = int(counts.sum()), len(counts)
    length = round(frames / TOKEN_RATE * SAMPLE_RATE / HOP)
    curve = np.arange(2 * frames, dtype=np.float32)
    mel = np.repeat(np.arange(length, dtype=np.float32)[:, None], 80, 1)
    read = torch.arange(tokens).float()[:, None]
    features = torch.from_numpy(curve)[:, None]
    return KokoroItem(np.arange(tokens), counts, curve, -curve, mel), Encoded(read, -read, features)


def test_a_window_is_one_stretch_of_the_clip_in_every_part() -> None:
    item, read = clip(12.0)
    rng = torch.Generator().manual_seed(0)
    begins = set()
    for _ in range(40):
        cut, made = window(item, read, rng)
        text, sound, features = made.text, made.sound, made.features
        first, frames = int(cut.ids[0]), int(cut.counts.sum())
        begins.add(first)
        assert frames <= WINDOW_SECONDS * TOKEN_RATE and frames > 0.8 * WINDOW_SECONDS * TOKEN_RATE
        assert (cut.counts == item.counts[first : first + len(cut.ids)]).all()
        start = int(item.counts[:first].sum())
        assert cut.f0[0] == 2 * start and len(cut.f0) == len(cut.energy) == 2 * frames and cut.energy[-1] == -cut.f0[-1]
        assert text[:, 0].tolist() == cut.ids.tolist() and (sound == -text).all()
        assert features is not None and features[:, 0].tolist() == cut.f0.tolist()
        # The mel's first frame begins where the first token does.
        assert abs(cut.mel[0, 0] - start / TOKEN_RATE * SAMPLE_RATE / HOP) <= NEAR + 1e-6
        assert abs(len(cut.mel) - frames / TOKEN_RATE * SAMPLE_RATE / HOP) <= 0.5
    assert len(begins) > 10


def test_a_short_clip_enters_whole() -> None:
    item, read = clip(4.5)
    cut, same = window(item, read, torch.Generator())
    assert cut is item and same is read

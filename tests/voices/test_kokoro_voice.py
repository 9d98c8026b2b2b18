"""A voice of two styles, for Kokoro's own programs."""

import pytest
import torch

from tts_meta.errors import InputError
from tts_meta.kokoro.register import REGISTER
from tts_meta.nets.kokoro.speaker_loss import MANNER, TIMBRE
from tts_meta.starters.gains import Gains
from tts_meta.starters.kokoro_starter import load_kokoro
from tts_meta.starters.small_starter import load_starter
from tts_meta.voices.kokoro_voice import styles, write_kokoro_voice
from tts_meta.voices.voice_file import Voice


@pytest.fixture(scope="module")
def kokoro():
    return load_kokoro()


def voice(**deltas) -> Voice:
    return Voice(deltas, {"name": "me"}, Gains.none() if hasattr(Gains, "none") else None)  # type: ignore[arg-type]


def test_it_is_what_kokoros_programs_read(kokoro, tmp_path):
    moved = torch.linspace(-1, 1, 128)
    write_kokoro_voice(tmp_path / "me.pt", kokoro, voice(**{TIMBRE: moved, REGISTER: torch.zeros(5)}))
    found = torch.load(tmp_path / "me.pt", weights_only=True)
    assert found.shape == (510, 1, 256) and found.dtype == torch.float32
    torch.testing.assert_close(found[17, 0, :128], kokoro.phi[TIMBRE] + moved)
    torch.testing.assert_close(found[509, 0, 128:], kokoro.phi[MANNER])


def test_what_moved_more_is_refused(kokoro):
    with pytest.raises(InputError, match="1 modules .head.out.factor"):
        styles(kokoro, voice(**{TIMBRE: torch.zeros(128), "head.out.factor": torch.zeros(80, 16)}))
    with pytest.raises(InputError, match="small network"):
        styles(load_starter(), voice())

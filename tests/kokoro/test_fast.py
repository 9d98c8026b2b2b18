"""Twice as fast, the network that is used unless another is chosen can still be understood."""

from __future__ import annotations

import pytest

from tests.conftest import ROOT
from tts_meta.audio.mel import HOP, SAMPLE_RATE
from tts_meta.measures.intelligibility import load_recogniser, word_error_rate
from tts_meta.speaking.synthesize import Synthesizer
from tts_meta.starters.chosen_starter import default_starter
from tts_meta.voices.library import named_voice
from tts_meta.voices.voice_file import load_voice

SENTENCES = (ROOT / "recipes" / "sentences.txt").read_text(encoding="utf-8").splitlines()[:10]


@pytest.mark.skipif(load_recogniser() is None, reason="the extra 'asr' is not installed")
def test_twice_as_fast_is_understood(monkeypatch, hifigan):
    monkeypatch.delenv("TTS_META_NETWORK", raising=False)
    starter, recogniser = default_starter(), load_recogniser()
    assert starter.kind == "kokoro"
    synthesizer = Synthesizer.of(starter, load_voice(named_voice("example"), starter))
    fast = [synthesizer.speak(text, speed=2.0) for text in SENTENCES]
    for text, spoken in zip(SENTENCES, fast, strict=True):
        usual = len(synthesizer.sentence_mel(text)[0]) * HOP / SAMPLE_RATE
        assert spoken.seconds == pytest.approx(usual / 2, rel=0.02)
    heard = [recogniser.transcribe(s.samples, SAMPLE_RATE) for s in fast]
    # 0.02 to 0.11 by the voice. Of Harvard sentences 0.15 to 0.19, and 0.30 where pauses give no more than words.
    assert word_error_rate(SENTENCES, heard) <= 0.15, heard

"""An evaluation side by side says what one after another says."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

import pytest

from tests.conftest import EXAMPLES
from tts_meta.evaluation.evaluate import evaluate_voice, load_reference
from tts_meta.processor import THREADS
from tts_meta.starters.kokoro_starter import load_kokoro
from tts_meta.voices.voice_file import load_voice


@pytest.mark.filterwarnings("ignore:The second judge")
def test_threads_change_no_number(tmp_path, monkeypatch):
    kokoro = load_kokoro()
    voice = load_voice(Path(str(files("tts_meta") / "assets" / "example-kokoro.voice")), kokoro)
    references = load_reference(EXAMPLES / "reference", None, set(), lambda m: None)[:4]
    told: dict[str, list[int]] = {}
    found: dict[str, dict] = {}
    for threads in ("1", "2"):
        monkeypatch.setenv(THREADS, threads)
        order = told[threads] = []
        out = tmp_path / threads
        found[threads] = evaluate_voice(kokoro, voice, references, out, on_sentence=lambda n, of, o=order: o.append(n))
        assert found[threads].pop("realtime_factor") > 0
    assert found["1"] == found["2"] and told["1"] == told["2"] == [1, 2]
    for name in ("00_clone.wav", "01_clone.wav", "01_vocoded.wav"):
        assert (tmp_path / "1" / "samples" / name).read_bytes() == (tmp_path / "2" / "samples" / name).read_bytes()

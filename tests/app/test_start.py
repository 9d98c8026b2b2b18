"""What the page needs before it is served, and what a newcomer hears first."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
import soundfile

from tests.conftest import ROOT

HEAVY = ("torch", "scipy", "librosa", "matplotlib", "faster_whisper", "onnxruntime")


def test_the_page_is_laid_out_before_anything_heavy_is_loaded(tmp_path):
    """What takes longest to load comes after the page is served; of gradio the stubs for editors are left out."""
    code = ("import inspect, sys; before = inspect.getfile\n"
            "import app.page; app.page.build()\n"
            f"print([m for m in {HEAVY} if m in sys.modules], inspect.getfile is before, 'gradio' in sys.modules)")
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "TTS_META_HOME": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[] True True"


def test_no_stub_is_written_for_editors(monkeypatch):
    """Were gradio to look for its components' files another way, the page would start in twice the time."""
    from gradio import component_meta

    from app import quick

    read = []
    monkeypatch.setattr(component_meta, "extract_class_source_code", lambda *given: read.append(given) or (None, None))
    monkeypatch.setattr(component_meta.inspect, "getfile", quick._no_file_of_gradio)
    component_meta.create_or_modify_pyi(quick.gr.Audio, "Audio", [])
    assert not read


@pytest.mark.parametrize("network", ["kokoro", "small"])
def test_the_greeting_lies_ready(network):
    from app.greeting import sound

    found = soundfile.info(sound(network))
    assert 3 < found.duration < 12 and found.samplerate == 22050


def test_the_greeting_is_what_the_example_voice_says(starter):
    """Who changes the voice or the sentence makes it again: python -m app.greeting."""
    import numpy as np

    from app.greeting import TEXT, sound
    from tts_meta.measures.similarity import embed
    from tts_meta.speaking.synthesize import Synthesizer
    from tts_meta.voices.library import EXAMPLE, named_voice
    from tts_meta.voices.voice_file import load_voice

    spoken = Synthesizer.of(starter, load_voice(named_voice(EXAMPLE), starter)).speak(TEXT)
    kept, rate = soundfile.read(sound("small"), dtype="float32")
    assert abs(len(kept) / rate - spoken.seconds) < 0.1
    assert float(np.dot(embed(kept, rate), embed(spoken.samples, rate))) > 0.97

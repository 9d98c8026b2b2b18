"""The accent of a voice: heard in its clips, kept in its file, spoken by whatever speaks with it."""

from __future__ import annotations

import json
import shutil
from types import SimpleNamespace

import numpy as np
import pytest

from tests.conftest import EXAMPLES
from tts_meta import onnx_say
from tts_meta.adaptation.clone_settings import Settings
from tts_meta.audio.features import clip_features
from tts_meta.audio.mel import SAMPLE_RATE
from tts_meta.clips import heard_accent
from tts_meta.clips.checkup import check_clips
from tts_meta.clips.heard_accent import prepare_in_accent
from tts_meta.clips.transcripts import complete_transcripts
from tts_meta.errors import InputError
from tts_meta.export.voice_onnx import export_voice
from tts_meta.jobs import job_control
from tts_meta.jobs.job_work import work
from tts_meta.kokoro.symbols import SYMBOLS
from tts_meta.speaking.synthesize import Synthesizer
from tts_meta.starters.kokoro_starter import load_kokoro
from tts_meta.text.phonemes import phonemize
from tts_meta.voices.voice_file import load_voice
from tts_meta.voices.voice_header import change_header

TEXTS = (
    "The farmer's daughter parked her car near the market.", "Ask my father whether the water is warm or not.",
    "A hard-working bird stirred before the others.", "Nobody knows more about the northern shore.",
)


@pytest.fixture(scope="module")
def kokoro():
    return load_kokoro()


@pytest.fixture(scope="module")
def job(kokoro, tmp_path_factory):
    """A job of four clips in one step that was asked for in British, done."""
    folder = tmp_path_factory.mktemp("british")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TTS_META_HOME", str(folder / "home"))
        for path in [p for n in ("001", "002", "005", "006") for p in (EXAMPLES / "clips").glob(f"*{n}.*")]:
            shutil.copy(path, folder)
        paths = sorted(folder.glob("*.flac"))
        checkup = check_clips(paths, complete_transcripts(paths, None, str), kokoro)
        job, _ = job_control.create(kokoro, checkup, Settings("brit", 1, consent="VCTK", accent="british"), preview="Hello.")
        work(job, kokoro)
        yield job


def test_texts_have_other_symbols(kokoro):
    british = kokoro.in_accent("british")
    assert british.in_accent("american").accent == kokoro.accent == "american" and british.phi is kokoro.phi
    said = [s.ids(Synthesizer(s)._phones("That hot cat sees a sofa.", None)[0]) for s in (kokoro, british)]
    assert SYMBOLS["a"] in said[1] and SYMBOLS["ɒ"] in said[1] and SYMBOLS["ː"] in said[1]
    assert SYMBOLS["æ"] in said[0] and not {SYMBOLS["a"], SYMBOLS["ɒ"], SYMBOLS["ː"]} & set(said[0])


@pytest.mark.parametrize("spoken", ["american", "british"])
def test_what_the_network_says_is_heard_in_the_accent_it_is_said_in(kokoro, spoken):
    voice = Synthesizer(kokoro.in_accent(spoken))
    clips = []
    for text in TEXTS:
        samples = voice.speak(text).samples
        features = clip_features(samples, SAMPLE_RATE)
        clips.append(SimpleNamespace(path=EXAMPLES, digest="", text=text, features=features, embedding=np.zeros(256)))
    heard = prepare_in_accent(clips, kokoro)
    assert heard.network.accent == spoken and (heard.gain > 0) == (spoken == "british")
    assert f"with {spoken.title()} phonemes" in heard.sentence
    assert prepare_in_accent(clips, kokoro, "american").gain == 0


@pytest.mark.parametrize(("clips", "gain", "heard"), [
    (1, 0.9, "american"), (1, 1.1, "british"), (10, 0.3, "american"), (10, 0.35, "british"),
])
def test_few_clips_have_to_say_it_more_clearly(kokoro, monkeypatch, clips, gain, heard):
    monkeypatch.setattr(heard_accent, "prepare", lambda used, network: list(used))
    monkeypatch.setattr(heard_accent, "_loss", lambda network, used: 100 - gain * (network.accent == "british"))
    assert prepare_in_accent([None] * clips, kokoro).network.accent == heard


def test_a_job_and_its_voice_keep_it(job, kokoro, tmp_path):
    assert job.spec["accent"] == "british" and job.settings.accent == "british"
    path = job.file("steps") / "000001.voice"
    voice = load_voice(path, kokoro)
    assert voice.header["accent"] == "british" and Synthesizer.of(kokoro, voice).starter.accent == "british"
    change_header(path, tmp_path / "us.voice", accent="american")
    both = [Synthesizer.of(kokoro, load_voice(p, kokoro)) for p in (path, tmp_path / "us.voice")]
    tokens = [len(s.sentence_mel("The hot cat sees a sofa.")[1]) for s in both]
    assert tokens[0] > tokens[1]  # marks of length


def test_a_graph_has_it_too(job, kokoro, tmp_path, monkeypatch):
    monkeypatch.setenv("TTS_META_VOCODER", "fast")
    export_voice(kokoro, load_voice(job.file("steps") / "000001.voice", kokoro), tmp_path)
    about = json.loads((tmp_path / "voice.json").read_text())
    monkeypatch.setattr(onnx_say.Voice, "__init__", lambda self: None)
    said = onnx_say.Voice()
    said.about = about
    text = "The happy farmer may ask any boy."
    assert said.encode(said.phones(text))[0] == kokoro.in_accent("british").ids(phonemize(text, "en-gb-x-rp"))
    assert about["espeak_voice"] == "en-gb-x-rp" and about["lengthened"] and about["phones"]["æ"] == "a"


def test_the_small_network_refuses_it(starter):
    with pytest.raises(InputError, match="no British phonemes; leave the accent out, or use the network kokoro"):
        starter.in_accent("british")
    assert starter.in_accent("american") is starter


def test_how_a_text_is_read_depends_on_the_voice(job, monkeypatch):
    from typer.testing import CliRunner

    from app.speak_tab import how_read
    from tts_meta.cli import app

    monkeypatch.setenv("TTS_META_NETWORK", "kokoro")
    assert "hˈɒt" in how_read("A hot car.", "brit") and "hˈɑːt" in how_read("A hot car.")
    said = [json.loads(CliRunner().invoke(app, ["phonemes", "A hot car.", "--json", *more]).stdout)["phones"]
            for more in ([], ["--voice", "brit"])]
    assert "kˈɑːɹ" in said[0] and said[1].endswith("kˈɑː.")

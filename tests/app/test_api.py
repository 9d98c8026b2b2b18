"""The HTTP API: OpenAI's shape, streaming, refusals, and many requests at once."""

from __future__ import annotations

import io
import wave
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import soundfile
from fastapi.testclient import TestClient

from app.api import build
from tts_meta.audio.mel import SAMPLE_RATE
from tts_meta.voices.library import copy_voice, import_voice
from tts_meta.voices.synthesize import Synthesizer
from tts_meta.voices.voice_file import load_voice


@pytest.fixture
def client(library, starter, cloned):
    import_voice(cloned.path, starter)
    return TestClient(build())


def post(client, **body):
    return client.post("/v1/audio/speech", json={"voice": "p225", "input": "Hello.", **body})


def test_voices_and_health(client):
    assert client.get("/health").json() == {"status": "ok"}
    voice, example = client.get("/v1/voices").json()["data"]
    assert voice["id"] == "p225" and voice["clips"] == 10 and "path" not in voice
    assert example["id"] == "example" and post(client, voice="example").content != post(client).content
    assert client.get("/v1/models").json()["data"][0]["id"] == "tts-meta"


def test_every_format_holds_the_same_speech(client, starter, cloned):
    expected = Synthesizer.of(starter, load_voice(cloned.path, starter)).speak("Hello.").samples
    for name, kind in (("wav", "audio/wav"), ("flac", "audio/flac"), ("mp3", "audio/mpeg"), ("opus", "audio/ogg")):
        answer = post(client, response_format=name)
        assert answer.status_code == 200 and answer.headers["content-type"] == kind
        samples, rate = soundfile.read(io.BytesIO(answer.content))
        assert abs(len(samples) / rate - len(expected) / SAMPLE_RATE) < 0.1
        if name in ("wav", "flac"):
            assert np.abs(samples - expected).max() < 1e-4
    pcm = np.frombuffer(post(client, response_format="pcm").content, "<i2") / 32767
    assert np.abs(pcm - expected).max() < 1e-4


def test_a_stream_is_the_same_speech(client):
    text = "Good morning. How are you?"
    whole = post(client, input=text, response_format="pcm").content
    assert post(client, input=text, response_format="pcm", stream=True).content == whole
    streamed = post(client, input=text, stream=True).content
    assert streamed[44:] == whole
    with wave.open(io.BytesIO(streamed)) as w:
        assert w.getframerate() == SAMPLE_RATE and w.getnchannels() == 1


@pytest.mark.parametrize(("body", "status", "word"), [
    ({"voice": "nobody"}, 404, "no voice 'nobody'"), ({"voice": "../p225"}, 400, "cannot be used"), ({"input": ""}, 400, "input"),
    ({"input": "?!"}, 400, "nothing to speak"), ({"speed": 9}, 400, "speed"),
    ({"response_format": "aiff"}, 400, "response_format"),
    ({"input": "a" * 20_001}, 400, "input"), ({"input": "[[ж]]"}, 400, "no sound for"),
])
def test_refusals_have_openais_shape(client, body, status, word):
    answer = post(client, **body)
    assert answer.status_code == status
    assert set(answer.json()) == {"error"} and word in answer.json()["error"]["message"]


def test_a_key_is_needed_where_one_was_set(library, starter, cloned):
    import_voice(cloned.path, starter)
    guarded = TestClient(build("secret"))
    assert guarded.get("/v1/voices").status_code == 401 and guarded.get("/health").status_code == 200
    assert guarded.get("/v1/voices", headers={"Authorization": "Bearer wrong"}).status_code == 401
    assert guarded.get("/v1/voices", headers={"Authorization": "Bearer secret"}).status_code == 200


def test_many_at_once_get_their_own_answers(client, starter, cloned):
    copy_voice("p225", "other")
    texts = ["One.", "Two little words.", "Three or four little words.", "Say five different little words."]
    single = {t: post(client, input=t, response_format="pcm").content for t in texts}
    with ThreadPoolExecutor(4) as pool:
        jobs = [(t, pool.submit(post, client, input=t, voice=("p225", "other")[i % 2], response_format="pcm"))
                for i, t in enumerate(texts * 4)]
        for text, job in jobs:
            assert job.result().status_code == 200 and job.result().content == single[text]

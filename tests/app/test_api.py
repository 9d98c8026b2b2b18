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
from app.encoders import PCM_RATE
from app.turns import Busy, Turns
from tts_meta.audio.files import resample
from tts_meta.audio.mel import SAMPLE_RATE
from tts_meta.speaking.synthesize import Synthesizer
from tts_meta.voices.library import copy_voice, import_voice
from tts_meta.voices.voice_file import load_voice


@pytest.fixture
def client(library, starter, cloned):
    import_voice(cloned.path, starter)
    return TestClient(build())


def post(client, **body):
    return client.post("/v1/audio/speech", json={"voice": "p225", "input": "Hello.", "response_format": "wav", **body})


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
    expected = resample(expected, SAMPLE_RATE, PCM_RATE)
    assert PCM_RATE == 24000 and abs(len(pcm) - len(expected)) < 10
    length = min(len(pcm), len(expected))
    assert np.abs(pcm[:length] - expected[:length]).max() < 0.01


def test_a_stream_is_the_same_speech(client):
    text = "Good morning. How are you?"
    for name in ("pcm", "opus", "wav", "mp3", "flac"):
        whole = post(client, input=text, response_format=name).content
        streamed = post(client, input=text, response_format=name, stream=True).content
        assert streamed == whole if name == "pcm" else abs(len(streamed) - len(whole)) < 500
        if name == "wav":
            assert streamed[44:] == whole[44:]
        if name in ("opus", "mp3"):  # a streamed flac does not know its length, which soundfile wants
            a, b = (soundfile.read(io.BytesIO(x))[0] for x in (streamed, whole))
            assert abs(len(a) - len(b)) < 0.1 * SAMPLE_RATE and len(a) > SAMPLE_RATE
    with wave.open(io.BytesIO(post(client, input=text, stream=True).content)) as w:
        assert w.getframerate() == SAMPLE_RATE and w.getnchannels() == 1


@pytest.mark.parametrize(("body", "status", "word"), [
    ({"voice": "nobody"}, 404, "no voice 'nobody'"), ({"voice": "../p225"}, 400, "cannot be used"), ({"input": ""}, 400, "input"),
    ({"input": "?!"}, 400, "nothing to speak"), ({"speed": 9}, 400, "speed"),
    ({"response_format": "aiff"}, 400, "response_format"),
    ({"input": "a" * 20_001}, 400, "input"), ({"input": "[[ж]]"}, 400, "no sound for"),
    ({"input": "Fine. Bad [[ж]].", "stream": True}, 400, "no sound for"), ({"input": "你好"}, 400, "Chinese"), ({"voice": 5},
        400, "voice"),
    ({"speed": "fast"}, 400, "speed"), ({"voice": None}, 400, "voice is missing or null"),
    ({"voice": ""}, 400, "voice is missing"),
    ({"speed": 9}, 400, "speed is 9"), ({"voice": {"id": "nobody"}}, 404, "--alias nobody=NAME"),
    ({"voice": "nova", "stream": True}, 404, "(p225, example)"),
])
def test_refusals_have_openais_shape(client, body, status, word):
    answer = post(client, **body)
    assert answer.status_code == status
    assert set(answer.json()) == {"error"} and word in answer.json()["error"]["message"]
    if "voice" in body:
        assert answer.json()["error"]["param"] == "voice"


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


def test_what_clients_send(client):
    """Nulls, empty words, objects, unknown fields, other names."""
    assert post(client, response_format=None).headers["content-type"] == "audio/mpeg"
    plain = post(client).content
    assert post(client, speed="", pitch="", stream_format="", instructions="", model="").content == plain
    assert post(client, speed=None, stream=None, pitch=None, instructions="gently", user="x", stream_format=None).content == plain
    assert post(client, voice={"id": "p225"}).content == plain and post(client,
        response_format="").headers["content-type"] == "audio/mpeg"
    alias = TestClient(build(aliases={"alloy": "p225"}))
    assert post(alias, voice="alloy").content == plain and alias.get("/v1/voices").json()["aliases"] == {"alloy": "p225"}
    assert post(client, voice="alloy").status_code == 404
    events = post(client, stream_format="sse", response_format="pcm").text
    assert events.startswith('data: {"type": "speech.audio.delta"') and '"speech.audio.done"' in events
    # What is left out of a text is told beside the sound.
    assert "Chinese" in post(client, input="Say 你好 now.").headers["x-note"]


def test_aac_is_in_every_answer_or_says_what_it_needs(client, monkeypatch):
    av = pytest.importorskip("av")
    for stream in (False, True):
        answer = post(client, response_format="aac", stream=stream)
        assert answer.headers["content-type"] == "audio/aac"
        with av.open(io.BytesIO(answer.content)) as container:
            count = sum(f.samples for f in container.decode(audio=0))
        assert count / 24000 == pytest.approx(len(soundfile.read(io.BytesIO(post(client).content))[0]) / SAMPLE_RATE, abs=0.2)
    monkeypatch.setitem(__import__("sys").modules, "av", None)
    answer = post(client, response_format="aac")
    assert answer.status_code == 400 and "extra 'formats'" in answer.json()["error"]["message"]


def test_bodies_methods_and_origins(client):
    send = client.post
    url = "/v1/audio/speech"
    for body, kind, status, word in (
        ('{"input": "Zoë", "voice": "p225"}'.encode("latin-1"), "application/json", 400, "UTF-8"), (b"{", "application/json",
            400, "no JSON"), (b"[]", "application/json", 400, "no JSON object"),
        (b"[" * 100_000, "application/json", 400, "no JSON"), (b'{"input": "\\ud800", "voice": "p225"}', "application/json", 400,
            "input"),
        (b"input=hi", "application/x-www-form-urlencoded", 415, "JSON is expected"), (b"x" * 600_000, "application/json", 413,
            "at most"),
    ):
        answer = send(url, content=body, headers={"Content-Type": kind})
        assert answer.status_code == status and word in answer.json()["error"]["message"]
    assert send(url, content=iter([b"x" * 2**20] * 3)).status_code == 413  # in chunks, without a length
    packed = send(url, content=b"\x1f\x8b", headers={"Content-Encoding": "gzip"})
    assert packed.status_code == 415 and "packed" in packed.json()["error"]["message"]
    assert client.get("/v1/models/tts-1").json()["id"] == "tts-1" and client.get("/v1/models/x").status_code == 404
    assert len(post(client, voice="a" * 10_000).text) < 400
    for method, path, status in (("GET", "/nothing", 404), ("GET", url, 405), ("DELETE", "/v1/voices", 405)):
        answer = client.request(method, path)
        assert answer.status_code == status and set(answer.json()) == {"error"} and "/docs" in answer.json()["error"]["message"]
    assert client.head("/v1/voices").status_code == 200 and client.options(url).headers["allow"] == "POST, OPTIONS"
    assert client.options("/v1/voices").headers["allow"] == "GET, HEAD, OPTIONS"
    assert "response_format" in client.get("/docs").text and "/v1/audio/speech" in client.get("/openapi.json").json()["paths"]
    origin = {"Origin": "http://page.example"}
    assert "access-control-allow-origin" not in client.get("/v1/voices", headers=origin).headers
    opened = TestClient(build(cors=["http://page.example"]))
    assert opened.get("/v1/voices", headers=origin).headers["access-control-allow-origin"] == "http://page.example"
    asked = opened.options(url, headers={**origin, "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "authorization"})
    assert asked.status_code == 200 and "access-control-allow-origin" not in opened.get("/v1/voices",
        headers={"Origin": "http://other.example"}).headers


def test_an_error_in_the_middle_ends_a_clean_answer_and_is_logged(client, monkeypatch, caplog):
    true = Synthesizer.sentence_mel

    def fails(self, text, *args, **kwargs):
        if "second" in text:
            raise RuntimeError("made to fail")
        return true(self, text, *args, **kwargs)

    monkeypatch.setattr(Synthesizer, "sentence_mel", fails)
    answer = post(client, input="This is the first. Here is the second.", stream=True)
    assert answer.status_code == 200 and len(soundfile.read(io.BytesIO(answer.content))[0]) > SAMPLE_RATE / 2
    assert "ended early" in caplog.text


def test_turns_first_sentences_first_and_a_bounded_queue():
    turns = Turns(most=2)
    speaking = turns.join(5)
    late, first, second = turns.join(3), turns.join(0), turns.join(0)
    assert speaking.wait(0) and not any(t.wait(0) for t in (late, first, second))
    speaking.leave()
    speaking.leave()
    assert first.wait(0) and not second.wait(0)
    second.leave()  # its client went
    first.leave()
    assert late.wait(0)
    turns.enter()
    turns.enter()
    with pytest.raises(Busy):
        turns.enter()
    turns.exit()
    turns.enter()


def test_a_full_queue_says_when_to_come_again(client, monkeypatch):
    monkeypatch.setattr(Turns, "enter", lambda self: (_ for _ in ()).throw(Busy()))
    answer = post(client)
    assert answer.status_code == 503 and int(answer.headers["retry-after"]) > 0 and answer.json()["error"]["type"] == "server_error"  # noqa: E501

"""The API served by uvicorn and asked by the official `openai` client, as its users do."""

from __future__ import annotations

import io
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
import soundfile
import uvicorn

from app.api import build
from tts_meta.speaking.synthesize import Synthesizer
from tts_meta.voices.library import import_voice

openai = pytest.importorskip("openai")
LONG = " ".join(f"This is sentence number {n} of a long text." for n in range(1, 31))


@pytest.fixture
def server(library, starter, cloned):
    """(base URL, the server's list of sentences it has spoken)."""
    import_voice(cloned.path, starter)
    spoken: list[str] = []
    true = Synthesizer.sentence_mel

    def noted(self, text, *args, **kwargs):
        spoken.append(text)
        return true(self, text, *args, **kwargs)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Synthesizer, "sentence_mel", noted)
        with socket.socket() as s:
            s.bind(("127.0.0.1", 0))
            port = s.getsockname()[1]
        served = uvicorn.Server(uvicorn.Config(build("secret", aliases={"alloy": "p225"}), port=port, log_level="warning"))
        thread = threading.Thread(target=served.run)
        thread.start()
        while not served.started:
            time.sleep(0.05)
        yield f"http://127.0.0.1:{port}/v1", spoken
        served.should_exit = True
        thread.join()


@pytest.fixture
def client(server):
    return openai.OpenAI(base_url=server[0], api_key="secret", max_retries=0, timeout=120)


def say(client, text="Good morning.", voice="p225", **kwargs):
    return client.audio.speech.create(model="tts-1", voice=voice, input=text, **kwargs)


def test_in_real_use(client, server, tmp_path):
    assert "tts-1" in [m.id for m in client.models.list()]
    for name, head in (("mp3", b""), ("opus", b"OggS"), ("aac", b"\xff"), ("flac", b"fLaC"), ("wav", b"RIFF"), ("pcm", b"")):
        if name == "aac":
            pytest.importorskip("av")
        data = say(client, response_format=name).content
        assert len(data) > 3000 and data.startswith(head)
        if name in ("mp3", "opus", "flac", "wav"):
            assert len(soundfile.read(io.BytesIO(data))[0]) > 10_000
    with client.audio.speech.with_streaming_response.create(
        model="tts-1", voice="alloy", input="One two. Three four.", response_format="wav", extra_body={"stream": True}
    ) as answer:
        answer.stream_to_file(tmp_path / "out.wav")
    assert (tmp_path / "out.wav").stat().st_size > 20_000
    with pytest.raises(openai.NotFoundError, match="no voice 'nobody'"):
        say(client, voice="nobody")
    with pytest.raises(openai.BadRequestError, match="nothing to speak"):
        say(client, "?!")
    with pytest.raises(openai.AuthenticationError):
        say(openai.OpenAI(base_url=server[0], api_key="wrong", max_retries=0))


def test_eight_at_once_and_a_short_one_behind_them(client, server):
    _, spoken = server
    say(client)  # everything is loaded
    spoken.clear()
    with ThreadPoolExecutor(9) as pool:
        texts = [" ".join(f"Say {i} and {n}." for n in range(4)) for i in range(8)]
        long = [pool.submit(say, client, t, response_format="pcm") for t in texts]
        while len(spoken) < 8:
            time.sleep(0.01)
        short = pool.submit(say, client, "Short one.", response_format="pcm")
        assert len(short.result().content) > 1000
        done = len(spoken)
        assert all(len(j.result().content) > 10_000 for j in long)
    # It was spoken before the long ones' second halves, and had arrived before they ended (how long before is the
    # machine's business); each of them got all of its own.
    assert spoken.index("Short one.") < 8 * 4 - 8 and done < 8 * 4 + 1
    assert sorted(spoken) == sorted([*(s.strip() + "." for t in texts for s in t.split(".") if s.strip()), "Short one."])


@pytest.mark.parametrize("stream", [True, False])
def test_a_client_that_leaves_is_not_spoken_to(client, server, stream):
    url, spoken = server
    say(client)
    spoken.clear()
    if stream:
        with client.audio.speech.with_streaming_response.create(
            model="tts-1", voice="p225", input=LONG, response_format="pcm", extra_body={"stream": True}
        ) as answer:
            next(answer.iter_bytes(1000))
    else:
        with pytest.raises(openai.APITimeoutError):
            client.with_options(timeout=1.0).audio.speech.create(model="tts-1", voice="p225", input=LONG, response_format="pcm")
    time.sleep(1.5)
    count = len(spoken)
    assert 1 <= count < 25
    time.sleep(1.5)
    assert len(spoken) == count
    assert len(say(client).content) > 1000  # and others are served


def test_a_client_that_leaves_before_it_has_asked(server, client, caplog):
    host, port = server[0].removeprefix("http://").removesuffix("/v1").split(":")
    with socket.create_connection((host, int(port))) as s:
        s.sendall(b"POST /v1/audio/speech HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer secret\r\nContent-Length: 99\r\n\r\n{")
    assert client.models.retrieve("tts-1").id == "tts-1"
    assert say(client, voice="Alloy").content and not [r for r in caplog.records if r.exc_info]

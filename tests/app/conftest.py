"""The page, served, and a headless Chromium that looks at it."""

from __future__ import annotations

import socket

import pytest
import soundfile

from tests.app.browsing import CHROMIUM, OUT
from tests.conftest import EXAMPLES


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    """(address, library): the page, served in this process."""
    import os

    from app.page import serve

    home = tmp_path_factory.mktemp("library")
    old = os.environ.get("TTS_META_HOME")
    os.environ["TTS_META_HOME"], os.environ["TTS_META_THREADS"] = str(home), "1"
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        port = s.getsockname()[1]
    page_app = serve(port=port, block=False)
    yield f"http://127.0.0.1:{port}", home
    page_app.close()
    os.environ.pop("TTS_META_HOME") if old is None else os.environ.__setitem__("TTS_META_HOME", old)


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    from playwright.sync_api import expect, sync_playwright

    expect.set_options(timeout=30_000)  # machines that test are busy with other things
    # Chromium's pretended microphone plays a wav.
    samples, rate = soundfile.read(EXAMPLES / "clips" / "p225_003.flac")
    wav = tmp_path_factory.mktemp("microphone") / "microphone.wav"
    soundfile.write(wav, samples, rate, subtype="PCM_16")
    OUT.mkdir(parents=True, exist_ok=True)
    with sync_playwright() as p:
        made = p.chromium.launch(executable_path=CHROMIUM, args=[
            "--no-sandbox", "--disable-gpu", "--use-fake-ui-for-media-stream", "--use-fake-device-for-media-stream",
            f"--use-file-for-fake-audio-capture={wav}",
        ])
        yield made
        made.close()

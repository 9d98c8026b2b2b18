"""The page, served, and a headless Chromium that looks at it."""

from __future__ import annotations

import functools
import socket

import pytest
import soundfile

from tests.app.browsing import CHROMIUM, OUT
from tests.conftest import EXAMPLES


@pytest.fixture(scope="module")
def served(tmp_path_factory, request):
    """(address, library): the page, served in this process. A module may say NETWORK = False, where nothing has to be loaded,
    and how many STEPS a clone does unless it is told."""
    from app import adapt_step, warm
    from app.page import serve
    from tts_meta.jobs import job_control

    home = tmp_path_factory.mktemp("library")
    with pytest.MonkeyPatch.context() as patch, socket.socket() as s:
        patch.setenv("TTS_META_HOME", str(home))
        patch.setenv("TTS_META_THREADS", "1")
        if not getattr(request.module, "NETWORK", True):
            patch.setattr(warm, "begin", lambda: None)
        if steps := getattr(request.module, "STEPS", None):
            patch.setattr(adapt_step, "usual_steps", lambda: steps)
        # Previews of a clone that are heard, and not for longer than that takes.
        patch.setattr(job_control, "create", functools.partial(job_control.create, preview="The clouds are moving."))
        s.bind(("127.0.0.1", 0))
        port = s.getsockname()[1]
        s.close()
        page_app = serve(port=port, block=False)
        yield f"http://127.0.0.1:{port}", home
        page_app.close()


@pytest.fixture
def emptied(served, monkeypatch):
    """The address and library of the page, without what another test left there."""
    import shutil

    from app import windows

    address, home = served
    for path in home.iterdir():
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    monkeypatch.setattr(windows, "OPEN", {})
    return address, home


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    from playwright.sync_api import expect, sync_playwright

    expect.set_options(timeout=60_000)  # machines that test are busy with other things
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

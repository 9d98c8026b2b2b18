"""The page in real headless Chromium: upload clips and texts, clone with few steps, speak, and the audio plays."""

from __future__ import annotations

import shutil
import socket

import pytest

from tests.conftest import EXAMPLES, ROOT

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")


@pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed (make test installs it)")
def test_clone_and_speak(library):
    from playwright.sync_api import expect, sync_playwright

    from app.page import serve

    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        port = s.getsockname()[1]
    page_app = serve(port=port, block=False)
    out = ROOT / "out" / "screenshots"
    out.mkdir(parents=True, exist_ok=True)
    try:
        with sync_playwright() as p:
            browser = p.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
            page = browser.new_page(viewport={"width": 1280, "height": 1400})
            page.set_default_timeout(60_000)
            page.goto(f"http://127.0.0.1:{port}")
            page.get_by_label("Name of the voice").fill("web")
            uploads = [*sorted((EXAMPLES / "clips").glob("*.flac")), EXAMPLES / "clips" / "transcripts.csv"]
            page.locator("#clips input[type=file]").set_input_files([str(u) for u in uploads])
            expect(page.locator("#texts")).to_contain_text("Please call Stella.")
            page.locator("#steps input[type=number]").fill("10")
            page.locator("#steps input[type=number]").press("Tab")
            page.locator("#start").click()
            expect(page.locator("#status")).to_contain_text("consent")
            page.get_by_label("The speaker agrees").check()
            page.locator("#start").click()
            expect(page.locator("#status")).to_contain_text("Done", timeout=240_000)
            # A scale of round numbers; a column taken for categories would show every value with all its decimals.
            labels = [t for t in page.locator("#curve svg .role-axis-label text").all_text_contents() if t.strip()]
            assert len(labels) >= 4 and all(len(t) <= 5 for t in labels), labels
            page.screenshot(path=str(out / "clone.png"))
            assert (library / "web.voice").is_file()
            page.get_by_role("tab", name="Speak").click()
            page.locator("#text textarea").fill("Good morning to you.")
            page.locator("#go").click()
            page.locator("#sound audio[src]").wait_for(state="attached", timeout=120_000)
            played = page.evaluate(
                """async () => { const a = document.querySelector('#sound audio');
                   for (let i = 0; i < 100 && !(a.duration > 0); i++) await new Promise(r => setTimeout(r, 100));
                   a.muted = true; await a.play(); await new Promise(r => setTimeout(r, 800));
                   return [a.duration, a.currentTime]; }"""
            )
            page.screenshot(path=str(out / "speak.png"))
            assert played[0] > 0.5 and played[1] > 0.2, played
            browser.close()
    finally:
        page_app.close()

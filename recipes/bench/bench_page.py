"""How long a person waits for the page: from the command to the page, to what can be pressed, to the first button's answer.

    python recipes/bench/bench_page.py     # needs chromium (make browser)
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path

NAMED = "() => [...document.querySelectorAll('#name textarea, #name input')].some(e => e.value === 'p225')"
"""JavaScript: whether the example's clips are there."""


def once(port: int) -> dict[str, float]:
    """Seconds of one start."""
    from playwright.sync_api import sync_playwright

    found: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as home, sync_playwright() as p:
        browser = p.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox", "--disable-gpu"])
        begin = time.monotonic()
        command = [str(Path(sys.executable).parent / "tts-meta"), "app", "--port", str(port)]
        server = subprocess.Popen(command, env=dict(os.environ, TTS_META_HOME=home), stdout=-3, stderr=-3)
        try:
            while server.poll() is None:
                try:
                    urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=2).read()
                    break
                except (urllib.error.URLError, OSError):
                    time.sleep(0.05)
            found["served"] = time.monotonic() - begin
            page = browser.new_page()
            page.goto(f"http://127.0.0.1:{port}/")
            page.locator("#hello").wait_for()
            found["can be pressed"] = time.monotonic() - begin
            begin = time.monotonic()
            page.locator("#examples").click()
            page.wait_for_function(NAMED)
            found["first button answered"] = time.monotonic() - begin
        finally:
            server.terminate()
            server.wait()
            browser.close()
    return {k: round(v, 1) for k, v in found.items()}


def main() -> None:
    p = argparse.ArgumentParser()
    p.add_argument("--port", type=int, default=7991)
    p.add_argument("--runs", type=int, default=3)
    args = p.parse_args()
    for _ in range(args.runs):
        print(json.dumps(once(args.port)), flush=True)


if __name__ == "__main__":
    main()

"""The browser that tests of the page use, and what all of them do with it."""

from __future__ import annotations

import shutil

from tests.conftest import ROOT

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
OUT = ROOT / "out" / "screenshots"


def opened(browser, address, width=1280, height=1400):
    page = browser.new_context(viewport={"width": width, "height": height}, permissions=["microphone"]).new_page()
    page.set_default_timeout(60_000)
    page.goto(address)
    page.get_by_label("Name of the voice").wait_for()
    return page

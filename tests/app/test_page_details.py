"""What the page says and shows beside the walk, in headless Chromium."""

from __future__ import annotations

import pytest

from tests.app.browsing import CHROMIUM, opened

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed (make test installs it)")


def test_speak_shows_how_a_text_will_be_read(browser, served):
    from playwright.sync_api import expect

    page = opened(browser, served[0])
    page.get_by_role("tab", name="Speak").click()
    reading = page.locator("#reading")
    expect(reading).to_contain_text("Hello, this is my new voice.")
    text = page.locator("#text textarea")
    text.fill("It costs $3.5M, says Dr. Smith.")
    expect(reading).to_contain_text("It costs three point five million dollars, says doctor Smith.")
    expect(reading.locator("p").nth(1)).to_contain_text("dˈɑːktɚ")
    text.fill("Say 你好 now.")
    expect(reading).to_contain_text("Chinese")
    text.fill("你好")
    expect(reading.locator(".problem")).to_contain_text("Chinese")
    text.fill("")
    expect(reading).not_to_contain_text("Chinese")

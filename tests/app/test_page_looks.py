"""Whether the page can be read: contrast in the light and in the dark, and a telephone's width, in headless Chromium."""

from __future__ import annotations

import numpy as np
import pytest

from tests.app.browsing import CHROMIUM, FAINT, MISPLACED, UNREADABLE, opened, settled, walk_to
from tests.app.stubs import checkup, clone, running

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed (make test installs it)")
NETWORK = False
LEAST = 4.5
"""Contrast of text, by WCAG 1.4.3."""


@pytest.fixture
def full(emptied, starter, monkeypatch):
    """A page with something in every place: clips of which one is left out, and a clone that was interrupted."""
    from app import warm
    from tts_meta import doctor as machine
    from tts_meta.clips import checkup as doctor

    monkeypatch.setattr(warm, "network", lambda: starter)

    def found(paths, texts, network):
        verdicts = checkup(paths, texts, bad=(paths[3].name,))
        for number, level in ((1, "amber"), (2, "amber")):
            said = doctor.Finding(level, "noise", "Speech is only 12 dB above the noise of the pauses.", "Record it again.")
            verdicts.clips[number].findings.append(said)
        return verdicts

    examined = [{"name": "a part", "ok": n == 0, "optional": n == 1, "detail": "/home/somebody/of/a/long/name/" + "part-" * 30}
                for n in range(3)]
    monkeypatch.setattr(doctor, "check_clips", found)
    monkeypatch.setattr(machine, "run_checks", lambda which: examined)
    clone(emptied[1], 1, "interrupted", kept=(0, 30))
    return emptied


def unreadable(page, where):
    """What cannot be read at a place, by its colours or because it does not fit."""
    found = [*page.evaluate(UNREADABLE, LEAST), *page.evaluate(FAINT), *page.evaluate(MISPLACED)]
    wide = page.evaluate("document.documentElement.scrollWidth")
    if wide > page.viewport_size["width"]:
        found.append(f"it is {wide} px wide")
    return [f"{where}: {line}" for line in found]


def everywhere(page):
    """Look at every step and every tab, with what can be said in them; yields the name of each place."""
    from playwright.sync_api import expect

    walk_to(page, 1, "#examples")
    page.locator("#examples").click()
    expect(page.locator("#name textarea, #name input")).to_have_value("p225")
    page.locator("#use").click()
    expect(page.locator("#trouble4 .problem")).to_be_visible()
    expect(page.locator("#likeness-frame")).to_be_visible()
    yield "adapt"
    for number, name, listed in ((2, "text", "#texts .rows"), (1, "clips", "#checked .rows")):
        walk_to(page, number, listed)
        if name == "clips":
            page.locator("#look").click()
            expect(page.locator("#checked .badge.red")).to_have_count(1)
        yield name
    for name in ("Speak", "Batch", "Library", "Evaluate", "Doctor"):
        tab = page.get_by_role("tab", name=name, exact=True)
        if not tab.is_visible():
            page.locator(".overflow-menu > button").first.click()
            page.locator(".overflow-dropdown").get_by_text(name, exact=True).click()
        else:
            tab.click()
        wrong = {"Batch": "#batch-go", "Evaluate": "#evaluate"}.get(name)
        if wrong:
            page.locator(wrong).click()
            page.locator(".problem:visible").wait_for()
        if name == "Doctor":
            page.locator("#examine").click()
            expect(page.locator("#doctor li")).to_have_count(3)
        yield name


@pytest.mark.parametrize(("width", "dark"), [
    pytest.param(1280, False, id="1280-light"), pytest.param(390, True, id="390-dark"),
    pytest.param(1280, True, id="1280-dark", marks=pytest.mark.sweep),
    pytest.param(390, False, id="390-light", marks=pytest.mark.sweep),
])
def test_every_text_can_be_read_and_fits(browser, full, width, dark):
    page = opened(browser, full[0], width, 900, dark)
    page.wait_for_function("(dark) => document.body.classList.contains('dark') == dark", arg=dark)
    found = []
    for place in everywhere(page):
        settled(page)
        found += unreadable(page, place)
        if place == "clips":
            rows = page.locator("#checked li").all()
            assert len(rows) == 10
            assert "the pauses" in page.locator("#meter").inner_text()
            for row in rows:
                box, why = row.bounding_box(), row.locator(".why")
                assert box["x"] >= 0 and box["x"] + box["width"] <= width
                assert not why.count() or why.bounding_box()["width"] > 200
        if place == "adapt":
            title = page.locator("#likeness h4")
            assert title.evaluate("e => e.scrollWidth <= e.clientWidth") and title.bounding_box()["width"] > 200
            for text in page.locator("#likeness svg text").all():
                box = text.bounding_box()
                assert box["x"] >= 0 and box["x"] + box["width"] <= width, text.text_content()
    assert not found, "\n".join(found)
    page.context.close()


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_who_uses_the_keyboard_sees_where_they_are(browser, full, dark):
    """The ring around the button Next, beside what is behind it: 3 to 1 is expected of such marks (WCAG 1.4.11)."""
    page = opened(browser, full[0], 390, 900, dark)
    walk_to(page, 1, "#over")
    page.locator("#over").focus()
    for _ in range(3):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.id || document.activeElement.closest('[id]').id") == "to2":
            break
    ring = page.evaluate("""() => { const s = getComputedStyle(document.activeElement);
      const light = (c) => { const v = c.match(/[0-9.]+/g).slice(0, 3).map(x => (x /= 255) <= 0.03928 ? x / 12.92 :
        ((x + 0.055) / 1.055) ** 2.4); return 0.2126 * v[0] + 0.7152 * v[1] + 0.0722 * v[2]; };
      const [a, b] = [light(s.outlineColor), light(getComputedStyle(document.body).backgroundColor)].sort((x, y) => y - x);
      return [document.activeElement.innerText, s.outlineStyle, parseFloat(s.outlineWidth), (a + 0.05) / (b + 0.05)]; }""")
    assert ring[0].strip() == "Next: text" and ring[1] == "solid" and ring[2] >= 2 and ring[3] >= 3, ring
    page.context.close()


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_a_clone_that_runs_and_names_without_an_end_can_be_read_on_a_telephone(browser, emptied, dark):
    from playwright.sync_api import expect

    address, home = emptied
    with running(home, name="x" * 64, kept=(0, 30)):
        page = opened(browser, address, 390, 900, dark)
        expect(page.locator("#main")).to_have_text("Stop")
        expect(page.locator("#likeness svg")).to_be_visible()
        page.mouse.move(1, 1)
        page.locator("#name textarea, #name input").fill("y" * 300)
        expect(page.locator("#trouble1")).to_contain_text("cannot be used")
        settled(page)
        assert not unreadable(page, "adapt")
        page.context.close()


def test_every_letter_is_of_one_font(browser, emptied):
    """A font that lacks a letter in bold takes it from another, and the word looks broken."""
    page = opened(browser, emptied[0])
    page.evaluate("""() => { const e = document.createElement('strong'); e.id = 'letters';
      e.textContent = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ abcdefghijklmnopqrstuvwxyz 0123456789 .,;:!?';
      document.querySelector('#enough p').append(e); }""")
    tool = page.context.new_cdp_session(page)
    tool.send("DOM.enable")
    tool.send("CSS.enable")
    root = tool.send("DOM.getDocument")["root"]["nodeId"]
    for where in ("#letters", "h1", "#to2"):
        node = tool.send("DOM.querySelector", {"nodeId": root, "selector": where})["nodeId"]
        fonts = tool.send("CSS.getPlatformFontsForNode", {"nodeId": node})["fonts"]
        assert len(fonts) == 1, (where, fonts)
    page.context.close()


def test_lists_of_what_was_spoken_fit_a_telephone(browser, emptied, starter, tmp_path, monkeypatch):
    from playwright.sync_api import expect

    from app import warm
    from tts_meta.speaking import spoken_batch, synthesize
    from tts_meta.voices import voice_file

    class Stub:
        def stream(self, text, *settings, at_once=False):
            yield synthesize.Spoken(np.full(22050, 0.01, np.float32), np.zeros((1, 80)), [], [text])

    def run_batch(network, lines, out):
        (out / spoken_batch.MANIFEST).write_text("")
        for number, status in ((1, "made"), (2, "failed")):
            yield {"number": number, "text": "A text of some length. " * 9, "voice": "example", "seconds": 1.25,
                   "status": status, "reason": "It is too long for a telephone. " * 4}

    monkeypatch.setattr(warm, "network", lambda: starter)
    monkeypatch.setattr(voice_file, "load_voice", lambda *given: None)
    monkeypatch.setattr(synthesize.Synthesizer, "of", lambda *given: Stub())
    monkeypatch.setattr(spoken_batch, "run_batch", run_batch)
    page = opened(browser, emptied[0], 390, 900)
    page.get_by_role("tab", name="Speak").click()
    page.locator("#text textarea").fill("A sentence that is longer than a telephone is wide, and said at once.")
    page.locator("#go").click()
    expect(page.locator("#spoken li")).to_contain_text("1.00 s")
    page.wait_for_timeout(400)
    found = unreadable(page, "Speak")
    page.get_by_role("tab", name="Batch").click()
    (tmp_path / "lines.txt").write_text("One.\nTwo.\n")
    page.locator("#batch-file input[type=file]").set_input_files(str(tmp_path / "lines.txt"))
    expect(page.locator("#batch-file")).to_contain_text("lines")
    page.locator("#batch-go").click()
    expect(page.locator("#batch-status")).to_contain_text("1 of 2 made")
    expect(page.locator("#batch-rows li")).to_have_count(2)
    page.wait_for_timeout(400)
    assert not found + unreadable(page, "Batch")
    page.context.close()

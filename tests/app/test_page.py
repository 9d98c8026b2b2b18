"""The page in real headless Chromium: the whole walk (with a microphone fed from a file), a reload in mid-run, stop and
continue, the example in four clicks, the other tabs, a telephone's width. It makes the screenshots of docs/."""

from __future__ import annotations

import time

import pytest

from tests.app.browsing import CHROMIUM, OUT, PLAYED, opened, ready, walk_to
from tests.conftest import EXAMPLES

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed (make test installs it)")
STEPS = 60


def shot(page, name):
    page.wait_for_function("() => !/processing \\|/.test(document.body.innerText)")
    page.wait_for_timeout(600)
    page.screenshot(path=str(OUT / f"{name}.png"))


def named(page, name):
    page.locator("#name textarea, #name input").fill(name)
    page.locator("#who textarea, #who input").first.fill("VCTK")
    page.get_by_label("The speaker agrees").check()


def set_steps(page, count):
    """Until it stays: on a busy machine what the page answered to the click before comes after what is typed."""
    page.get_by_text("Purpose, sound, accent and steps").click()
    steps = page.locator("#steps input[type=number]")
    for _ in range(10):
        steps.fill(str(count))
        steps.press("Tab")
        page.wait_for_timeout(1500)
        if steps.input_value() == str(count):
            return
    raise AssertionError(f"The steps are {steps.input_value()} and not {count}.")


def test_the_walk(browser, served):
    from playwright.sync_api import expect

    address, library = served
    page = opened(browser, address)
    # On the first start there is a voice to speak with.
    page.get_by_role("tab", name="Speak").click()
    expect(page.locator("#voice input")).to_have_value("example")
    page.locator("#go").click()
    expect(page.locator("#spoken")).to_contain_text("Hello", timeout=120_000)
    page.get_by_role("tab", name="Clone", exact=True).click()
    # 1. The microphone, then files.
    page.get_by_role("tab", name="Read aloud").click()
    page.locator("#keep").click()
    expect(page.locator("#trouble2")).to_contain_text("There is no recording yet")
    page.locator("#microphone .record-button").click()
    page.wait_for_timeout(4000)
    page.locator("#microphone .stop-button:visible").first.click()
    page.locator("#microphone audio[src]").first.wait_for(state="attached")
    # It can be played before it has reached the page's program; who is too fast is told to wait, and presses again.
    for _ in range(20):
        page.locator("#keep").click()
        page.wait_for_timeout(1500)
        if "2 of 20" in page.locator("#prompt").inner_text():
            break
        expect(page.locator("#trouble2")).to_contain_text("There is no recording yet")
    expect(page.locator("#prompt")).to_contain_text("2 of 20")
    shot(page, "2-read")
    page.get_by_role("tab", name="Upload").click()
    uploads = [*sorted((EXAMPLES / "clips").glob("*.flac"))[:6], EXAMPLES / "clips" / "transcripts.csv"]
    page.locator("#clips input[type=file]").set_input_files([str(u) for u in uploads])
    expect(page.locator("#trouble2")).to_contain_text("7 clips")
    page.locator("#look").click()
    # The microphone played another sentence than the prompt: the doctor hears that.
    expect(page.locator("#meter")).to_contain_text("of usable speech", timeout=180_000)
    expect(page.locator("#checked li").first).to_contain_text("prompt-01.wav")
    expect(page.locator("#checked .badge.red")).to_have_count(1)
    expect(page.locator("#checked .badge.green").first).to_have_text("✓ good")
    shot(page, "2-clips")
    page.locator("#to2").click()
    # 2. Texts that came with the files, and the prompt.
    text = page.get_by_label("What is said in p225_002.flac")
    expect(page.get_by_label("What is said in p225_001.flac")).to_have_value("Please call Stella.")
    text.fill("Ask her to bring those things.")
    text.press("Tab")
    shot(page, "3-text")
    page.wait_for_timeout(1500)
    # What was gathered and typed outlives a reload; the next prompt is shown.
    page.reload()
    ready(page)
    expect(page.locator("#trouble2")).to_contain_text("Still here from before: 7 clips")
    page.locator("#to2").click()
    expect(text).to_have_value("Ask her to bring those things.")
    page.get_by_role("button", name="Remove p225_006.flac").last.click()
    expect(page.locator("#trouble3")).to_contain_text("p225_006.flac is removed")
    page.locator("#to3").click()
    # 3. One button: a plan that says what will happen; start; a reload finds the clone; stop; go on.
    named(page, "web")
    set_steps(page, 1000)
    page.locator("#main").click()
    expect(page.locator("#main")).to_have_text("Start", timeout=180_000)
    expect(page.locator("#planned")).to_contain_text("1200 (1000, and 200 more")
    page.locator("#main").click()
    expect(page.locator("#status")).to_contain_text("step 1", timeout=180_000)
    page.reload()
    expect(page.locator("#status")).to_contain_text("Running", timeout=60_000)
    page.locator("#main").click()
    expect(page.locator("#status")).to_contain_text("Stopped", timeout=180_000)
    assert (library / "web.voice").is_file()
    expect(page.locator("#main")).to_have_text("Go on")
    page.locator("#main").click()
    expect(page.locator("#status")).to_contain_text("Running", timeout=180_000)
    page.locator("#main").click()
    expect(page.locator("#status")).to_contain_text("Stopped", timeout=180_000)
    page.context.close()


def test_four_clicks_from_the_page_to_a_clone_of_the_example_that_is_heard(browser, served):
    from playwright.sync_api import expect

    address, library = served
    page = opened(browser, address)
    clicks = []
    # Clips of another window's walk are its own, or taken over: they go when that is confirmed.
    if page.locator("#checked li").count():
        walk_to(page, 1, "#over")
        page.once("dialog", lambda d: d.accept())
        page.locator("#over").click()
        expect(page.locator("#trouble2")).to_contain_text("removed")
        page.reload()
        ready(page)
    walk_to(page, 1, "#examples")

    def click(what):
        clicks.append(what)
        page.locator(what).click()

    click("#examples")
    expect(page.locator("#name textarea, #name input")).to_have_value("p225")
    click("#consent input")
    click("#main")
    expect(page.locator("#main")).to_have_text("Start", timeout=180_000)
    click("#main")
    expect(page.locator("#status")).to_contain_text("Done", timeout=300_000)
    # Of two buttons in sight the one that goes on is loud.
    assert "primary" in page.locator("#to4").get_attribute("class")
    assert "primary" not in page.locator("#main").get_attribute("class")
    # It speaks by itself: who waited for it wants to hear it first.
    assert page.evaluate("""async () => { for (let i = 0; i < 300; i++) {
      const a = document.querySelector('#preview audio');
      if (a && a.currentTime > 0.2) return true;
      await new Promise(r => setTimeout(r, 100)); } return false; }""")
    assert len(clicks) <= 4, clicks
    page.get_by_text("step 30", exact=True).click()
    expect(page.locator("#preview")).to_contain_text("Step 30")
    # A scale of round numbers.
    labels = page.locator("#likeness svg .value").all_text_contents()
    assert 3 <= len(labels) <= 7 and all(len(t) <= 6 for t in labels), labels
    shot(page, "4-adapt")
    page.locator("#use").click()
    expect(page.locator("#trouble4")).to_contain_text("step 30")
    page.locator("#to4").click()
    page.get_by_label("Blind").check()
    page.locator("#compare").click()
    page.locator("#soundB audio[src]").wait_for(state="attached", timeout=180_000)
    assert page.evaluate(PLAYED, "soundA")[1] > 0.2
    page.locator("#guess").get_by_label("A", exact=True).check()
    expect(page.locator("#verdict")).to_contain_text("is the recording")
    shot(page, "5-listen")
    page.locator("#compare").click()
    expect(page.locator("#verdict")).not_to_contain_text("is the recording")
    assert not page.locator("#guess").get_by_label("A", exact=True).is_checked()
    page.locator("#to5").click()
    expect(page.locator("#facts")).to_contain_text("p225.voice")
    shot(page, "6-save")
    assert (library / "p225.voice").stat().st_size < 1e6
    page.context.close()


def test_the_other_tabs(browser, served, starter, cloned, tmp_path):
    from playwright.sync_api import expect

    from tts_meta.voices.library import import_voice

    address, library = served
    if not (library / "p225.voice").exists():
        import_voice(cloned.path, starter)
    page = opened(browser, address)
    page.get_by_role("tab", name="Speak").click()
    page.locator("#text textarea").fill("Good morning to you. And good night.")
    page.locator("#go").click()
    expect(page.locator("#spoken")).to_contain_text("And good night.", timeout=120_000)
    page.locator("#sound audio[src]").wait_for(state="attached")
    played = page.evaluate(PLAYED, "sound")
    assert played[0] > 0.5 and played[1] > 0.2, played
    shot(page, "speak")
    page.locator("#text textarea").fill("...")
    page.locator("#go").click()
    expect(page.locator("#trouble-speak")).to_contain_text("nothing to speak")

    page.get_by_role("tab", name="Batch").click()
    page.locator("#batch-go").click()
    expect(page.locator("#batch-status")).to_contain_text("Give a txt")
    (tmp_path / "lines.txt").write_text("One.\nTwo.\n")
    page.locator("#batch-file input[type=file]").set_input_files(str(tmp_path / "lines.txt"))
    page.wait_for_timeout(1000)
    page.locator("#batch-go").click()
    expect(page.locator("#batch-status")).to_contain_text("2 of 2 made", timeout=120_000)
    expect(page.locator("#batch-zip")).to_contain_text("speech")
    shot(page, "batch")

    page.get_by_role("tab", name="Library").click()
    page.get_by_role("button", name="Details p225").click()
    expect(page.locator("#library-facts")).to_contain_text("name: p225", timeout=60_000)
    page.locator("#sample audio[src]").wait_for(state="attached")
    shot(page, "library")
    page.once("dialog", lambda d: d.accept("mine"))
    page.get_by_role("button", name="Duplicate p225").click()
    expect(page.locator("#library-status")).to_contain_text("mine is a copy of p225")
    page.once("dialog", lambda d: d.accept("mine"))
    page.get_by_role("button", name="Rename p225").click()
    expect(page.locator("#library-status")).to_contain_text("exists already")
    expect(page.locator("#library-status")).not_to_contain_text("--force")
    page.once("dialog", lambda d: d.accept("for tests"))
    page.get_by_role("button", name="Note mine").click()
    expect(page.locator("#voices")).to_contain_text("for tests")
    bad = tmp_path / "bad.voice"
    bad.write_bytes(b"x" * 100)
    page.get_by_text("Import a voice file").click()
    page.locator("#import-file input[type=file]").set_input_files(str(bad))
    page.wait_for_timeout(1000)
    page.locator("#import").click()
    expect(page.locator("#library-status")).to_contain_text("bad.voice is not a voice file")

    page.get_by_role("tab", name="Evaluate").click()
    page.locator("#evaluate").click()
    expect(page.locator("#trouble-evaluate")).to_contain_text("at least two")
    references = [*sorted((EXAMPLES / "reference").glob("*.flac"))[:2], EXAMPLES / "reference" / "transcripts.csv"]
    page.locator("#references input[type=file]").set_input_files([str(r) for r in references])
    page.wait_for_timeout(1500)
    page.locator("#evaluate").click()
    expect(page.locator("#evaluation")).to_contain_text("closer to the speaker", timeout=240_000)
    expect(page.locator("#report")).to_contain_text("report")
    shot(page, "evaluate")

    page.get_by_role("tab", name="Doctor").click()
    page.locator("#examine").click()
    expect(page.locator("#doctor")).to_contain_text("vocoder", timeout=120_000)
    shot(page, "doctor")
    page.context.close()


def test_keyboard_alone_and_a_telephone(browser, served):
    """The example by keys only, at a telephone's width, without sideways scrolling."""
    from playwright.sync_api import expect

    page = opened(browser, served[0], 390, 844)
    walk_to(page, 1, "#hello")
    page.locator("#hello").focus()
    end = time.monotonic() + 60
    while not page.evaluate("document.activeElement.id == 'to2' || !!document.activeElement.closest('#to2')"):
        assert time.monotonic() < end
        page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page.locator("#recognise")).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    shot(page, "phone")
    page.context.close()

"""The page in real headless Chromium: the whole walk (with a microphone fed from a file), a reload in mid-run, stop and
continue, the other tabs, the errors, a telephone's width. It makes the screenshots of docs/."""

from __future__ import annotations

import re
import time

import pytest

from tests.app.browsing import CHROMIUM, OUT, opened
from tests.conftest import EXAMPLES

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed (make test installs it)")
# The player may still get a new file (the first sentence's, then the whole text's), which begins paused.
PLAYED = """async (id) => { let a = null;
   for (let i = 0; i < 100 && !(a && a.currentTime > 0.2); i++) {
     a = document.querySelector('#' + id + ' audio');
     if (a && a.duration > 0 && a.paused) { a.muted = true; await a.play().catch(() => 0); }
     await new Promise(r => setTimeout(r, 100));
   }
   return [a.duration, a.currentTime]; }"""
CONTRAST = """(e) => { const light = (c) => {
   const v = c.map(x => (x /= 255) <= 0.03928 ? x / 12.92 : ((x + 0.055) / 1.055) ** 2.4);
   return 0.2126 * v[0] + 0.7152 * v[1] + 0.0722 * v[2]; };
   return 1.05 / (light(getComputedStyle(e).color.match(/[0-9.]+/g).slice(0, 3).map(Number)) + 0.05); }"""


def shot(page, name):
    page.wait_for_function("() => !/processing \\|/.test(document.body.innerText)")
    page.wait_for_timeout(600)
    page.screenshot(path=str(OUT / f"{name}.png"))


def set_steps(page, count):
    """Until it stays: on a busy machine what the page answered to the click before comes after what is typed."""
    steps = page.locator("#steps input[type=number]")
    for _ in range(10):
        steps.fill(str(count))
        steps.press("Tab")
        page.wait_for_timeout(1500)
        if steps.input_value() == str(count):
            return
    raise AssertionError(f"The steps are {steps.input_value()} and not {count}.")


def first_step(page, name):
    page.get_by_label("Name of the voice").fill(name)
    page.get_by_label("Who gives permission").fill("VCTK")
    page.get_by_label("The speaker agrees").check()
    page.locator("#to2").click()
    page.locator("#prompt").wait_for()


def look_at(page, voice, fact):
    """Choose a voice in the library."""
    from playwright.sync_api import expect

    page.get_by_role("tab", name="Library").click()
    page.locator("#chosen input").click()
    page.get_by_role("option", name=voice, exact=True).click()
    expect(page.locator("#library-facts")).to_contain_text(f"name: {voice}", timeout=60_000)
    expect(page.locator("#library-facts")).to_contain_text(fact)


def test_the_walk(browser, served):
    from playwright.sync_api import expect

    address, library = served
    page = opened(browser, address)
    # On the first start there is a voice to speak with.
    page.get_by_role("tab", name="Speak").click()
    expect(page.locator("#voice input")).to_have_value("example")
    page.locator("#go").click()
    expect(page.locator("#spoken")).to_contain_text("Hello", timeout=120_000)
    look_at(page, "example", "CC BY 4.0")
    page.get_by_label("New name, or note").fill("mine")
    page.locator("#rename").click()
    expect(page.locator("#library-status")).to_contain_text("comes with the package")
    page.get_by_role("tab", name="Clone", exact=True).click()
    # 1. Refused without a name, then without consent.
    page.locator("#to2").click()
    expect(page.locator("#trouble1")).to_contain_text("cannot be used")
    page.get_by_label("Name of the voice").fill("web")
    page.locator("#to2").click()
    expect(page.locator("#trouble1")).to_contain_text("consent")
    expect(page.locator("#trouble1 button")).to_have_text("Copy")
    shot(page, "1-who")
    first_step(page, "web")
    # 2. The microphone, then files.
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
    expect(page.locator("#meter")).to_contain_text("of usable speech", timeout=120_000)
    expect(page.locator("#checked")).to_contain_text("prompt-01.wav")
    expect(page.locator("#checked")).to_contain_text("✗ left out")
    expect(page.locator("#checked")).to_contain_text("✓ good")
    shot(page, "2-clips")
    page.locator("#to3").click()
    # 3. Texts that came with the files, and the prompt.
    expect(page.locator("#texts")).to_contain_text("Please call Stella.")
    expect(page.locator("#texts")).to_contain_text("The young judge")
    # What was gathered and typed outlives a reload; the next prompt is shown.
    cell = page.locator("#texts [role=gridcell]", has_text="The young judge")
    cell.dblclick()
    page.keyboard.press("Control+a")
    page.keyboard.type("The young judges")
    page.keyboard.press("Enter")
    page.wait_for_timeout(1500)
    page.reload()
    first_step(page, "web")
    expect(page.locator("#trouble2")).to_contain_text("Still here from before: 7 clips")
    expect(page.locator("#prompt")).to_contain_text("2 of 20")
    page.locator("#to3").click()
    expect(page.locator("#texts")).to_contain_text("The young judges")
    # A clip can be heard and removed.
    page.locator("#remove-clip").click()
    expect(page.locator("#trouble3")).to_contain_text("click its row")
    page.locator("#texts [role=gridcell]", has_text="p225_006.flac").click()
    page.locator("#chosen-clip audio[src]").wait_for(state="attached")
    expect(page.locator("#chosen-clip")).to_contain_text("p225_006.flac")
    expect(page.locator("#trouble3")).not_to_contain_text("Problem")
    shot(page, "3-text")
    page.locator("#remove-clip").click()
    expect(page.locator("#trouble3")).to_contain_text("p225_006.flac is removed")
    expect(page.locator("#texts")).not_to_contain_text("p225_006.flac")
    page.locator("#to4").click()
    # 4. Start needs a plan; the plan says what will happen; a reload finds the job; stop, continue.
    page.locator("#start").click()
    expect(page.locator("#trouble4")).to_contain_text("press Plan first")
    set_steps(page, 1000)
    page.locator("#plan").click()
    expect(page.locator("#planned")).to_contain_text("modules", timeout=120_000)
    expect(page.locator("#planned")).to_contain_text("tts-meta clone")
    page.locator("#start").click()
    expect(page.locator("#status")).to_contain_text("step 1", timeout=120_000)
    page.reload()
    expect(page.locator("#status")).to_contain_text("Running", timeout=60_000)
    page.locator("#stop").click()
    expect(page.locator("#status")).to_contain_text("Stopped", timeout=120_000)
    assert (library / "web.voice").is_file()
    page.locator("#start").click()
    expect(page.locator("#status")).to_contain_text("Running", timeout=120_000)
    page.locator("#stop").click()
    expect(page.locator("#status")).to_contain_text("Stopped", timeout=120_000)


def test_a_short_clone_from_the_examples_to_the_saved_voice(browser, served):
    from playwright.sync_api import expect

    from tts_meta.voices.jobs.folder import list_jobs

    address, library = served
    page = opened(browser, address)
    first_step(page, "example")
    page.get_by_role("tab", name="Upload").click()
    # Clips of another walk are not mixed with the examples, and are removed only when that is confirmed.
    page.locator("#examples").click()
    expect(page.locator("#trouble2")).to_contain_text("Start over first")
    page.once("dialog", lambda d: d.dismiss())
    page.locator("#over").click()
    page.wait_for_timeout(1000)
    assert len(list((library / "draft").glob("*.flac"))) == 5
    page.once("dialog", lambda d: d.accept())
    page.locator("#over").click()
    expect(page.locator("#trouble2")).to_contain_text("removed")
    assert not (library / "draft").exists()
    page.locator("#examples").click()
    expect(page.locator("#trouble2")).to_contain_text("VCTK")
    page.locator("#to3").click()
    page.locator("#to4").click()
    set_steps(page, 60)
    page.locator("#plan").click()
    expect(page.locator("#planned")).to_contain_text("10 clips", timeout=120_000)
    page.locator("#start").click()
    expect(page.locator("#status")).to_contain_text("Done", timeout=240_000)
    expect(page.locator("#kept")).to_contain_text("step 72", timeout=30_000)
    page.locator("#kept").get_by_label("step 30").check()
    page.locator("#preview audio[src]").wait_for(state="attached")
    page.locator("#use").click()
    expect(page.locator("#trouble4")).to_contain_text("step 30")
    # A scale of round numbers; a column taken for categories would show every value with all its decimals.
    labels = [t for t in page.locator("#curve svg .role-axis-label text").all_text_contents() if t.strip()]
    assert len(labels) >= 4 and all(len(t) <= 6 for t in labels), labels
    # The scale of steps is inside its frame, and hints can be read.
    frame = page.locator("#curve").bounding_box()
    for axis in page.locator("#curve svg .role-axis-label").all():
        seen = axis.bounding_box()
        assert seen["height"] and seen["y"] + seen["height"] <= frame["y"] + frame["height"], (seen, frame)
    assert "10" in labels, labels  # of the steps: the losses are all above
    assert page.locator("#steps", has_text="More steps are slower").locator("span, div, p").filter(
        has_text=re.compile("^More steps")).last.evaluate(CONTRAST) >= 4.5
    shot(page, "4-adapt")
    page.locator("#to5").click()
    page.get_by_label("Blind").check()
    page.locator("#compare").click()
    page.locator("#soundB audio[src]").wait_for(state="attached", timeout=120_000)
    assert page.evaluate(PLAYED, "soundA")[1] > 0.2
    page.locator("#guess").get_by_label("A", exact=True).check()
    expect(page.locator("#verdict")).to_contain_text("is the recording")
    shot(page, "5-listen")
    page.locator("#to6").click()
    expect(page.locator("#facts")).to_contain_text("example.voice")
    shot(page, "6-save")
    assert (library / "example.voice").stat().st_size < 1e6

    # A clone that was stopped before is found in the list; its folder goes only when that is confirmed.
    page.reload()
    expect(page.locator("#to2")).to_be_visible()
    first_step(page, "again")
    page.locator("#to3").click()
    page.locator("#to4").click()
    page.get_by_role("button", name="Earlier clones").click()
    page.locator("#earlier input").click()
    page.get_by_role("option", name="web, ").click()
    expect(page.locator("#status")).to_contain_text("Stopped", timeout=60_000)
    stopped = [j for j in list_jobs() if j.settings.name == "web"]
    page.once("dialog", lambda d: d.accept())
    page.locator("#delete-clone").click()
    expect(page.locator("#trouble4")).to_contain_text("the voice it made stays")
    assert (library / "web.voice").exists() and not stopped[0].path.exists()


def test_the_other_tabs(browser, served, starter, cloned, tmp_path, monkeypatch):
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

    look_at(page, "p225", "VCTK")
    expect(page.locator("#voices")).to_contain_text("p225")
    page.locator("#sample audio[src]").wait_for(state="attached")
    shot(page, "library")
    page.get_by_label("New name, or note").fill("mine")
    page.locator("#copy").click()
    expect(page.locator("#library-status")).to_contain_text("mine is a copy of p225")
    expect(page.locator("#library-facts")).to_contain_text("name: mine", timeout=60_000)  # the copy is chosen now
    look_at(page, "p225", "VCTK")
    page.locator("#rename").click()
    expect(page.locator("#library-status")).to_contain_text("exists already")
    look_at(page, "mine", "VCTK")
    page.on("dialog", lambda d: d.accept())
    page.locator("#delete").click()
    expect(page.locator("#library-status")).to_contain_text("mine is deleted", timeout=60_000)
    assert not (library / "mine.voice").exists() and (library / "p225.voice").exists()
    bad = tmp_path / "bad.voice"
    bad.write_bytes(b"x" * 100)
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
    expect(page.locator("#evaluation")).to_contain_text("closer to the speaker", timeout=180_000)
    expect(page.locator("#report")).to_contain_text("report")
    shot(page, "evaluate")

    page.get_by_role("tab", name="Doctor").click()
    page.locator("#examine").click()
    expect(page.locator("#doctor")).to_contain_text("vocoder", timeout=120_000)
    shot(page, "doctor")


def test_keyboard_alone_and_a_telephone(browser, served):
    """The first step by keys only, at a telephone's width, without sideways scrolling."""
    from playwright.sync_api import expect

    page = opened(browser, served[0], 390, 844)
    page.get_by_label("Name of the voice").focus()
    page.keyboard.type("keys")
    end = time.monotonic() + 20
    while not page.evaluate("document.activeElement.type == 'checkbox'"):
        assert time.monotonic() < end
        page.keyboard.press("Tab")
    page.keyboard.press("Space")
    while not page.evaluate("document.activeElement.id == 'to2' || !!document.activeElement.closest('#to2')"):
        assert time.monotonic() < end
        page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page.locator("#prompt")).to_contain_text("1 of 20")
    assert page.evaluate("document.documentElement.scrollWidth") <= 400
    shot(page, "phone")

"""What the page says and does beside the walk, in headless Chromium, with clones that stubs have made."""

from __future__ import annotations

import shutil
import time

import pytest

from tests.app.browsing import CHROMIUM, PLAYED, opened, ready
from tests.app.stubs import clone, running, tone, without_network
from tests.conftest import EXAMPLES

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed (make test installs it)")
NETWORK = False


def upload(page, *files):
    page.locator("#clips input[type=file]").set_input_files([str(f) for f in files])


def to_adapt(page):
    page.locator("#to2").click()
    page.locator("#to3").click()
    page.locator("#bar").wait_for()


def named(page, name):
    page.locator("#name textarea, #name input").fill(name)
    page.locator("#who textarea, #who input").first.focus()


def test_two_windows_have_their_own_clips_and_a_clone_is_made_of_those_shown(browser, emptied, tmp_path, monkeypatch):
    from playwright.sync_api import expect

    made = without_network(monkeypatch)
    address, _ = emptied
    first, second = opened(browser, address), opened(browser, address)
    upload(first, tone(tmp_path / "mine.wav", 3, 200))
    expect(first.locator("#checked")).to_contain_text("mine.wav")
    upload(second, tone(tmp_path / "theirs.wav", 3, 300))
    expect(second.locator("#checked")).to_contain_text("theirs.wav")
    expect(second.locator("#checked")).not_to_contain_text("mine.wav")
    first.locator("#to2").click()
    # Typed, and not left: the button itself takes what stands there.
    first.locator("#texts textarea").fill("What I said.")
    first.locator("#to3").click()
    named(first, "me")
    first.get_by_label("The speaker agrees").check()
    first.locator("#main").click()
    expect(first.locator("#main")).to_have_text("Start")
    checked, settings, _ = made[-1]
    assert [(c.path.name, c.text) for c in checked.clips] == [("mine.wav", "What I said.")] and settings.name == "me"
    first.get_by_text("Its clips and texts").click()
    expect(first.locator("#planned")).to_contain_text("mine.wav What I said.")
    # After a reload the form is that of the clone, and each window has its own clips.
    first.reload()
    expect(first.locator("#main")).to_have_text("Start")
    expect(first.locator("#name textarea, #name input")).to_have_value("me")
    expect(first.locator("#planned")).to_contain_text("me is made from")
    assert first.get_by_label("The speaker agrees").is_checked()
    second.reload()
    expect(second.locator("#checked")).to_contain_text("theirs.wav")
    expect(second.locator("#checked")).not_to_contain_text("mine.wav")
    # What another window shows is not brought back by closing this one; what nobody shows is.
    first.context.close()
    second.context.close()


def test_what_is_removed_is_gone_and_what_is_shown_is_what_is_planned(browser, emptied, tmp_path, monkeypatch):
    from playwright.sync_api import expect

    made = without_network(monkeypatch)
    page = opened(browser, emptied[0])
    upload(page, *(tone(tmp_path / f"{n}.wav", 2, 200 + 50 * i) for i, n in enumerate("abc")))
    rows = page.locator("#checked li")
    expect(rows).to_have_count(3)
    # The box is empty again: nothing in it could be taken for the list of clips.
    expect(page.locator("#clips")).to_contain_text("Drop File Here")
    expect(page.locator("#enough")).to_contain_text("3 clips, 6 s so far: 30 s make a good voice")
    page.get_by_role("button", name="Play b.wav").click()
    assert page.evaluate(PLAYED, "chosen-clip")[1] > 0.2
    page.get_by_role("button", name="Remove b.wav").click()
    expect(rows).to_have_count(2)
    page.locator("#to2").click()
    expect(page.locator("#texts li")).to_have_count(2)
    assert page.get_by_text("Delete row").count() == page.get_by_text("Delete column").count() == 0
    for area in page.locator("#texts textarea").all():
        area.fill("Said.")
    page.get_by_role("button", name="Remove c.wav").last.click()
    expect(page.locator("#texts li")).to_have_count(1)
    expect(page.locator("#texts textarea")).to_have_value("Said.")
    page.locator("#to3").click()
    named(page, "one")
    page.get_by_label("The speaker agrees").check()
    page.locator("#main").click()
    expect(page.locator("#main")).to_have_text("Start")
    assert [c.path.name for c in made[-1][0].clips] == ["a.wav"]
    page.context.close()


def test_messages_stay_while_a_clone_runs_and_the_button_stops_it(browser, emptied):
    from playwright.sync_api import expect

    address, home = emptied
    with running(home, kept=(0, 30)) as job:
        page = opened(browser, address)
        expect(page.locator("#main")).to_have_text("Stop")
        expect(page.locator("#status")).to_contain_text("step 40 of 72")
        expect(page.locator("#status")).to_contain_text("16 s left")
        expect(page.locator("#likeness-frame")).to_contain_text("ends at step 72")
        page.get_by_text("step 30", exact=True).click()
        assert page.evaluate(PLAYED, "preview")[1] > 0.2
        page.locator("#use").click()
        expect(page.locator("#trouble4 .problem, #trouble4 .fine")).to_be_visible()
        said = page.locator("#trouble4").inner_text()
        job.set_state(step=50)
        expect(page.locator("#status")).to_contain_text("step 50 of 72")  # the page was refreshed meanwhile
        page.wait_for_timeout(2500)
        assert page.locator("#trouble4").inner_text() == said
        page.locator("#main").click()
        expect(page.locator("#trouble4")).to_contain_text("Stopping")
        assert job.stop_asked
        assert page.locator("#likeness svg").count() == 1 and page.locator("#kept input").count() == 2
    expect(page.locator("#main")).to_have_text("Go on")
    expect(page.locator("#status")).to_contain_text("Stopped")
    page.context.close()


def test_one_thing_leads_and_the_line_stays_in_sight(browser, emptied):
    from playwright.sync_api import expect

    address, home = emptied
    with running(home, kept=(0, 30)):
        for width, height in ((1280, 700), (390, 844)):
            page = opened(browser, address, width, height)
            expect(page.locator("#likeness svg")).to_be_visible()
            assert not page.locator("#curve").is_visible() and not page.locator("#steps").is_visible()
            page.locator("#kept").scroll_into_view_if_needed()
            page.mouse.wheel(0, 4000)
            page.wait_for_timeout(500)
            bar = page.locator("#bar").bounding_box()
            assert bar["y"] >= -1 and bar["y"] + bar["height"] < height / 2, bar
            # The kept steps are on the same screen as the button, or become so by scrolling: it is always there.
            page.locator("#kept").scroll_into_view_if_needed()
            assert page.locator("#main").bounding_box()["y"] < height and page.locator("#kept").bounding_box()["y"] < height
            page.context.close()


def test_a_name_that_exists_is_said_as_it_is_typed(browser, emptied, tmp_path, monkeypatch):
    from playwright.sync_api import expect

    made = without_network(monkeypatch)
    address, home = emptied
    (home / "ann.voice").write_bytes(b"x")
    page = opened(browser, address)
    to_adapt(page)
    # Nothing to stop, and no internal words.
    expect(page.locator("#main")).to_have_text("Plan")
    named(page, "ann")
    expect(page.locator("#trouble1")).to_contain_text("exists")
    page.locator("#another").click()
    expect(page.locator("#name textarea, #name input")).to_have_value("ann-2")
    named(page, "Ann 😀")
    expect(page.locator("#trouble1 .problem")).to_contain_text("cannot be used")
    named(page, "Zoë")
    expect(page.locator("#trouble1 .problem")).to_have_count(0)
    named(page, "ann")
    expect(page.locator("#trouble1 .problem")).to_have_count(1)
    page.get_by_label("Replace the voice").check()
    expect(page.locator("#trouble1 .problem")).to_have_count(0)
    page.locator("#main").click()
    expect(page.locator("#trouble4")).to_contain_text("only with consent")
    page.get_by_label("The speaker agrees").check()
    page.locator("#main").click()
    expect(page.locator("#trouble4")).to_contain_text("no clips yet")
    assert not made
    page.context.close()


def test_one_click_and_the_example_is_ready_and_one_and_its_voice_is_heard(browser, emptied):
    from playwright.sync_api import expect

    page = opened(browser, emptied[0])
    begin = time.monotonic()
    page.locator("#hello").click()
    assert page.evaluate("""async () => { for (let i = 0; i < 300; i++) {
      const a = document.querySelector('#greeting audio');
      if (a && a.currentTime > 0.2 && !a.paused) return true;
      await new Promise(r => setTimeout(r, 100)); } return false; }""")  # by itself: that was the one click
    print(f"heard after {time.monotonic() - begin:.1f} s")
    page.locator("#examples").click()
    expect(page.locator("#name textarea, #name input")).to_have_value("p225")
    expect(page.locator("#who textarea, #who input")).to_have_value("the VCTK corpus (CC BY 4.0)")
    assert not page.get_by_label("The speaker agrees").is_checked()
    page.context.close()


def test_a_long_text_counts_grows_and_is_stopped(browser, emptied, monkeypatch):
    import numpy as np
    from playwright.sync_api import expect

    from app import warm
    from tts_meta.speaking import synthesize
    from tts_meta.voices import voice_file

    class Network:
        espeak_voice = "en-us"

    class Stub:
        def stream(self, text, *settings, at_once=False):
            for number in range(40):
                time.sleep(0.25)
                yield synthesize.Spoken(np.full(22050, 0.01, np.float32), np.zeros((1, 80)), [], [f"Sentence {number + 1}."])

    monkeypatch.setattr(warm, "network", Network)
    monkeypatch.setattr(voice_file, "load_voice", lambda *given: None)
    monkeypatch.setattr(synthesize.Synthesizer, "of", lambda *given: Stub())
    page = opened(browser, emptied[0])
    page.get_by_role("tab", name="Speak").click()
    for empty in ("#sound", "#spoken"):
        expect(page.locator(empty)).not_to_be_visible()
    page.locator("#text textarea").fill(" ".join(f"Sentence {i + 1}." for i in range(40)))
    page.locator("#go").click()
    expect(page.locator("#trouble-speak")).to_contain_text("of 40 sentences are spoken")
    page.evaluate(PLAYED, "sound")
    first = page.evaluate("document.querySelector('#sound audio').duration")
    page.wait_for_function("(was) => document.querySelector('#sound audio').duration > was + 1", arg=first)
    # The longer file goes on where the shorter was.
    page.wait_for_timeout(400)
    assert page.evaluate("document.querySelector('#sound audio').currentTime") > 0.1
    page.locator("#halt").click()
    expect(page.locator("#trouble-speak")).to_contain_text("Stopped after")
    said = int(page.locator("#trouble-speak").inner_text().split("after ")[1].split()[0])
    assert said < 40
    page.wait_for_function("(n) => Math.abs(document.querySelector('#sound audio').duration - n) < 0.5", arg=said)
    page.context.close()


def test_an_evaluation_tells_how_long_and_leaves_one_bad_file_out(browser, emptied, tmp_path, monkeypatch):
    from playwright.sync_api import expect

    from app import warm
    from tts_meta.evaluation import evaluate
    from tts_meta.voices import voice_file

    class Voice:
        header: dict = {}

    def measured(starter, voice, references, out, making=None, command="", on_sentence=None):
        for done in (1, 2):
            time.sleep(2)
            on_sentence(done, 2)
        (out / "report.html").write_text("report")
        return {"verdict": f"Made of {len(references)} recordings."}

    monkeypatch.setattr(warm, "network", lambda: None)
    monkeypatch.setattr(voice_file, "load_voice", lambda *given: Voice())
    monkeypatch.setattr(evaluate, "evaluate_voice", measured)
    folder = tmp_path / "given"
    folder.mkdir()
    for name in ("p225_011.flac", "p225_016.flac", "transcripts.csv"):
        shutil.copy(EXAMPLES / "reference" / name, folder)
    (folder / "bad.wav").write_bytes(b"no sound")
    page = opened(browser, emptied[0])
    page.get_by_role("tab", name="Evaluate").click()
    expect(page.locator("#report")).not_to_be_visible()
    page.locator("#references input[type=file]").set_input_files([str(p) for p in sorted(folder.iterdir())])
    expect(page.locator("#references")).to_contain_text("bad")
    page.locator("#evaluate").click()
    expect(page.locator("#trouble-evaluate")).to_contain_text("1 of 2 sentences are measured, about")
    expect(page.locator("#evaluation")).to_contain_text("Made of 2 recordings")
    said = page.locator("#trouble-evaluate").inner_text()
    assert "left out" in said and "bad.wav" in said and "/tmp" not in said and "tts-meta-" not in said
    expect(page.locator("#report")).to_be_visible()
    page.context.close()


def test_the_old_guess_and_verdict_go_with_the_old_sounds(browser, emptied, monkeypatch):
    import numpy as np
    from playwright.sync_api import expect

    from app import warm
    from tts_meta.speaking import synthesize
    from tts_meta.voices import voice_file

    class Stub:
        def speak(self, text):
            return synthesize.Spoken(np.full(22050, 0.01, np.float32), np.zeros((1, 80)), [], [text])

    monkeypatch.setattr(warm, "network", lambda: None)
    monkeypatch.setattr(voice_file, "load_voice", lambda *given: None)
    monkeypatch.setattr(synthesize.Synthesizer, "of", lambda *given: Stub())
    address, home = emptied
    job = clone(home, 1, "interrupted", kept=(0,))
    job.set_state(voice=str(home / "none.voice"))
    tone(job.file("real.wav"), 2)
    page = opened(browser, address)
    page.locator("#to4").click()
    guess = page.locator("#guess").get_by_label("A", exact=True)
    expect(page.locator("#soundA")).not_to_be_visible()
    expect(guess).not_to_be_visible()
    page.get_by_label("Blind").check()
    page.locator("#compare").click()
    guess.check()
    expect(page.locator("#verdict")).to_contain_text("is the recording")
    assert "is the recording" not in page.locator("#said").inner_text()
    for button in page.locator("#soundA a[download], #soundB a[download]").all():
        assert "real" not in button.get_attribute("href") and "clone" not in button.get_attribute("href")
    page.locator("#compare").click()
    expect(page.locator("#verdict")).not_to_contain_text("is the recording")
    expect(guess).not_to_be_checked()
    guess.check()
    expect(page.locator("#verdict")).to_contain_text("is the recording")
    # Sounds that cannot be made take the old guess with them too.
    job.set_state(voice="")
    page.locator("#compare").click()
    expect(page.locator("#trouble5")).to_contain_text("no voice yet")
    expect(page.locator("#verdict")).not_to_contain_text("is the recording")
    expect(guess).not_to_be_visible()
    page.context.close()


def test_a_voice_is_heard_deleted_and_brought_back_in_its_row(browser, emptied, cloned, starter):
    from playwright.sync_api import expect

    from tts_meta.voices.library import import_voice

    address, home = emptied
    import_voice(cloned.path, starter)
    page = opened(browser, address)
    page.get_by_role("tab", name="Library").click()
    rows = page.locator("#voices li")
    expect(rows).to_have_count(2)
    expect(rows.last).to_contain_text("example")
    expect(rows.last).to_contain_text("Comes with the package")
    assert rows.last.get_by_text("Delete").count() == 0
    expect(page.locator("#sample")).not_to_be_visible()
    page.get_by_role("button", name="Delete p225").click()
    expect(rows).to_have_count(1)
    assert not (home / "p225.voice").exists()
    page.locator("#undo").click()
    expect(rows).to_have_count(2)
    assert (home / "p225.voice").read_bytes() == cloned.path.read_bytes()
    expect(page.locator("#undo")).not_to_be_visible()
    # Asked for a name and not given one: nothing happens, and that is no problem.
    page.once("dialog", lambda d: d.dismiss())
    page.get_by_role("button", name="Rename p225").click()
    page.wait_for_timeout(500)
    expect(page.locator("#library-status .problem")).to_have_count(0)
    page.once("dialog", lambda d: d.accept("Zoë"))
    page.get_by_role("button", name="Rename p225").click()
    expect(page.locator("#voices")).to_contain_text("Zoë")
    assert (home / "Zoë.voice").is_file()
    page.context.close()


def test_nothing_is_sent_elsewhere(browser, emptied):
    """No button that would give a sound to another host, no font from one."""
    page = opened(browser, emptied[0])
    asked = []
    page.on("request", lambda r: asked.append(r.url))
    page.reload()
    ready(page)
    page.locator("#hello").click()
    page.locator("#greeting audio[src]").wait_for(state="attached")
    labels = [b.get_attribute("aria-label") or b.get_attribute("title") or "" for b in page.locator("#greeting button").all()]
    assert any("ownload" in x for x in labels) and not any("hare" in x for x in labels), labels
    assert asked and all(u.startswith((emptied[0], "data:", "blob:")) for u in asked), asked
    page.context.close()


def test_speak_shows_how_a_text_will_be_read(browser, emptied):
    from playwright.sync_api import expect

    page = opened(browser, emptied[0])
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
    page.context.close()

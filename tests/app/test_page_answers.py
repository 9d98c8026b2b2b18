"""What the page answers when something is pressed, also twice, too early or by mistake, in headless Chromium."""

from __future__ import annotations

import threading

import pytest

from tests.app.browsing import CHROMIUM, UNREADABLE, opened, ready, step
from tests.app.stubs import clone, tone, without_network
from tts_meta.clips.draft_clips import Draft
from tts_meta.errors import InputError

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed (make test installs it)")
NETWORK = False


def upload(page, *files):
    page.locator("#clips input[type=file]").set_input_files([str(f) for f in files])


def test_every_button_whose_work_takes_time_answers_at_once(browser, emptied, tmp_path, monkeypatch):
    from playwright.sync_api import expect

    from app import warm, windows
    from tts_meta import doctor

    released = threading.Event()

    def slow(*given):
        released.wait(120)
        raise InputError("It came in the end.")

    address, home = emptied
    job = clone(home, 1, "done", kept=(0, 30))
    page = opened(browser, address)
    Draft.of(next(iter(windows.OPEN.values()))).plan(job.id)
    page.reload()
    ready(page)
    upload(page, tone(tmp_path / "a.wav", 6))
    expect(page.locator("#checked")).to_contain_text("a.wav")
    monkeypatch.setattr(warm, "network", slow)
    monkeypatch.setattr(doctor, "run_checks", slow)
    page.locator("#to2").click()
    page.locator("#texts textarea").fill("What is said.")
    page.locator("#to3").click()
    page.locator("#name textarea, #name input").fill("new")
    page.locator("#main").click()
    expect(page.locator("#status")).to_contain_text("Planning")
    page.get_by_text("Add clips and continue").click()
    page.locator("#more input[type=file]").set_input_files(str(tone(tmp_path / "b.wav", 2)))
    expect(page.locator("#more")).to_contain_text("b")
    page.locator("#add").click()
    expect(page.locator("#trouble4 .fine")).to_contain_text("looked at")
    page.locator("#to4").click()
    page.locator("#compare").click()
    expect(page.locator("#trouble5 .fine")).to_contain_text("speaks")
    (tmp_path / "lines.txt").write_text("One.\n")
    for tab, button, place, said in (("Speak", "#go", "#trouble-speak", "first words"),
                                     ("Batch", "#batch-go", "#batch-status", "file is read"),
                                     ("Doctor", "#examine", "#doctor", "tried")):
        page.get_by_role("tab", name=tab, exact=True).click()
        if tab == "Batch":
            page.locator("#batch-file input[type=file]").set_input_files(str(tmp_path / "lines.txt"))
            expect(page.locator("#batch-file")).to_contain_text("lines")
        page.locator(button).click()
        expect(page.locator(f"{place} .fine")).to_contain_text(said)
        expect(page.locator(f"{place} .fine")).to_be_visible()
        assert not [line for line in page.evaluate(UNREADABLE, 4.5) if said in line]  # nothing is laid over it
    released.set()
    page.get_by_role("tab", name="Clone", exact=True).click()
    expect(page.locator("#trouble5 .problem")).to_contain_text("It came in the end")
    step(page, "Adapt")
    expect(page.locator("#trouble4 .problem")).to_contain_text("It came in the end")
    expect(page.locator("#status")).not_to_contain_text("Planning")
    page.context.close()


def test_start_over_leaves_no_clone_whose_button_would_go_on_with_other_clips(browser, emptied, tmp_path):
    from playwright.sync_api import expect

    address, home = emptied
    job = clone(home, 1, "interrupted", kept=(0, 30))
    page = opened(browser, address)
    expect(page.locator("#main")).to_have_text("Go on")
    expect(page.locator("#name textarea, #name input")).to_have_value("voice 1")
    page.locator(".step-button").first.click()
    upload(page, tone(tmp_path / "a.wav", 6))
    expect(page.locator("#checked")).to_contain_text("a.wav")
    # Asked, and not meant: nothing happens.
    page.once("dialog", lambda d: d.dismiss())
    page.locator("#over").click()
    page.wait_for_timeout(1000)
    expect(page.locator("#checked")).to_contain_text("a.wav")
    page.once("dialog", lambda d: d.accept())
    page.locator("#over").click()
    expect(page.locator("#trouble2")).to_contain_text("removed")
    page.locator("#to2").click()
    page.locator("#to3").click()
    expect(page.locator("#main")).to_have_text("Plan")
    expect(page.locator("#status")).to_contain_text("No clone yet")
    expect(page.locator("#name textarea, #name input")).to_have_value("")
    assert not page.get_by_label("The speaker agrees").is_checked() and not page.locator("#likeness").count()
    # It is not lost.
    page.get_by_text("Earlier clones").click()
    page.locator("#earlier input").click()
    page.get_by_role("option").filter(has_text="voice 1").click()
    expect(page.locator("#main")).to_have_text("Go on")
    # A Delete that was cancelled is no problem.
    page.once("dialog", lambda d: d.dismiss())
    page.locator("#delete-clone").click()
    page.wait_for_timeout(1000)
    expect(page.locator("#trouble4 .problem")).to_have_count(0)
    assert job.path.is_dir()
    page.once("dialog", lambda d: d.accept())
    page.locator("#delete-clone").click()
    expect(page.locator("#trouble4")).to_contain_text("deleted")
    assert not job.path.exists()
    page.context.close()


def test_one_file_that_is_no_sound_stops_nothing(browser, emptied, tmp_path, monkeypatch):
    from playwright.sync_api import expect

    from tts_meta.measures import intelligibility

    class Hearing:
        name = "a stub"

        def transcribe_surely(self, path):
            if path.name == "bad.wav":
                raise InputError(f"{path} could not be read as audio.")
            return f"Heard in {path.stem}.", True

    made = without_network(monkeypatch, bad=("bad.wav",))
    monkeypatch.setattr(intelligibility, "load_recogniser", Hearing)
    page = opened(browser, emptied[0])
    (tmp_path / "bad.wav").write_text("This is a text.")
    upload(page, tone(tmp_path / "a.wav", 3, 200), tmp_path / "bad.wav", tone(tmp_path / "b.wav", 3, 300))
    expect(page.locator("#checked li")).to_have_count(3)
    page.get_by_role("button", name="Play bad.wav").click()
    expect(page.locator("#trouble2 .problem")).to_contain_text("bad.wav could not be read")
    expect(page.locator("#chosen-clip")).not_to_be_visible()
    page.locator("#to2").click()
    page.locator("#recognise").click()
    expect(page.locator("#trouble3 .fine")).to_have_text("2 texts recognised by a stub.")
    expect(page.locator("#trouble3 .problem")).to_contain_text("bad.wav could not be read as audio.")
    assert str(emptied[1]) not in page.locator("#trouble3").inner_text()
    expect(page.get_by_label("What is said in b.wav")).to_have_value("Heard in b.")
    page.locator("#to3").click()
    page.locator("#name textarea, #name input").fill("ann")
    page.get_by_label("The speaker agrees").check()
    page.locator("#main").click()
    expect(page.locator("#main")).to_have_text("Start")
    assert [c.text for c in made[-1][0].clips if c.used] == ["Heard in a.", "Heard in b."]
    page.get_by_text("Its clips and texts").click()
    expect(page.locator("#planned")).to_contain_text("left out")
    page.context.close()

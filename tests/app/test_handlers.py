"""What the page's controls call, without a browser: the draft's lists, plans, and which clone a reload finds again."""

from __future__ import annotations

import json
import shutil
import uuid
from pathlib import Path

import gradio as gr
import numpy as np
import pytest
import soundfile

from app import adapt_step, adapting, gathering, rows, watching, windows
from tests.app.stubs import checkup, clone, running, tone, without_network
from tests.conftest import EXAMPLES
from tts_meta.adaptation.clone_settings import METHODS
from tts_meta.audio.files import read_audio
from tts_meta.clips import long_recordings
from tts_meta.clips.draft_clips import Draft
from tts_meta.errors import InputError

CLIPS = sorted((EXAMPLES / "clips").glob("*.flac"))[:3]
WINDOW, OTHER = uuid.UUID(int=1).hex, uuid.UUID(int=2).hex


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("TTS_META_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(windows, "OPEN", {})
    return tmp_path / "home"


def on(**values):
    return gr.EventData(None, values)


def shown(window=WINDOW, **texts):
    """What the list of texts shows: the draft's, but those of `texts`, by the clip's name without its ending."""
    return json.dumps([[r.clip, texts.get(r.clip.split(".")[0], r.text)] for r in Draft.of(window).rows])


def request(session):
    made = gr.Request()
    made.session_hash = session
    return made


@pytest.mark.parametrize(("states", "found"), [
    (["running", "done"], 0), (["queued", "interrupted"], 0), (["done", "interrupted"], 1),
    (["interrupted", "done"], None), (["stopped", "failed"], None), ([], None),
])
def test_a_new_window_finds_what_goes_on_or_was_interrupted_last(home, states, found):
    """Oldest first; an interrupted clone that later ones followed does not come up at every start."""
    jobs = [clone(home, i + 1, s) for i, s in enumerate(states)]
    chosen, listed, *_ = adapting.found_again(WINDOW)
    assert chosen == ("" if found is None else jobs[found].id)
    assert [value for _, value in listed.choices] == [j.id for j in reversed(jobs)]
    labels = [f"voice {i + 1}, 0{i + 1} January 12:00: {s}" for i, s in enumerate(states)]
    assert [label for label, _ in listed.choices] == labels[::-1]


def test_a_clone_that_another_window_shows_is_left_to_it(home):
    job = clone(home, 1, "running")
    Draft.of(OTHER).plan(job.id)
    assert adapting.going(WINDOW) == job.id
    windows.OPEN["there"] = OTHER
    assert adapting.going(WINDOW) == "" and adapting.going(OTHER) == job.id


def test_a_draft_belongs_to_one_window_and_outlives_it(home):
    assert windows.opened(WINDOW, request("one")) == WINDOW
    gathering.add_files(WINDOW, "", [str(CLIPS[0])])
    windows.opened(OTHER, request("two"))
    assert not Draft.of(OTHER).rows
    windows.closed(request("two"))
    windows.closed(request("one"))
    new = uuid.UUID(int=3).hex
    windows.opened(new, request("three"))
    assert [r.clip for r in Draft.of(new).rows] == ["p225_001.flac"] and not Draft.of(WINDOW).rows
    # Not a name, not a path: a window gets another.
    given = windows.opened("../x", request("four"))
    assert len(given) == 32 and not Draft.of(given).rows
    with pytest.raises(InputError, match="not loaded yet"):
        Draft.of("")


def test_texts_come_with_the_clips_or_after_them(home, tmp_path):
    alone = shutil.copy(CLIPS[0], tmp_path)  # an upload has no neighbours
    box, clips, texts, _, said = gathering.add_files(WINDOW, "", [str(alone)])
    assert box is None and "p225_001.flac" in clips and "needs its text" in texts and "1 clip so far" in said
    table = str(EXAMPLES / "clips" / "transcripts.csv")
    gathering.add_files(WINDOW, shown(p225_001="Typed by hand."), [str(CLIPS[1]), table])
    assert [(r.text, r.note) for r in Draft.of(WINDOW).rows] == [
        ("Typed by hand.", "typed"), ("Ask her to bring these things with her from the store.", "from your file")]
    gathering.add_files(WINDOW, "", [str(shutil.copy(CLIPS[2], tmp_path))])
    gathering.add_files(WINDOW, "", [table])
    found = [r.text for r in Draft.of(WINDOW).rows]
    assert found[0] == "Typed by hand." and found[2].startswith("Six spoons")
    # A list that is older does not blank what is known by now; a text that was emptied is.
    rows.typed(WINDOW, shown(p225_001="", p225_002="", p225_003=""))
    assert Draft.of(WINDOW).rows[0].text == "Typed by hand."
    gathering.edit(WINDOW, on(of="p225_001.flac", text=" "))
    assert not Draft.of(WINDOW).rows[0].text


def test_files_that_are_no_sounds_are_named(home, tmp_path):
    (tmp_path / "photo.png").write_bytes(b"x")
    *_, said = gathering.add_files(WINDOW, "", [str(tmp_path / "photo.png")])
    assert not Draft.of(WINDOW).rows and "None of the files is a sound (photo.png)" in said and "wav" in said


def test_the_example_is_one_click_and_not_mixed_with_ones_own(home):
    (home / "jobs").mkdir(parents=True)
    (home / "p225.voice").write_bytes(b"x")
    *_, consent, walk, name, who, said = gathering.use_examples(WINDOW, "")
    assert len(Draft.of(WINDOW).rows) == 10 and {r.note for r in Draft.of(WINDOW).rows} == {"example"}
    assert walk.selected == 3 and name == "p225-2" and "VCTK" in who and consent is False  # the tick is the person's
    gathering.add_files(WINDOW, "", [str(EXAMPLES / "reference" / "p225_011.flac")])
    assert [r.clip for r in Draft.of(WINDOW).rows] == ["p225_011.flac"]
    *_, said = gathering.use_examples(WINDOW, "")
    assert [r.clip for r in Draft.of(WINDOW).rows] == ["p225_011.flac"] and "Start over" in said


def test_the_example_texts_read_well():
    texts = (EXAMPLES / "clips" / "transcripts.csv").read_text()
    assert "There is, according to legend" in texts and " ," not in texts


def test_prompts_are_kept_by_number_and_a_reload_shows_the_next(home):
    for number, clip in ((0, CLIPS[0]), (1, CLIPS[1]), (0, CLIPS[2])):
        following, *_ = gathering.add_recording(WINDOW, "", str(clip), number)
        assert following == number + 1
    assert [r.clip for r in Draft.of(WINDOW).rows] == ["prompt-01.wav", "prompt-02.wav"]
    assert Draft.of(WINDOW).path("prompt-01.wav").read_bytes() == CLIPS[2].read_bytes()
    *_, number, _, said = gathering.found_again(WINDOW)
    assert number == 2 and "2 clips" in said
    assert gathering.start_over(None, WINDOW)[-1] == "" and len(Draft.of(WINDOW).clips) == 2
    gathering.start_over("yes", WINDOW)
    assert not Draft.of(WINDOW).clips


def test_how_much_is_enough_is_said_while_it_is_gathered(home, tmp_path):
    assert "30 seconds" in gathering.enough(Draft.of(WINDOW)) and "5 are the least" in gathering.enough(Draft.of(WINDOW))
    for seconds, said in ((3, "1 clip, 3 s so far: 5 s are the least"), (9, "2 clips, 12 s so far: 30 s make a good voice"),
                          (20, "3 clips, 32 s so far: enough")):
        gathering.add_files(WINDOW, "", [str(tone(tmp_path / f"{seconds}.wav", seconds))])
        assert said in gathering.enough(Draft.of(WINDOW))


def test_a_row_is_heard_and_removed(home):
    gathering.add_files(WINDOW, "", [str(c) for c in CLIPS])
    player, *_ = gathering.act(WINDOW, "", on(act="play", of="p225_002.flac"))
    assert player.value["path"].endswith("p225_002.flac") and player.autoplay
    *_, said = gathering.act(WINDOW, "", on(act="remove", of="p225_002.flac"))
    assert "p225_002.flac is removed" in said
    assert [r.clip for r in Draft.of(WINDOW).rows] == ["p225_001.flac", "p225_003.flac"]
    *_, said = gathering.act(WINDOW, "", on(act="play", of="p225_002.flac"))
    assert "not there any more" in said


def test_one_unreadable_file_is_named_and_the_others_are_recognised(home, tmp_path, monkeypatch):
    from tts_meta.measures import intelligibility

    class Stub:
        name = "a stub"

        def transcribe_surely(self, path):
            if path.name == "bad.wav":
                raise InputError(f"{path} is not a sound file.")
            return ("", False) if path.name == "silent.wav" else (f"Heard {path.stem}.", True)

    monkeypatch.setattr(intelligibility, "load_recogniser", Stub)
    given = [tone(tmp_path / f"{n}.wav", 1, p) for n, p in (("a", 200), ("silent", 250), ("b", 300))]
    (tmp_path / "bad.wav").write_bytes(b"no sound")
    gathering.add_files(WINDOW, "", [str(p) for p in (given[0], tmp_path / "bad.wav", *given[1:])])
    *_, said = gathering.recognise(WINDOW, "")
    texts = {r.clip: r.text for r in Draft.of(WINDOW).rows}
    assert texts == {"a.wav": "Heard a.", "bad.wav": "", "silent.wav": "", "b.wav": "Heard b."}
    assert "2 texts recognised" in said and "bad.wav is not a sound file" in said and "silent.wav" in said
    assert str(home) not in said and str(tmp_path) not in said


def planned(name="ann", consent=True, replace=False):
    return adapting.make_plan(WINDOW, shown(), name, consent, "", "", "sigma", "auto", 60, replace)


def gathered(tmp_path, window=WINDOW, count=2, texts=True):
    given = [tone(tmp_path / f"{window[-1]}{i}.wav", 1, 200 + 10 * i + int(window[-1], 16)) for i in range(count)]
    gathering.add_files(window, "", [str(p) for p in given])
    if texts:
        Draft.of(window).edit((p.name, f"Text of {p.name}.") for p in given)


def test_a_plan_is_made_of_exactly_what_the_window_shows(home, tmp_path, monkeypatch):
    made = without_network(monkeypatch)
    gathered(tmp_path)
    gathered(tmp_path, OTHER, 3)
    job, trouble = planned()
    assert not trouble
    checked, settings, _ = made[-1]
    assert [c.path.name for c in checked.clips] == ["10.wav", "11.wav"] and settings.consent.startswith("The speaker agreed")
    said = watching.planned(job)
    assert "10.wav" in said and "Text of 11.wav." in said and "20.wav" not in said
    # A list on the page that is behind: what it shows is what is used, and nothing else.
    old = shown()
    gathering.add_files(WINDOW, old, [str(tone(tmp_path / "later.wav", 1, 500))])
    Draft.of(WINDOW).edit([("later.wav", "Later.")])
    adapting.make_plan(WINDOW, old, "ann", True, "", "", "learned", "auto", 60, False)
    assert [c.path.name for c in made[-1][0].clips] == ["10.wav", "11.wav"]
    assert [m[1].method for m in made] == ["sigma", "learned"]


def test_start_makes_a_new_plan_where_something_was_changed_since(home, tmp_path, monkeypatch):
    from tts_meta.jobs import job_control

    made, started = without_network(monkeypatch), []
    monkeypatch.setattr(job_control, "start", lambda job: started.append(job.id))
    gathered(tmp_path)
    job, _ = planned()
    form = ("ann", True, "", "", "sigma", "auto", 60, False)
    Draft.of(WINDOW).edit([("10.wav", "Another text.")])
    again, said = adapting.press(WINDOW, shown(), "Start", job, *form)
    assert again != job and "changed since the plan" in said and not started and len(made) == 2
    again, said = adapting.press(WINDOW, shown(), "Start", again, *form)
    assert started == [again] and not said and len(made) == 2
    # A name whose accents were typed apart is the same name.
    _, trouble = planned("Zoe\u0308")
    again, said = adapting.press(WINDOW, shown(), "Start", Draft.of(WINDOW).job, "Zoe\u0308", *form[1:])
    assert not trouble and made[-1][1].name == "Zo\u00eb" and not said and started.pop() == again
    # Without the tick nothing is started.
    _, said = adapting.press(WINDOW, shown(), "Start", again, "ann", False, "", "", "sigma", "auto", 60, False)
    assert "only with consent" in said and len(started) == 1


def test_what_a_plan_refuses_is_said(home, tmp_path, monkeypatch):
    made = without_network(monkeypatch, bad=("1bad.wav",))
    assert "no clips yet" in planned()[1]
    gathered(tmp_path, texts=False)
    assert "10.wav has no text" in planned()[1]
    Draft.of(WINDOW).edit([("10.wav", "One."), ("11.wav", "Two.")])
    assert "only with consent" in planned(consent=False)[1] and "cannot be used" in planned(name="a/b")[1]
    # A file that the doctor leaves out needs no text.
    (tmp_path / "1bad.wav").write_bytes(b"x")
    gathering.add_files(WINDOW, "", [str(tmp_path / "1bad.wav")])
    assert planned()[1] == "" and made
    (home / "ann.voice").write_bytes(b"x")
    said = planned()[1]
    assert "exists" in said and "replaced" in said and "--force" not in said
    job, said = planned(replace=True)
    assert job and not said and made[-1][2] is True


def test_a_plan_during_a_run_leaves_the_run_alone(home, tmp_path, monkeypatch):
    made = without_network(monkeypatch)
    gathered(tmp_path)
    with running(home, 9) as job:
        Draft.of(WINDOW).plan(job.id)
        again, said = adapting.press(WINDOW, shown(), "Plan", job.id, "ann", True, "", "", "sigma", "auto", 60, False)
        assert again == job.id and "stop it" in said and not made
    kept, said = adapting.press(WINDOW, shown(), "Stop", job.id, "ann", True, "", "", "sigma", "auto", 60, False)
    assert kept == job.id and "ended already" in said


def test_plan_pressed_again_and_again_leaves_one_copy_of_the_clips(home, tmp_path, monkeypatch):
    """A plan holds a copy of the recordings: the one before goes with the next, the last with Start over."""
    without_network(monkeypatch)
    gathered(tmp_path)
    for _ in range(3):
        job, trouble = planned()
        assert not trouble and [p.name for p in (home / "jobs").iterdir()] == [job]
    gathering.start_over("yes", WINDOW)
    assert not list((home / "jobs").iterdir())


def test_a_name_that_exists_is_said_when_it_is_typed(home):
    home.mkdir()
    (home / "ann.voice").write_bytes(b"x")
    said, replace, another = adapting.name_of("ann", False, "")
    assert "A voice &#x27;ann&#x27; exists" in said and replace.visible and another.value == "ann-2"
    assert adapting.name_of("ann", True, "")[0] == ""
    said, replace, another = adapting.name_of("Zo\u0065\u0308", False, "")
    assert said == "" and not replace.visible and not another.visible
    # A clone that goes on may keep the name that it has.
    job = clone(home, 1, "stopped", name="ann")
    assert adapting.name_of("ann", False, job.id)[0] == ""


def test_the_steps_and_the_first_of_them_are_explained(home):
    job = clone(home, 1, "done", steps=600, kept=(0, 30))
    said = watching.planned(job.id)
    assert "720 (600, and 120 more in which the held-out clips are learned from too)" in said
    assert [label for label, _ in watching.kept_steps(job).choices] == ["step 0 (before it learned: an average voice)", "step 30"]


def test_a_reload_brings_the_form_of_the_clone(home):
    job = clone(home, 1, "planned", name="Ann", steps=600, method="learned")
    Draft.of(WINDOW).plan(job.id)
    found, _, walk, *form = adapting.found_again(WINDOW)
    assert found == job.id and walk.selected == 3 and form == ["Ann", True, "Ann", "", "learned", "auto", 600]


@pytest.mark.parametrize("method", METHODS)
def test_the_form_offers_what_it_is_given_of_a_clone(home, method):
    """A clone that was started on the command line may be by a method that the page does not offer."""
    *_, first, _, _ = adapting.form(clone(home, 1, "done", method=method).id)
    assert first in dict(adapt_step.FIRST).values() and (first == method or method in ("embedding", "all"))


def test_a_cancelled_delete_is_no_problem(home):
    assert adapting.remove(None)[-1] == ""


def test_usable_seconds_are_explained():
    assert "pauses" in gathering.meter(checkup([CLIPS[0]], {}))


def test_the_doctor_names_a_file_as_it_is_called_and_no_command(home, tmp_path, starter):
    from tts_meta.clips.checkup import check_clips

    (tmp_path / "bad.wav").write_text("This is a text.")
    found = check_clips([tmp_path / "bad.wav"], {}, starter)
    assert found.clips[0].findings[0].sentence.startswith("It could not be read")
    said = gathering.meter(found)
    assert "the tab Read aloud has sentences to read" in said and "tts-meta" not in said


def test_the_line_says_what_a_clone_waits_for_and_what_stopping_at_once_left(home):
    with running(home, 8):
        job = clone(home, 9, "queued")
        job.set_state(queued_at=2.0)
        assert "voice 9, 1 clone before it" in watching.describe(job)
    assert "it starts in a moment" in watching.describe(job)
    job.set_state(status="stopped", voice="x.voice")
    assert "average" in watching.describe(job)
    job.set_state(step=30)
    assert "the best step is a voice" in watching.describe(job)


def test_a_download_of_the_blind_test_does_not_tell(home, monkeypatch, tmp_path):
    from app import listening, warm
    from tts_meta.speaking import synthesize
    from tts_meta.voices import voice_file

    class Spoken:
        samples, seconds = [0.0] * 2205, 0.1

    class Stub:
        def speak(self, text):
            return Spoken()

    monkeypatch.setattr(warm, "network", lambda: None)
    monkeypatch.setattr(synthesize.Synthesizer, "of", lambda *given: Stub())
    monkeypatch.setattr(voice_file, "load_voice", lambda *given: None)
    job = clone(home, 1, "done")
    tone(job.file("real.wav"), 2)
    swapped = set()
    for _ in range(40):
        a, b, said, answer, trouble, choice, verdict = listening.compare(job.id, True)
        assert not trouble and choice.visible and choice.value is None and verdict == "" and "clone" not in said
        assert [p.value["path"].rsplit("/", 1)[1] for p in (a, b)] == ["A.wav", "B.wav"]
        import soundfile

        real = "A" if soundfile.info(a.value["path"]).duration > 1 else "B"
        assert answer.startswith(f"{real} is the recording")
        swapped.add(real)
    assert swapped == {"A", "B"}
    assert listening.guess(None, answer) == ""
    assert not listening.compare(job.id, False)[-2].visible  # who is told which is which has nothing to guess


def test_what_is_missing_for_listening_is_said(home):
    from app import listening

    assert "plan and start a clone" in listening.compare("", False)[4]
    with running(home, 9) as job:
        assert "has to end first" in listening.compare(job.id, False)[4]


def test_a_long_recording_becomes_clips_of_the_list(home, tmp_path, monkeypatch):
    """As the command line cuts it, and no copy of it is left behind."""
    monkeypatch.setattr(gathering, "LONGEST_GATHERED", 60.0)
    samples, rate = read_audio(CLIPS[1])
    piece = np.concatenate([samples, np.zeros(rate // 2, np.float32)])
    soundfile.write(tmp_path / "lecture.flac", np.tile(piece, int(200 * rate / len(piece)) + 1), rate)
    (tmp_path / "lecture.txt").write_text("Ask her to bring these things. " * 30)
    said = gathering.add_files(WINDOW, "", [str(tmp_path / "lecture.flac"), str(tmp_path / "lecture.txt")])[-1]
    draft = Draft.of(WINDOW)
    assert "lecture.flac lasts 3 minutes" in said and "its first minute of speech" in said and "Its text is not used" in said
    lengths = [soundfile.info(c).duration for c in draft.clips]
    assert len(lengths) >= 4 and max(lengths) <= 16 and 60 <= sum(lengths) <= 76
    assert not draft.texts and all(c.name.startswith("lecture-") for c in draft.clips)
    assert not [p for f in long_recordings._folders for p in Path(f.name).glob("clips/lecture*")]


def test_a_plan_says_how_it_will_read(home):
    job = clone(home, 1, "planned")
    assert "accent" not in watching.planned(job.id)  # made by an earlier version
    spec = job.spec
    spec |= {"accent": "british", "plan": {**spec["plan"], "accent": "Texts are read with British phonemes."}}
    job.file("spec.json").write_text(json.dumps(spec))
    assert "British, as the clips sound" in watching.planned(job.id) and "--accent" not in watching.planned(job.id)
    spec["settings"] |= {"accent": "american", "method": "learned"}
    spec |= {"accent": "american", "plan": {**spec["plan"], "accent": ""}}
    job.file("spec.json").write_text(json.dumps(spec))
    said = watching.planned(job.id)
    assert "American" in said and "as the clips" not in said and "--method learned --accent american" in said


def test_what_was_typed_before_a_plan_does_not_undo_it(home):
    """On a busy machine it arrives after the plan was made: the button is Start and stays so."""
    job = clone(home, 1, "planned", method="learned")
    planned = adapting.form_of(job.settings)
    assert "value" not in adapting.edited(watching.START, job.id, *planned)
    assert "value" not in adapting.edited(watching.START, "", *planned)
    for at, other in enumerate(("another", "somebody", "a purpose", "sigma", "british", planned[5] + 10)):
        changed = [*planned[:at], other, *planned[at + 1 :]]
        assert adapting.edited(watching.START, job.id, *changed).value == watching.PLAN
        # Half a form, as it was while the button still said Plan.
        assert "value" not in adapting.edited(watching.PLAN, job.id, *changed)

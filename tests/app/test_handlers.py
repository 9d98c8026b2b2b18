"""What the page's controls call, without a browser: the draft's table, and which clone a reload finds again."""

from __future__ import annotations

import json
import shutil
import time

import gradio as gr
import pytest

from app import adapting, gathering
from tests.conftest import EXAMPLES
from tts_meta.voices.draft import Draft
from tts_meta.voices.jobs.folder import Job
from tts_meta.voices.transcripts import find_transcripts

CLIPS = sorted((EXAMPLES / "clips").glob("*.flac"))[:3]


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("TTS_META_HOME", str(tmp_path))
    return tmp_path


def job(home, number, status):
    made = Job(home / "jobs" / f"2026010{number}-120000-000")
    made.path.mkdir(parents=True)
    settings = {"name": f"voice {number}", "steps": 10}
    made.file("spec.json").write_text(json.dumps({"settings": settings}))
    made.file("state.json").write_text(json.dumps({"status": status, "updated": time.time()}))
    return made


@pytest.mark.parametrize(("states", "found"), [
    (["running", "done"], 0), (["queued", "interrupted"], 0), (["done", "interrupted"], 1),
    (["interrupted", "done"], None), (["stopped", "failed"], None), ([], None),
])
def test_a_reload_finds_what_goes_on_or_was_interrupted_last(home, states, found):
    """Oldest first; an interrupted clone that later ones followed does not come up at every start."""
    jobs = [job(home, i + 1, s) for i, s in enumerate(states)]
    chosen, listed, *_ = adapting.found_again()
    assert chosen == ("" if found is None else jobs[found].id)
    assert [value for _, value in listed.choices] == [j.id for j in reversed(jobs)]
    labels = [f"voice {i + 1}, 0{i + 1} January 12:00: {s}" for i, s in enumerate(states)]
    assert [label for label, _ in listed.choices] == labels[::-1]


def test_texts_come_with_the_clips_or_after_them(home, tmp_path):
    alone = shutil.copy(CLIPS[0], tmp_path)  # an upload has no neighbours
    rows, said = gathering.add_files([str(alone)], gathering.table())
    assert rows.to_numpy().tolist() == [["p225_001.flac", "", "needs its text"]] and "1 clip so far" in said
    rows.loc[0, "text"] = "Typed by hand."
    rows, _ = gathering.add_files([str(CLIPS[1]), str(EXAMPLES / "clips" / "transcripts.csv")], rows)
    assert rows["text"].tolist() == ["Typed by hand.", "Ask her to bring these things with her from the store."]
    assert rows["note"].tolist() == ["typed", "from your file"]
    other = shutil.copy(CLIPS[2], tmp_path)
    rows, _ = gathering.add_files([str(other)], rows)
    rows, _ = gathering.add_files([str(EXAMPLES / "clips" / "transcripts.csv")], rows)
    assert rows["text"].tolist()[0] == "Typed by hand." and rows["text"].tolist()[2].startswith("Six spoons")
    # A window whose table is older does not blank what is known by now.
    rows["text"] = ""
    gathering.typed(rows)
    assert next(iter(Draft().texts.values())) == "Typed by hand."
    gathering.save(rows)
    assert not Draft().texts


def test_files_that_are_no_sounds_are_named(home, tmp_path):
    (tmp_path / "photo.png").write_bytes(b"x")
    rows, said = gathering.add_files([str(tmp_path / "photo.png")], gathering.table())
    assert rows.empty and "None of the files is a sound" in said and "wav" in said


def test_examples_and_ones_own_are_not_mixed(home):
    rows, _ = gathering.use_examples(gathering.table())
    assert len(rows) == 10 and set(rows["note"]) == {"example"}
    rows, _ = gathering.add_files([str(EXAMPLES / "reference" / "p225_011.flac")], rows)
    assert rows["clip"].tolist() == ["p225_011.flac"]
    rows, said = gathering.use_examples(rows)
    assert rows["clip"].tolist() == ["p225_011.flac"] and "Start over" in said


def test_prompts_are_kept_by_number_and_a_reload_shows_the_next(home):
    rows = gathering.table()
    for number, clip in ((0, CLIPS[0]), (1, CLIPS[1]), (0, CLIPS[2])):
        rows, following, *_ = gathering.add_recording(str(clip), number, rows)
        assert following == number + 1
    assert rows["clip"].tolist() == ["prompt-01.wav", "prompt-02.wav"]
    assert Draft().path("prompt-01.wav").read_bytes() == CLIPS[2].read_bytes()
    _, number, _, said = gathering.found_again()
    assert number == 2 and "2 clips" in said
    assert gathering.start_over(None)[-1] == "" and len(Draft().clips) == 2
    assert gathering.start_over("yes")[0].empty and not Draft().clips


def test_a_row_is_chosen_heard_and_removed(home):
    rows, _ = gathering.add_files([str(c) for c in CLIPS], gathering.table())
    clip, sound, _ = gathering.choose(gr.SelectData(None, {"index": [1, 0], "value": ""}))
    assert clip == "p225_002.flac" and sound.value["path"].endswith("p225_002.flac")
    assert gathering.choose(gr.SelectData(None, {"index": [9, 0], "value": ""}))[0] == ""
    assert "click its row" in gathering.remove("")[-1]
    assert gathering.remove(clip)[0]["clip"].tolist() == ["p225_001.flac", "p225_003.flac"]


def test_plan_pressed_again_and_again_leaves_one_copy_of_the_clips(home):
    """A plan holds a copy of the recordings: the one before goes with the next, the last with Start over."""
    clips = sorted((EXAMPLES / "clips").glob("*.flac"))[:5]
    rows, _ = gathering.add_files([str(c) for c in clips], gathering.table())
    texts = find_transcripts(clips, None)
    rows["text"] = [texts[c] for c in clips]
    before = ""
    for _ in range(3):
        said, _, before, trouble = adapting.make_plan("ann", True, "", "", rows, 10, before)
        assert not trouble and before in said
        assert [p.name for p in (home / "jobs").iterdir()] == [before]
    gathering.start_over("yes")
    assert not list((home / "jobs").iterdir())

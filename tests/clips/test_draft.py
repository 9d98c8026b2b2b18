"""What is being put together is kept: names, texts, examples, and a folder that was spoiled."""

from __future__ import annotations

import json

import pytest

from tts_meta.clips.draft_clips import EXAMPLE, Draft, Row


@pytest.fixture
def draft(tmp_path):
    return Draft(tmp_path / "draft")


def sound(folder, name, content):
    folder.mkdir(exist_ok=True)
    path = folder / name
    path.write_bytes(content)
    return path


def test_the_same_sound_is_kept_once_and_another_of_its_name_gets_a_number(draft, tmp_path):
    first, other = sound(tmp_path / "a", "take.wav", b"one"), sound(tmp_path / "b", "take.wav", b"two")
    assert [draft.add(first, "One.", "typed"), draft.add(other), draft.add(first), draft.add(other)] == [
        "take.wav", "take-2.wav", "take.wav", "take-2.wav"]
    assert draft.rows == [Row("take.wav", "One.", "typed"), Row("take-2.wav")]
    assert [p.read_bytes() for p in draft.clips] == [b"one", b"two"]
    assert draft.texts == {draft.path("take.wav"): "One."}
    draft.add(other, "Two.", "from your file")
    assert draft.rows[1] == Row("take-2.wav", "Two.", "from your file")


def test_a_recording_of_a_prompt_takes_the_place_of_the_one_before(draft, tmp_path):
    for content in (b"first try", b"second try"):
        draft.add(sound(tmp_path / "in", "audio.wav", content), "Read this.", "read aloud", name="prompt-01.wav")
    assert draft.rows == [Row("prompt-01.wav", "Read this.", "read aloud")]
    assert draft.path("prompt-01.wav").read_bytes() == b"second try"


def test_what_was_typed_is_not_overwritten(draft, tmp_path):
    for name in ("a.wav", "b.wav"):
        draft.add(sound(tmp_path / "in", name, name.encode()))
    draft.edit([("a.wav", " Mine. "), ("unknown.wav", "x")])
    draft.fill({"a.wav": ("Heard.", "recognised"), "b.wav": ("Heard.", "recognised")})
    assert draft.rows == [Row("a.wav", "Mine.", "typed"), Row("b.wav", "Heard.", "recognised")]
    draft.edit([("a.wav", "Mine."), ("b.wav", "")])
    assert draft.rows == [Row("a.wav", "Mine.", "typed"), Row("b.wav")]


def test_examples_give_way_to_ones_own(draft, tmp_path):
    draft.add(sound(tmp_path / "in", "p225.flac", b"x"), "Please.", EXAMPLE)
    draft.add(sound(tmp_path / "in", "me.wav", b"y"))
    assert [r.clip for r in draft.rows] == ["me.wav"] and not draft.path("p225.flac").exists()


def test_another_look_finds_it_again_and_clear_removes_it(draft, tmp_path):
    draft.add(sound(tmp_path / "in", "me.wav", b"y"), "Hello.", "typed")
    again = Draft(draft.folder)
    assert again.rows == [Row("me.wav", "Hello.", "typed")]
    again.path("me.wav").unlink()
    assert again.rows == []
    again.clear()
    assert not draft.folder.exists() and draft.rows == [] and draft.texts == {}


def test_one_clip_is_removed(draft, tmp_path):
    for name in ("a.wav", "b.wav"):
        draft.add(sound(tmp_path / "in", name, name.encode()), name, "typed")
    draft.remove("a.wav")
    draft.remove("a.wav")
    assert draft.rows == [Row("b.wav", "b.wav", "typed")] and not draft.path("a.wav").exists()


@pytest.mark.parametrize("spoiled", [b"{", b"[1]", b'[{"clip": "a", "more": 1}]', b"\xff"])
def test_a_spoiled_list_loses_no_recording(draft, tmp_path, spoiled):
    draft.add(sound(tmp_path / "in", "me.wav", b"y"), "Hello.", "typed")
    (draft.folder / "draft.json").write_bytes(spoiled)
    assert draft.rows == [Row("me.wav")]


def test_names_stay_inside_the_folder(draft, tmp_path):
    draft.folder.mkdir(parents=True)
    outside = sound(tmp_path, "secret.wav", b"secret")
    (draft.folder / "draft.json").write_text(json.dumps([{"clip": "../secret.wav", "text": "", "note": ""}]))
    assert draft.rows == [] and draft.path("../secret.wav").parent == draft.folder and outside.exists()

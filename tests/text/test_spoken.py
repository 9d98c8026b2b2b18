"""What is written is what is said: cases of every kind, and the rate over a longer list where there is one."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tts_meta.text.caps import MOST_DIGITS
from tts_meta.text.heteronyms import pronounce
from tts_meta.text.normalize import normalize
from tts_meta.text.phonemes import phonemize
from tts_meta.text.reading import read

LIST = ROOT.parent / "shared" / "cases" / "spoken.tsv"


def compared(text: str) -> str:
    """Small letters and single spaces, without punctuation."""
    return " ".join(re.sub(r"[^\w\s]", "", text.lower()).split())


def cases(path: Path) -> list[list[str]]:
    return [line.split("\t") for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]


@pytest.mark.parametrize("case", cases(Path(__file__).with_name("spoken.tsv")), ids=lambda case: f"{case[0]}: {case[1][:30]}")
def test_a_kind(case):
    _, text, *accepted = case
    assert compared(normalize(text)) in {compared(a) for a in accepted}


@pytest.mark.skipif(not LIST.is_file(), reason="the longer list is not beside the checkout")
def test_the_longer_list():
    wrong = []
    rows = cases(LIST)
    for text, *accepted in rows:
        spoken = normalize(text.replace("\\n", "\n"))
        if compared(spoken) not in {compared(a) for a in accepted}:
            wrong.append((text, spoken))
    assert len(rows) >= 100 and len(wrong) <= 0.05 * len(rows), wrong


@pytest.mark.parametrize(("name", "most"), [("unseen.tsv", 0.1), ("later.tsv", 0.04)])
def test_a_list_that_was_written_before_it_was_tried(name, most):
    """Texts of the kinds, whose accepted forms were written down before the product was asked. A form between slashes is
    the IPA of the heteronym in the text."""
    wrong = []
    rows = cases(Path(__file__).with_name(name))
    for _, text, *accepted in rows:
        if accepted[0].startswith("/"):
            said = pronounce(text)
            right = any(f"[[{a.strip('/')}]]" in said for a in accepted)
        else:
            said = read(text.replace("\\n", "\n")).spoken
            right = compared(said) in {compared(a) for a in accepted}
        if not right:
            wrong.append((text, said))
    assert len(rows) >= 100 and len(wrong) <= most * len(rows), wrong


@pytest.mark.parametrize("text", ["$" + "7" * 5000, "1," * 3000, "a" * 50_000, "http://x.com/" + "a1" * 5000, "9.9" * 2000,
                                  "A" * 3000 + "1" * 3000])
def test_one_token_says_no_more_than_a_person_would_hear(text):
    assert len(phonemize(text)) < 2500
    if text.startswith("$7"):
        assert normalize(text).split().count("seven") == MOST_DIGITS
        assert "5,000 digits" in read(text).warnings[0]


@pytest.mark.parametrize("word", ["big", "stop", "not", "very", "bad", "open", "never", "all", "free", "now", "must", "only"])
def test_a_word_in_capitals_sounds_as_it_does_in_small_letters(word):
    text = "That is a {} problem."
    assert phonemize(text.format(word.upper())) == phonemize(text.format(word))


def test_lines_of_a_list_end_in_a_pause():
    sentences = [s.spoken for s in read("Buy:\n- two eggs\n* 1 kg flour\n\n1. mix\n2) bake\n\nIntro\n# Head\ntext")]
    assert sentences == ["Buy:", "two eggs.", "one kilogram flour.", "one, mix.", "two, bake.", "Intro:", "Head.", "text"]
    assert [s.spoken for s in read("Milk\nEggs\nBread")] == ["Milk, Eggs, Bread"]
    # A wrapped line goes on.
    assert len(list(read("The quick brown fox jumps\nover the lazy dog."))) == 1


def test_tags_and_scripts_leave_no_words_behind():
    page = "<style>p {color: red}</style><p class='a'>One<br/>two</p><!-- not this --><script>alert(1)</script>&#8364;5"
    assert normalize(page) == "One two five euros"


@pytest.mark.parametrize(("text", "said"), [
    ("Toward the Texas School Book Depository Building.", "Toward the Texas School Book Depository Building."),
    ("Part Mixed is Part V.", "Part Mixed is Part five."), ("Chapter Disputes", "Chapter Disputes"),
])
def test_a_word_that_begins_as_a_numeral_is_a_word(text, said):
    assert normalize(text) == said

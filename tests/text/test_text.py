"""Text: normalisation, sentences, phonemes, overrides, lexicon."""

from __future__ import annotations

import pytest

from tts_meta.errors import InputError
from tts_meta.text.lexicon_file import read_lexicon
from tts_meta.text.normalize import normalize
from tts_meta.text.phonemes import BOUNDARY, SILENCE, SymbolTable, phonemize
from tts_meta.text.sentences import split_sentences


@pytest.mark.parametrize("written, spoken", [
    ("$1,234.56", "one thousand two hundred and thirty four dollars and fifty six cents"),
    ("Jan. 3rd, 2021", "January third, twenty twenty one"),
    ("at 3:05 p.m.", "at three oh five p m"),
    ("Dr. Smith", "doctor Smith"),
    ("25%", "twenty five percent"),
    ("3.14", "three point one four"),
    ("in 1999", "in nineteen ninety nine"),
    ("the 21st", "the twenty first"),
    ("-5", "minus five"),
    ("2001-12-25", "December twenty fifth, two thousand and one"),
    ("12 km", "twelve kilometers"),
    ("$3 million", "three million dollars"),
    ("say [[hˈaɪ 2]]", "say [[hˈaɪ 2]]"),
])
def test_normalize(written, spoken):
    assert normalize(written) == spoken


def test_sentences():
    assert split_sentences("Dr. Smith came at 3 p.m. He left. Why?") == ["Dr. Smith came at 3 p.m.", "He left.", "Why?"]
    long = "word " * 200
    assert all(len(s) <= 220 for s in split_sentences(long)) and "".join(split_sentences(long)).count("word") == 200


def test_phonemes_keep_stress_and_marks():
    phones = phonemize("Hello, world!")
    assert phones[0].symbol == phones[-1].symbol == SILENCE
    assert [p.symbol for p in phones if p.symbol in ",!"] == [",", "!"]
    assert any(p.stress == 2 and p.symbol == "oʊ" for p in phones)
    assert any(p.symbol == BOUNDARY for p in phonemize("two words"))


def test_override_and_lexicon(tmp_path):
    inventory = frozenset({"t", "ə", "m", "ɑː", "oʊ", "eɪ"})
    said = phonemize("[[təmˈɑːtoʊ]]", inventory=inventory)
    assert [(p.symbol, p.stress) for p in said[1:-1]] == [
        ("t", 0), ("ə", 0), ("m", 0), ("ɑː", 2), ("t", 0), ("oʊ", 0),
    ]
    (tmp_path / "lexicon.txt").write_text("tomato təmˈɑːtoʊ # the British way\n", encoding="utf-8")
    lexicon = read_lexicon(tmp_path / "lexicon.txt")
    assert phonemize("Tomato", lexicon=lexicon, inventory=inventory) == said
    with pytest.raises(InputError, match="no sound for"):
        phonemize("[[xyz]]", inventory=inventory)


@pytest.mark.parametrize("text", ["", "   ", "?!...", "🙂"])
def test_nothing_to_speak(text):
    with pytest.raises(InputError, match="nothing to speak"):
        phonemize(text)


def test_unknown_symbols_are_spelled():
    table = SymbolTable(["a", "ɪ", "_"])
    ids, _ = table.encode(phonemize("eye"))
    assert 0 not in ids and len(ids) >= 3

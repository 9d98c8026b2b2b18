"""espeak's phones in Kokoro's symbols."""

from __future__ import annotations

import pytest

from tts_meta.kokoro.symbols import AMERICAN, BRITISH, SYMBOLS, encode, from_phones, letters
from tts_meta.text.phonemes import BOUNDARY, MARKS, SILENCE, phonemize

# What espeak-ng gave for 1,500 sentences in either accent.
HEARD = {
    False: "n t ɪ ə s d ɹ ð k z l æ ɛ ʌ m w p v f b ɚ eɪ iː h ᵻ i aɪ ɐ oʊ ɑː uː ŋ ɾ ʃ əl ɜː ɔːɹ ɡ tʃ ɔː dʒ aʊ j ʊ θ ɑːɹ"
           " ɔ ɛɹ iə ɪɹ ɔɪ ʊɹ ʒ aɪɚ n̩ ʔ aɪə x",
    True: "ɪ n t ə s d ɹ ð k ɒ l a m ɛ w p v f h eɪ iː i aɪ ɔː ɐ ʌ əʊ uː ŋ ʃ əl ɜː ɡ j tʃ dʒ aʊ ɑː ʊ θ iə eə aɪə ɔɪ ʊə ʒ"
          " x n̩ b z",
}


@pytest.mark.parametrize("british", [False, True])
def test_every_phone_has_symbols(british):
    for phone in HEARD[british].split():
        found = letters(phone, british)
        assert found and all(c in SYMBOLS for c in found), phone
    for table in (AMERICAN, BRITISH):
        assert all(c in SYMBOLS for row in table.values() for c in row)


def test_the_small_networks_sounds_all_have_symbols(starter):
    for phone in starter.table.inventory - {SILENCE, BOUNDARY, *MARKS}:
        assert letters(phone, False), phone


@pytest.mark.parametrize(("text", "voice", "said"), [
    ("Hello, world.", "en-us", "həlˈO, wˈɜɹld."),
    ("They joined a church.", "en-us", "ðA ʤˈYnd ə ʧˈɜɹʧ."),
    ("butter", "en-us", "bˈʌTəɹ"),
    ("Go there now!", "en-gb", "ɡˌQ ðɛː nˈW!"),
])
def test_words(text, voice, said):
    phones = [(p.symbol, p.stress) for p in phonemize(text, voice)]
    assert from_phones(phones, voice == "en-gb") == said


def test_ids_have_silence_at_both_ends():
    assert encode("a, b") == [0, 43, 3, 16, 44, 0]
    with pytest.raises(KeyError):
        encode("!g~")

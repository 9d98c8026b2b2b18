"""American phones as a British voice has them: espeak-ng's own British reading is the oracle."""

from __future__ import annotations

import pytest

from tts_meta.errors import InputError
from tts_meta.starters.small_starter import packaged_symbols
from tts_meta.text.accents import ACCENTS, BRITISH_PHONES, accent_of, british, check_accent
from tts_meta.text.heteronyms import pronounce
from tts_meta.text.phonemes import phonemize
from tts_meta.text.preview import written

# One reading of each: noun, verb or adjective, as espeak-ng takes it without a sentence.
ALIKE = {
    "conflict": "kˈɑːnflɪkt", "console": "kˈɑːnsoʊl", "convict": "kˈɑːnvɪkt",
    "desert": "dˈɛzɚt", "escort": "ˈɛskɔːɹt", "import": "ˈɪmpɔːɹt", "moderate": "mˈɑːdɚɹət", "object": "ˈɑːbdʒɛkt",
    "produce": "pɹˈoʊduːs", "record": "ɹˈɛkɚd", "survey": "sˈɜːveɪ", "transfer": "tɹˈænsfɜː",
}


@pytest.mark.parametrize("word", ALIKE)
def test_espeak_says_the_same_in_british(word):
    assert british(ALIKE[word]).replace("ˈ", "") == written(phonemize(word, ACCENTS["british"])).replace("ˈ", "").replace("ˌ", "")
    assert british(ALIKE[word]) != ALIKE[word] or word in ("survey", "transfer")


@pytest.mark.parametrize(("american", "said"), [
    ("tˈɛɹ", "tˈeə"), ("tˈɪɹ", "tˈiə"), ("ɡlˈɔːɹi", "ɡlˈɔːɹi"), ("dˈuːplᵻkət", "djˈuːplɪkət"), ("ɹˈoʊ", "ɹˈəʊ"),
])
def test_an_r_is_said_before_a_vowel_only(american, said):
    assert british(american) == said


def test_the_sense_of_a_word_decides_in_british_too():
    text = "They object to the object, and I shed a tear."
    american, ours = pronounce(text), pronounce(text, british)
    assert american.count("[[") == ours.count("[[") == 3
    assert "ɹ" in american.rpartition("[[")[2] and "ɹ" not in ours.rpartition("[[")[2]
    phones = [p.symbol for p in phonemize(text, ACCENTS["british"], inventory=packaged_symbols().inventory | BRITISH_PHONES)]
    assert phones.count("ɒ") == 2 and "iə" in phones


@pytest.mark.parametrize(("text", "said"), [
    ("Ask the happy dancer in the bath.", "ˈɑːsk ðə hˈæpi dˈɑːnsɐɹ ɪnðə bˈɑːθ."), ("Any pretty city.", "ˌɛni pɹˈɪti sˈɪti."),
])
def test_british_is_received_pronunciation(text, said):
    assert written(phonemize(text, ACCENTS["british"])) == said


def test_names():
    assert (accent_of("en-us"), accent_of("en-gb-x-rp"), accent_of("de")) == ("american", "british", "")
    with pytest.raises(InputError, match="The accent is 'scots'; one of auto, american, british is expected"):
        check_accent("scots")
    with pytest.raises(InputError, match="one of american, british"):
        check_accent("auto", auto=False)

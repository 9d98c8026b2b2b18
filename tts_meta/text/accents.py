"""The two ways of reading English that there are phonemes for: American and British.

espeak-ng reads words in either. What this package gives as phones itself is American, and is turned here into what espeak-ng
would write for a British voice: an r is said before a vowel only, the vowels of "lot" and "goat" are others, "duke" has a glide.
British is Received Pronunciation, which Kokoro's British voices were taught: "bath" has the vowel of "father".
"""

from __future__ import annotations

import re

from tts_meta.errors import InputError

ACCENTS = {"american": "en-us", "british": "en-gb-x-rp"}
"""Name -> espeak-ng's voice."""
AUTO = "auto"
"""As the clips say (`tts_meta.clips.heard_accent`)."""
BRITISH_PHONES = frozenset({"a", "ɒ", "əʊ", "eə", "ʊə"})
"""espeak-ng's phones of a British voice that an American one has not."""
_VOWELS = "aeiouæɐɑɒɔəɛɜɪʊʌᵻ"
_FINAL_R = re.compile(rf"(ɑː|ɔː|ɜː|ɛ|ɪ|ʊ)?ɹ(?![ˈˌ]?[{_VOWELS}])")
_BEFORE_R = {"ɛ": "eə", "ɪ": "iə", "ʊ": "ʊə"}
_GLIDE = re.compile(r"([td])([ˈˌ]?)uː")
_RATHER = {"pɹˈoʊduːs": "pɹˈɒdjuːs", "ɹˈɛzuːmˌeɪ": "ɹˈɛzjuːmˌeɪ", "ɹᵻzˈuːm": "ɹɪzjˈuːm",
           "kˈɑːntɹæst": "kˈɒntɹɑːst", "kəntɹˈæst": "kəntɹˈɑːst", "ɛntɹˈæns": "ɛntɹˈɑːns"}


def check_accent(name: str, auto: bool = True) -> str:
    """The name of an accent, or `auto`. Raises InputError for any other."""
    if name in ACCENTS or auto and name == AUTO:
        return name
    raise InputError(f"The accent is {name!r}; one of {', '.join([*([AUTO] if auto else []), *ACCENTS])} is expected.")


def accent_of(espeak_voice: str) -> str:
    """The name of the accent in which a voice of espeak-ng's reads; empty where that is none of ACCENTS."""
    return next((name for name, voice in ACCENTS.items() if voice == espeak_voice), "")


def british(ipa: str) -> str:
    """American phones, as espeak-ng writes them, as it writes a British voice's."""
    if ipa in _RATHER:
        return _RATHER[ipa]
    ipa = ipa.replace("ɚ", "əɹ").replace("oʊ", "əʊ").replace("ᵻ", "ɪ").replace("ɾ", "t")
    ipa = re.sub(r"ɑː(?!ɹ)", "ɒ", ipa)
    ipa = _FINAL_R.sub(lambda m: _BEFORE_R.get(m[1], m[1] or ""), ipa.replace("ɹɹ", "ɹ"))
    return _GLIDE.sub(r"\1j\2uː", ipa)

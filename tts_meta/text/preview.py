"""How a text will be read, for people: its spoken words, sentences and phones, before anything is synthesised."""

from __future__ import annotations

from tts_meta.text.phonemes import Phone, phonemes_of
from tts_meta.text.reading import nothing_to_speak, read

_STRESS = {0: "", 1: "ˌ", 2: "ˈ"}


def written(phones: list[Phone]) -> str:
    """Phones as IPA, words apart by spaces: the silences at both ends are left out, the vowel carries the stress mark."""
    return "".join(_STRESS[p.stress] + p.symbol for p in phones[1:-1])


def preview(
    text: str, lexicon: dict[str, str] | None = None, voice: str = "en-us", inventory: frozenset[str] | None = None,
) -> dict:
    """`text`, its words as they are `spoken`, its `sentences` as they were written, its `phones` as one line of IPA, and
    `warnings`: a sentence for everything that is not read as it stands.

    Raises InputError when nothing can be spoken, or for phones that are not in `inventory`.
    """
    reading = read(text, lexicon, voice)
    sentences = list(reading)
    if not sentences:
        raise nothing_to_speak(text)
    phones = [written(phonemes_of(s.pronounced, voice, inventory)) for s in sentences]
    return {
        "text": text, "spoken": reading.spoken, "sentences": [s.text for s in sentences], "phones": " ".join(phones),
        "warnings": reading.warnings,
    }

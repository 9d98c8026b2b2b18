"""espeak-ng has one state in a process: threads that ask it at once each get their own words."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from tts_meta.text.phonemes import phonemize

TEXTS = ["The quick brown fox.", "She sells sea shells by the shore.", "One two three four five.", "Good morning, everybody!"] * 8


def test_threads_get_their_own_words():
    alone = [phonemize(t) for t in TEXTS[:4]] * 8
    with ThreadPoolExecutor(4) as threads:
        assert list(threads.map(phonemize, TEXTS)) == alone

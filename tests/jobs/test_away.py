"""A voice that was deleted on the page can be brought back."""

from __future__ import annotations

import os
import time

import pytest

from tts_meta.errors import InputError
from tts_meta.voices.library import AWAY_SECONDS, bring_back, list_voices, put_away


@pytest.fixture
def ann(library):
    library.mkdir(parents=True)
    (library / "ann.voice").write_bytes(b"of ann")
    return library / "ann.voice"


def test_what_was_put_away_comes_back_as_it_was(ann):
    away = put_away("ann")
    assert not ann.exists() and list_voices() == []
    assert bring_back(away) == ann and ann.read_bytes() == b"of ann" and not away.exists()


def test_another_voice_of_that_name_is_not_replaced(ann):
    away = put_away("ann")
    ann.write_bytes(b"another")
    with pytest.raises(InputError, match="made meanwhile"):
        bring_back(away)
    assert ann.read_bytes() == b"another" and away.read_bytes() == b"of ann"


def test_it_goes_for_good_after_a_day(ann, library):
    away = put_away("ann")
    (library / "bob.voice").write_bytes(b"of bob")
    old = time.time() - AWAY_SECONDS - 1
    os.utime(away, (old, old))
    put_away("bob")
    with pytest.raises(InputError, match="more than a day ago"):
        bring_back(away)

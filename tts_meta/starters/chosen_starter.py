"""The starters that come with the package, one on each network, and the one that was chosen."""

from __future__ import annotations

from functools import lru_cache

from tts_meta.places import chosen_network
from tts_meta.starters.interface import Network
from tts_meta.starters.kokoro_starter import load_kokoro
from tts_meta.starters.small_starter import load_starter


@lru_cache(maxsize=2)
def starter_of(network: str) -> Network:
    """The package's starter on a network, loaded once a process."""
    return load_kokoro() if network == "kokoro" else load_starter()


def default_starter() -> Network:
    """The package's starter on the chosen network (`TTS_META_NETWORK`)."""
    return starter_of(chosen_network())

"""Few-shot TTS speaker adaptation by modular meta-learning with shrinkage (Chen et al. 2020).

    voice = tts_meta.clone("my_clips/", name="me", consent="my own voice")
    voice.say("Good morning.").save("hello.wav")

docs/python.md has the rest.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tts_meta.door import Audio, SpeakingVoice, clone, evaluate, load

__version__ = "0.1.0"
__all__ = ["Audio", "SpeakingVoice", "__version__", "clone", "evaluate", "load"]


def __getattr__(name: str) -> Any:
    """The door's names, imported when one is asked for: a command that needs none starts sooner."""
    if name in __all__:
        from tts_meta import door

        return getattr(door, name)
    raise AttributeError(f"module 'tts_meta' has no attribute {name!r}")

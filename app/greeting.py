"""What a newcomer hears first: the voice that comes with the package, spoken beforehand so that one press is enough.

`python -m app.greeting` speaks it again where the voice or the sentence has changed.
"""

from __future__ import annotations

from pathlib import Path

import gradio as gr

from tts_meta.audio.files import write_sound
from tts_meta.places import NETWORKS, chosen_network
from tts_meta.voices.library import EXAMPLE, named_voice

from . import show

TEXT = "Hello. This voice was made from ten short clips. Yours takes a minute or two."


def sound(network: str) -> Path:
    """The greeting in the example voice of a network."""
    return Path(__file__).parent / "examples" / f"hello-{network}.flac"


def hello() -> gr.Audio:
    """The player with the greeting, playing."""
    return gr.Audio(show.private_copy(sound(chosen_network())), label="The example voice", visible=True, autoplay=True)


def main() -> None:
    """Speak the greeting in the example voice of every network."""
    import os

    from tts_meta.audio.mel import SAMPLE_RATE
    from tts_meta.speaking.synthesize import Synthesizer
    from tts_meta.starters.chosen_starter import starter_of
    from tts_meta.voices.voice_file import load_voice

    for network in NETWORKS:
        os.environ["TTS_META_NETWORK"] = network
        starter = starter_of(network)
        spoken = Synthesizer.of(starter, load_voice(named_voice(EXAMPLE), starter)).speak(TEXT)
        write_sound(sound(network), spoken.samples, SAMPLE_RATE)


if __name__ == "__main__":
    main()

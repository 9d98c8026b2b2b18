"""Loaded voices, and one sentence of speech at a time for everybody who asks."""

from __future__ import annotations

import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from itertools import count

from starlette.concurrency import run_in_threadpool

from tts_meta.errors import InputError
from tts_meta.speaking.synthesize import Spoken, Synthesizer, check_settings
from tts_meta.starters.chosen_starter import default_starter
from tts_meta.text.phonemes import phonemes_of
from tts_meta.text.reading import notes, read, speakable
from tts_meta.voices.library import NoVoice, named_voice, voice_names
from tts_meta.voices.voice_file import load_voice

from .requests import Refusal, Speech
from .turns import Turns

PATIENCE = 0.25  # s between two looks whether a client that waits is still there


class Gone(Exception):
    """The client has closed its connection."""


class Speakers:
    """Voices that are loaded, by name and time of their file; at most KEPT of them. One sentence at a time is spoken."""

    KEPT = 8

    def __init__(self, watermark: bool = False, aliases: Mapping[str, str] | None = None) -> None:
        self.watermark, self.aliases = watermark, dict(aliases or {})
        self.named = {alias.casefold(): name for alias, name in self.aliases.items()}
        self.turns = Turns()
        self.lock = threading.Lock()
        self.loaded: dict[tuple[str, int], Synthesizer] = {}

    def get(self, name: str) -> Synthesizer:
        """The synthesizer of a voice, or of the voice it is an alias of. Raises InputError (NoVoice) when there is none."""
        name = self.named.get(name.casefold(), name)
        path = named_voice(name)
        key = (name, path.stat().st_mtime_ns)
        with self.lock:
            if key not in self.loaded:
                starter = default_starter()
                self.loaded = {k: v for k, v in self.loaded.items() if k[0] != name}
                if len(self.loaded) >= self.KEPT:
                    self.loaded.pop(next(iter(self.loaded)))
                self.loaded[key] = Synthesizer.of(starter, load_voice(path, starter), watermark=self.watermark)
            return self.loaded[key]

    def check(self, request: Speech) -> tuple[Synthesizer, list[str]]:
        """(the voice, what of the text is left out).

        Raises Refusal for its voice, and InputError for everything else about a request that can be told before a sentence
        is spoken: its settings, a text without words, phones that the voice does not know.
        The whole text is read only where it holds phones: the first sentence is not to wait for the last."""
        check_settings(request.input, request.speed, request.pitch, request.energy)
        try:
            synthesizer = self.get(request.voice)
        except NoVoice as e:
            known = ", ".join([*voice_names(), *self.aliases])
            raise Refusal(404, f"There is no voice {request.voice!r}; give one of those there are ({known}), or name one so "
                          f"when serving (--alias {request.voice}=NAME).", "voice") from e
        except InputError as e:
            raise Refusal(400, str(e), "voice") from e
        starter = synthesizer.starter
        warnings = notes(request.input) if starter.espeak_voice.startswith("en") else []
        if next(speakable(request.input, starter.espeak_voice), None) is None:
            why = f" ({warnings[0]})" if warnings else ""
            raise InputError(f"The input {request.input.strip()[:60]!r} has nothing to speak{why}; give at least one word.")
        if "[[" in request.input:
            for sentence in read(request.input, voice=starter.espeak_voice):
                if "[[" in sentence.pronounced:
                    phonemes_of(sentence.pronounced, starter.espeak_voice, starter.inventory)
        return synthesizer, warnings

    async def speak(
        self, synthesizer: Synthesizer, request: Speech, gone: Callable[[], Awaitable[bool]]
    ) -> AsyncIterator[Spoken]:
        """The sentences as they are ready, in turns with other requests; of a stream the first part may be a clause.

        Raises Gone between two sentences, or while it waits,
        when `gone` says that nobody listens any more."""
        parts = synthesizer.stream(request.input, request.speed, request.pitch, request.energy, at_once=request.streamed)
        for rank in count():
            ticket = self.turns.join(rank)
            try:
                while not await run_in_threadpool(ticket.wait, PATIENCE):
                    if await gone():
                        raise Gone
                if await gone():
                    raise Gone
                part = await run_in_threadpool(next, parts, None)
            finally:
                ticket.leave()
            if part is None:
                return
            yield part

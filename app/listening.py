"""Steps 4 and 5 of the walk: a recording beside its clone, blind if asked, and the voice file."""

from __future__ import annotations

import random
from pathlib import Path

import gradio as gr

from tts_meta.errors import InputError
from tts_meta.jobs.job_folder import Job, find_job
from tts_meta.voices.library import facts
from tts_meta.voices.voice_header import read_header

from . import show, warm


def made(job_id: str) -> tuple[Job, Path]:
    """A clone and the voice that it made. Raises InputError where there is none yet."""
    job = find_job(job_id) if job_id else None
    if job is None or not job.state.voice:
        going = job is not None and job.state.status in ("queued", "running")
        raise InputError("There is no voice yet; " + (
            "the clone has to end first: wait, or stop it in step 3." if going else "plan and start a clone in step 3."))
    return job, Path(job.state.voice)


def compare(job_id: str, blind: bool):
    """(A, B, what is said, the answer, problem, no guess yet, no verdict yet). The files are called A and B: a download does not
    tell either."""
    try:
        job, voice = made(job_id)
        from tts_meta.audio.files import read_audio, write_wav
        from tts_meta.audio.mel import SAMPLE_RATE
        from tts_meta.speaking.synthesize import Synthesizer
        from tts_meta.voices.voice_file import load_voice

        starter = warm.network()
        spoken = Synthesizer.of(starter, load_voice(voice, starter)).speak(job.spec["real_text"])
        real, rate = read_audio(job.file("real.wav"))
        swapped = blind and random.random() < 0.5
        folder = show.new_folder()
        for name, (samples, at) in zip("BA" if swapped else "AB", ((real, rate), (spoken.samples, SAMPLE_RATE)), strict=True):
            write_wav(folder / f"{name}.wav", samples, at)
    except InputError as e:
        return None, None, "", "", show.problem(str(e)), gr.Radio(value=None, visible=False), ""
    answer = f"{'B' if swapped else 'A'} is the recording, {'A' if swapped else 'B'} the clone."
    text = f"“{job.spec['real_text']}”" + ("" if blind else f"\n\n{answer}")
    first, second = (gr.Audio(str(folder / f"{n}.wav"), visible=True) for n in "AB")
    return first, second, text, answer, "", gr.Radio(value=None, visible=blind), ""


def guess(choice: str | None, answer: str) -> str:
    """Whether the guess was right; nothing where none was made."""
    if not choice:
        return ""
    if not answer:
        return "Listen first, then choose."
    return ("Right: " if answer.startswith(choice) else "No: ") + answer


def finished(job_id: str):
    """The voice file, and what it says of itself."""
    try:
        _, voice = made(job_id)
        header = read_header(voice)
    except InputError as e:
        return gr.File(None, visible=False), show.problem(str(e))
    lines = [f"**{voice.name}**, {voice.stat().st_size / 1e6:.2f} MB, is in your library.",
             "\n".join(f"- {fact}" for fact in facts(header)),
             f"`{show.command('say', 'Good morning.', '--voice', header['name'], '--out', 'hello.wav')}`"]
    return gr.File(show.private_copy(voice), visible=True), "\n\n".join(lines)

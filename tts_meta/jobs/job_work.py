"""What a job does in its process: adapt chunk by chunk, write down every chunk, keep the steps people may want back."""

from __future__ import annotations

import time
from pathlib import Path

from tts_meta.adaptation.clone_in_progress import Cloning
from tts_meta.audio.files import replace_file, write_wav
from tts_meta.audio.mel import SAMPLE_RATE
from tts_meta.clips.prepared_clips import load_prepared
from tts_meta.errors import InputError
from tts_meta.jobs.job_folder import Job
from tts_meta.processor import use_threads
from tts_meta.speaking.synthesize import Synthesizer
from tts_meta.starters.chosen_starter import default_starter
from tts_meta.starters.interface import Network
from tts_meta.voices.voice_file import load_voice

SAVE_SECONDS = 4.0
"""Between two checkpoints; with a chunk of steps on top, less than 10 s of work can be lost."""
KEPT = (0.0, 0.25, 0.5)  # shares of the steps whose voices are kept, beside the best and the last


def work(job: Job, starter: Network | None = None) -> None:
    """Run a job to its end, from its checkpoint where there is one. Raises InputError when it cannot go on."""
    use_threads()
    starter = (starter or default_starter()).in_accent(job.spec.get("accent"))
    settings = job.settings
    begun = job.file("start.voice")
    cloning = Cloning(
        starter, load_prepared(job.file("clips.safetensors"), starter), settings,
        start=load_voice(begun, starter).deltas if begun.exists() else None,
    )
    checkpoint = job.file("run.safetensors")
    if checkpoint.exists():
        cloning.restore(checkpoint)
        job.event("resumed", step=cloning.run.step)
    # What is at or before a checkpoint was kept before it was written.
    wanted = {w for w in (round(share * settings.steps) for share in KEPT) if w > cloning.run.step or not checkpoint.exists()}
    saved = time.monotonic()
    at_once = cloning.run.at_once
    for progress in cloning:
        if cloning.run.at_once != at_once:
            at_once = cloning.run.at_once
            job.event("message", text=f"There was not enough memory for a step: of its clips {at_once} at a time from now on.")
        job.event(
            "progress", step=progress.step, steps=cloning.planned, train=_number(progress.train_loss),
            heldout=progress.heldout_loss, best_step=progress.best_step, seconds=round(progress.seconds, 2),
            left=round(cloning.left, 1),
            likeness=cloning.likeness[-1][1] if cloning.likeness and cloning.likeness[-1][0] == progress.step else None,
        )
        job.set_state(step=progress.step, steps=cloning.planned, seconds=round(progress.seconds, 2), left=round(cloning.left, 1))
        if cloning.plateau_at == progress.step:
            job.event("message", text=f"Neither held-out loss nor likeness gains any more: ending at step {progress.step}.")
        if not cloning.run.joined and any(progress.step >= w for w in wanted):
            # The first chunk that ends at or after it.
            wanted = {w for w in wanted if progress.step < w}
            keep(job, cloning, best=False)
        if not cloning.run.joined and (progress.step >= settings.steps or cloning.plateau_at == progress.step):
            keep(job, cloning, best=True)
        stopping = job.stop_asked
        if stopping or time.monotonic() - saved > SAVE_SECONDS:
            cloning.save(checkpoint)
            saved = time.monotonic()
        if stopping:
            _finish(job, cloning, "stopped")
            return
    cloning.save(checkpoint)
    _finish(job, cloning, "done")


def _finish(job: Job, cloning: Cloning, status: str) -> None:
    """Keep the best step (after the held-out clips joined: the last one) and make it the voice, unless somebody has picked
    another while it ran."""
    path = keep(job, cloning, best=True)
    spec = job.spec
    target = Path(spec["out"]) / f"{spec['settings']['name']}.voice"
    with job.voice_lock():
        picked = job.picked if target.exists() else None
        if picked is None:
            if target.exists() and not spec["force"] and job.state.voice != str(target):
                raise InputError(
                    f"{target} was made by something else while this job ran; its steps are kept, save one under another "
                    f"name: tts-meta jobs use {job.id} {int(path.stem)} --name OTHER."
                )
            replace_file(target, path.read_bytes())
        step = int(path.stem) if picked is None else picked
        job.event("voice", file=str(target), step=step, bytes=target.stat().st_size)
        job.set_state(status=status, voice=str(target))


def keep(job: Job, cloning: Cloning, best: bool) -> Path:
    """Write the voice of the best or the current step among the kept ones, with a preview; returns its file."""
    step = cloning.run.best_step if best else cloning.run.step
    path = job.path / "steps" / f"{step:06d}.voice"
    sound = job.path / "previews" / f"{step:06d}.wav"
    if not sound.exists():  # the last of the two to be written: a crash between them leaves neither out
        cloning.write(path, best)
        voice = Synthesizer.of(cloning.starter, load_voice(path, cloning.starter))
        write_wav(sound, voice.speak(job.spec["preview"]).samples, SAMPLE_RATE)
        job.event("kept", step=step, best=best, voice=str(path), sound=str(sound))
    return path


def _number(value: float) -> float | None:
    return None if value != value else value

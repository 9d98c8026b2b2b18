"""A job's folder: what was asked (spec.json), the clips (clips.safetensors), how it stands (state.json), what happened
(events.jsonl), the checkpoint (run.safetensors), and a voice file and a preview of every kept step.

A running job holds a lock on its folder, so that one whose process was killed is known for what it is. The state file and
the voice are changed by several processes (the job's own, the command line, the page): each under a lock of its own.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import os
import re
import shutil
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from tts_meta.adaptation.clone_settings import Settings
from tts_meta.audio.files import replace_file, told
from tts_meta.errors import InputError
from tts_meta.places import library_folder

STATES = ("planned", "queued", "running", "stopped", "interrupted", "failed", "done")
ENDED = ("stopped", "interrupted", "failed", "done")
LET_GO = 10.0
"""A process that has said how its job ended may take so long (s) to be gone."""
PREVIEW = "The clouds are moving quickly, and I can hear the rain on the roof."
START_SECONDS = 10.0
"""A process that was started may take so long to hold its job."""
RESERVE, RESERVED = "reserve", 16384
"""A file of a running job, and its bytes: room for its last words when the disk is full."""
_ID = re.compile(r"[0-9]{8}-[0-9]{6}-[0-9]{3}")


def jobs_folder() -> Path:
    """Where jobs are kept: beside the voices of the library."""
    return library_folder() / "jobs"


@dataclass(frozen=True)
class State:
    """`seconds` of the steps done, and `left` of those to come; `reason` and `fix` say in sentences why a job failed and what to
    do."""

    status: str
    step: int = 0
    steps: int = 0
    seconds: float = 0.0
    left: float = 0.0
    queued_at: float = 0.0
    updated: float = 0.0
    voice: str = ""
    reason: str = ""
    fix: str = ""


class Job:
    """One job; `path` is its folder."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @property
    def id(self) -> str:
        return self.path.name

    def file(self, name: str) -> Path:
        return self.path / name

    @property
    def spec(self) -> dict:
        return json.loads(self.file("spec.json").read_text())

    @property
    def settings(self) -> Settings:
        return Settings(**self.spec["settings"])

    @property
    def state(self) -> State:
        """As the file says, but `interrupted` where no process holds a job that says it runs or waits, and `failed` where
        the file is damaged."""
        try:
            found = State(**json.loads(self.file("state.json").read_text()))
        except (ValueError, TypeError):
            return State("failed", reason=f"{self.file('state.json')} is damaged.", fix="Delete the job and clone again.")
        if found.status in ("queued", "running") and time.time() - found.updated > START_SECONDS and not self.held():
            return State(**{**asdict(found), "status": "interrupted", "reason": "Its process ended without a word.",
                            "fix": "Continue it: nothing older than the last checkpoint is lost."})
        return found

    def set_state(self, **changes: object) -> State:
        """Change the state file; `updated` is set. What another process changes at the same time is not undone."""
        path = self.file("state.json")
        with _lock(self.file("state.lock"), patience=FOREVER):
            old = json.loads(path.read_text()) if path.exists() else {"status": "planned"}
            new = State(**{**old, **changes, "updated": time.time()})
            replace_file(path, json.dumps(asdict(new)).encode())
        return new

    @contextlib.contextmanager
    def voice_lock(self) -> Iterator[None]:
        """Who writes the job's voice holds this, so that the last word stays: the job's own end, or a person's choice."""
        with _lock(self.file("voice.lock"), patience=FOREVER):
            yield

    @property
    def picked(self) -> int | None:
        """The step that a person chose as the voice since the job was started last."""
        try:
            return int(self.file("picked").read_text())
        except FileNotFoundError:
            return None

    def event(self, kind: str, **values: object) -> None:
        """Append a line to events.jsonl, whole or not at all."""
        line = json.dumps({"time": round(time.time(), 2), "kind": kind, **values}) + "\n"
        path = self.file("events.jsonl")
        with told(path), open(path, "ab", buffering=0) as f:
            begin = f.seek(0, os.SEEK_END)
            try:
                if f.write(line.encode()) < len(line.encode()):
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            except OSError:
                f.truncate(begin)
                raise

    def fail(self, reason: str, fix: str) -> None:
        """Say why it ended, for which a full disk has room too: what was kept free for that is given up."""
        for _ in range(2):
            try:
                self.set_state(status="failed", reason=reason, fix=fix)
                self.event("failed", reason=reason)
                return
            except InputError:
                self.file(RESERVE).unlink(missing_ok=True)

    def events(self, start: int = 0) -> tuple[list[dict], int]:
        """Events from a byte offset on, and the next offset; a line that is still being written is left for later."""
        try:
            with open(self.file("events.jsonl"), "rb") as f:
                f.seek(start)
                data = f.read()
        except FileNotFoundError:
            return [], start
        whole = data[: data.rfind(b"\n") + 1]
        found = []
        for line in whole.splitlines():
            with contextlib.suppress(ValueError):  # a line that a crash cut short
                found.append(json.loads(line))
        return found, start + len(whole)

    @contextlib.contextmanager
    def hold(self, patience: float = 1.0) -> Iterator[bool]:
        """Lock the job for this process; yields whether that worked. Those who look whether it is held are waited for, `patience`
        s at most."""
        with _lock(self.file("lock"), patience=patience) as got:
            yield got

    def at_work(self) -> bool:
        """Whether a process works on it or waits to. One that has said how the job ended is waited for, until it is gone."""
        end = time.monotonic() + LET_GO
        while self.held():
            if self.state.status not in ENDED or time.monotonic() > end:
                return True
            time.sleep(0.05)
        return False

    def held(self) -> bool:
        """Whether a process works on it or waits to. Looking takes a shared lock: it is not taken for such a process."""
        if not self.file("lock").exists():
            return False
        with _lock(self.file("lock"), shared=True) as got:
            return not got

    @property
    def stop_asked(self) -> bool:
        return self.file("stop").exists()

    def kept(self) -> list[dict]:
        """Kept steps in order: {step, voice (file), sound (file, or None while it is being made)}."""
        found = []
        for voice in sorted(self.path.glob("steps/*.voice")):
            sound = self.path / "previews" / f"{voice.stem}.wav"
            found.append({"step": int(voice.stem), "voice": str(voice), "sound": str(sound) if sound.exists() else None})
        return found


FOREVER = float("inf")


@contextlib.contextmanager
def _lock(path: Path, shared: bool = False, patience: float = 0.0) -> Iterator[bool]:
    """Lock a file for as long as the block runs, after at most `patience` s; yields whether that worked."""
    with told(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        handle = os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
    end = time.monotonic() + patience
    try:
        got = False
        while not got:
            try:
                fcntl.flock(handle, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
                got = True
            except BlockingIOError:
                if time.monotonic() >= end:
                    break
                time.sleep(0.02)
        yield got
    finally:
        os.close(handle)


def the_machine() -> contextlib.AbstractContextManager[bool]:
    """The lock of which one job at a time runs."""
    return _lock(jobs_folder() / ".running")


def new_folder() -> Path:
    """An empty folder with a new id."""
    root = jobs_folder()
    with told(root):
        root.mkdir(parents=True, exist_ok=True)
        for _ in range(1000):
            now = time.time()
            path = root / f"{time.strftime('%Y%m%d-%H%M%S', time.localtime(now))}-{int(now * 1000) % 1000:03d}"
            with contextlib.suppress(FileExistsError):
                path.mkdir(mode=0o700)
                return path
            time.sleep(0.002)
    raise InputError(f"No folder for a new job could be made in {root}; check that it can be written.")


@contextlib.contextmanager
def whole_job() -> Iterator[Job]:
    """A new job's folder to be filled: where that fails nothing of it is left, and no copy of anybody's recordings."""
    job = Job(new_folder())
    try:
        yield job
    except BaseException:
        shutil.rmtree(job.path, ignore_errors=True)
        raise


def list_jobs() -> list[Job]:
    """All jobs, newest first."""
    found = [p for p in jobs_folder().glob("*") if _ID.fullmatch(p.name) and (p / "state.json").is_file()]
    return [Job(p) for p in sorted(found, reverse=True)]


def find_job(name: str) -> Job:
    """The job with this id, or `last`. Raises InputError when there is none."""
    jobs = list_jobs()
    if name == "last" and jobs:
        return jobs[0]
    for job in jobs:
        if job.id == name:
            return job
    known = ", ".join(j.id for j in jobs[:5]) or "none yet"
    raise InputError(f"There is no job {name!r}; one of the jobs ({known}) or `last` is expected.")


PLAN_SECONDS = 3600.0
"""A plan that was not started holds a copy of somebody's recordings for so long at most."""


def forget_plans(older: float = PLAN_SECONDS, only: str | None = None) -> list[str]:
    """Delete the plans (or `only` one, by its id) that were never started and are `older` (s), with their copies of the
    clips; returns their ids."""
    gone = []
    for job in list_jobs():
        s = job.state
        if only in (None, job.id) and s.status == "planned" and not s.queued_at and time.time() - s.updated >= older:
            delete_job(job)
            gone.append(job.id)
    return gone


def delete_job(job: Job) -> None:
    """Remove a job and its clips. Raises InputError while it runs."""
    busy = job.at_work()
    with job.hold() as got:
        if busy or not got:
            raise InputError(f"The job {job.id} is running; stop it first.")
        shutil.rmtree(job.path)

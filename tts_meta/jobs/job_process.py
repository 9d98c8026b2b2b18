"""`python -m tts_meta.jobs.job_process FOLDER`: the process of one job. It waits for its turn, then clones.

While it waits it has imported nothing heavy, so that many jobs can wait.
"""

from __future__ import annotations

import contextlib
import os
import sys
import time
import traceback
from collections.abc import Iterator
from pathlib import Path

from tts_meta.audio.files import replace_file
from tts_meta.errors import InputError
from tts_meta.jobs.job_folder import LET_GO, RESERVE, RESERVED, Job, list_jobs, the_machine

POLL = 0.5  # s


@contextlib.contextmanager
def turn(job: Job) -> Iterator[bool]:
    """Wait until no job runs and none has waited longer; yields False when the job was stopped meanwhile."""
    while not job.stop_asked:
        if not _older_waits(job):
            with the_machine() as got:
                if got:
                    yield True
                    return
        time.sleep(POLL)
    yield False


def _older_waits(job: Job) -> bool:
    at = job.state.queued_at
    return any(j.state.status == "queued" and (j.state.queued_at, j.id) < (at, job.id) for j in list_jobs() if j.id != job.id)


def main() -> None:
    """Wait for the job's turn, then clone; what goes wrong is written into its state."""
    job = Job(Path(sys.argv[1]))
    with job.hold(LET_GO) as got, turn(job) as mine:
        if not got:
            sys.exit("another process has this job")
        if not mine:
            job.set_state(status="stopped")
            return
        try:
            job.set_state(status="running")
            replace_file(job.file(RESERVE), bytes(RESERVED))
            # Here, because it loads torch.
            from tts_meta.jobs.job_work import work

            work(job)
        except InputError as e:
            job.fail(str(e), "Mend that and continue.")
        except MemoryError as e:
            fix = "Close other programs, or clone from fewer or shorter clips."
            job.fail(f"There is not enough memory ({e}).", fix)
        except BaseException as e:  # the state must say it, whatever it was
            traceback.print_exc()
            job.fail(f"{type(e).__name__}: {e}", f"This is a bug; please report it with {job.file('log.txt')}.")
            sys.exit(1)
        finally:
            job.file(RESERVE).unlink(missing_ok=True)


if __name__ == "__main__":
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    main()

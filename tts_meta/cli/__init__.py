"""The `tts-meta` verbs. Human text goes to stderr, results to stdout; `--json` prints one JSON object there.

Exit codes: 0 only if the result exists and loads, 2 for bad input (one sentence on stderr), 1 for a bug.
"""

from __future__ import annotations

import errno
import gc
import os
import sys

import typer

from tts_meta.cli import cloning, exporting, judging, speaking, voices
from tts_meta.cli.common import say
from tts_meta.errors import InputError

app = typer.Typer(no_args_is_help=True, add_completion=False, help="Clone a voice from a few clips and make it speak.")
for part in (cloning, speaking, judging, exporting):
    for verb, function in part.VERBS.items():
        # "-5 degrees" is a text, not an option.
        settings = {"ignore_unknown_options": True} if verb in speaking.TAKE_TEXT else {}
        app.command(verb, context_settings=settings)(function)
app.add_typer(voices.app, name="voices")
app.add_typer(cloning.jobs, name="jobs")
app.add_typer(judging.listening, name="listening")



_OF_THE_DISK = {errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOSPC, errno.EDQUOT, errno.ENOTDIR, errno.ENAMETOOLONG}
"""What a folder or a disk is like, and no bug: one sentence."""


def main() -> None:
    """Entry point: bad input is one sentence and exit code 2."""
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")
    # The million objects that torch's import makes stay: to look through them for garbage costs a tenth of a second each time.
    gc.set_threshold(50_000, 20, 100)
    try:
        app()
    except InputError as e:
        say(f"Error: {e}")
        sys.exit(2)
    except OSError as e:
        if e.errno not in _OF_THE_DISK:
            raise
        say(f"Error: {e.filename or 'A file'} could not be written ({e.strerror}); free some disk space, or choose another "
            f"folder "
            "(TTS_META_HOME is where voices and jobs are kept).")
        sys.exit(2)

"""A recipe as its command runs it, in this process: torch and Hydra are imported once for all of them. One run of each recipe
stays a process of its own, which proves that the file can be started."""

from __future__ import annotations

import contextlib
import io
import runpy
import sys
from types import SimpleNamespace

import pytest

from tests.conftest import ROOT


def recipe(script: str, *words: str) -> SimpleNamespace:
    """What `python SCRIPT WORDS` gives, from the repository's folder: returncode, stdout, stderr."""
    path, out, err = ROOT / script, io.StringIO(), io.StringIO()
    with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        patch.chdir(ROOT)
        for name, value in (("PYTHONPATH", str(ROOT)), ("OMP_NUM_THREADS", "1"), ("CUDA_VISIBLE_DEVICES", "")):
            patch.setenv(name, value)
        patch.setattr(sys, "argv", [str(path), *words])
        patch.syspath_prepend(str(path.parent))
        try:
            runpy.run_path(str(path), run_name="__main__")
            code = 0
        except SystemExit as e:
            code = e.code or 0
            if isinstance(code, str):  # as the interpreter does
                print(code, file=sys.stderr)
                code = 1
    return SimpleNamespace(returncode=code, stdout=out.getvalue(), stderr=err.getvalue())

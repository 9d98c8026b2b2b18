"""The Python door: every line of docs/python.md runs, and what it refuses is told in a sentence."""

import re

import numpy as np
import pytest

import tts_meta
from tests.conftest import ROOT
from tts_meta.errors import InputError


def test_every_line_of_the_guide(tmp_path, monkeypatch, capsys):
    (tmp_path / "app").symlink_to(ROOT / "app")
    monkeypatch.chdir(tmp_path)
    names: dict = {}
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "python.md").read_text(), re.S)
    assert len(blocks) == 4
    for block in blocks:
        exec(block, names)  # noqa: S102 - our own guide
    told = capsys.readouterr().out
    assert "me 10 " in told and names["report"]["verdict"] in told
    assert names["audio"].samples.dtype == np.float32 and names["audio"].rate == 22050
    assert (tmp_path / "report" / "report.html").exists() and names["again"].name == "again"
    with pytest.raises(InputError, match="exists already"):
        names["voice"].save("me.voice")


def test_what_is_no_clip_is_told():
    with pytest.raises(InputError, match="Clip 1 is ndarray"):
        tts_meta.clone([np.zeros(9)], name="x", consent="y")
    with pytest.raises(InputError, match="one folder"):
        tts_meta.evaluate("example", ["a.wav", "b.wav"])
    with pytest.raises(AttributeError, match="no attribute 'klone'"):
        tts_meta.klone  # noqa: B018


def test_names_are_listed():
    assert all(getattr(tts_meta, n) is not None for n in tts_meta.__all__)

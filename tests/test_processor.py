"""bfloat16 is decided in one place: where it is fast, switched off by one variable, with a warning where it is emulated."""

from __future__ import annotations

import ast
import warnings

import pytest
import torch

from tests.conftest import ROOT
from tts_meta import processor
from tts_meta.adaptation.clone_plan import watch_seconds
from tts_meta.audio.vocoder import HiFiGan
from tts_meta.errors import InputError


@pytest.fixture
def has(monkeypatch):
    """Give the processor these instructions."""
    monkeypatch.delenv(processor.BF16, raising=False)
    return lambda *names: monkeypatch.setattr(processor, "instructions", lambda: frozenset(names))


def test_auto_means_where_it_is_fast(has, monkeypatch):
    for names, fast in (((), False), (("avx2", "avx512f"), False), (("avx512_bf16",), True), (("amx_bf16",), True)):
        has(*names)
        assert processor.use_bf16() is processor.use_bf16("auto") is processor.use_bf16(None) is processor.bf16_is_fast() is fast
        assert not processor.use_bf16(False)


def test_the_instructions_are_those_that_torch_finds():
    found = torch.cpu.get_capabilities()
    for name in ("avx2", "avx512_bf16", "amx_bf16"):
        assert (name in processor.instructions()) == bool(found.get(name)), name


def test_asking_for_it_where_it_is_emulated_warns(has):
    has("avx2")
    with pytest.warns(UserWarning, match="emulates bfloat16.*bf16=auto"):
        assert processor.use_bf16(True)
    has("amx_bf16")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert processor.use_bf16(True)
    with pytest.raises(InputError, match="bf16 is 'fast'; auto, true or false is expected"):
        processor.use_bf16("fast")


def test_one_variable_switches_it_off_everywhere(has, monkeypatch):
    has("amx_bf16")
    assert HiFiGan().bf16 and "bfloat16 is used" in processor.kind()
    quick = watch_seconds()
    monkeypatch.setenv(processor.BF16, "off")
    assert not any(processor.use_bf16(asked) for asked in (None, "auto", True))
    assert not HiFiGan().bf16 and not HiFiGan(bf16=True).bf16
    assert watch_seconds() > 2 * quick
    assert "switched off by TTS_META_BF16" in processor.kind()
    monkeypatch.setenv(processor.BF16, "maybe")
    with pytest.raises(InputError, match="TTS_META_BF16 is 'maybe'; off or auto is expected"):
        processor.use_bf16()


def test_the_processors_kind_says_whether_it_would_be_emulated(has):
    has("avx2")
    assert "avx2; bfloat16 would be emulated and is not used" in processor.kind()


def test_nobody_else_asks_the_processor():
    """torch's own question is asked in processor.py alone, and autocast is never switched on without it."""
    for path in [*(ROOT / "tts_meta").rglob("*.py"), *(ROOT / "recipes").glob("*.py"), *(ROOT / "app").rglob("*.py")]:
        if path.name == "processor.py":
            continue
        text = path.read_text()
        assert "get_capabilities" not in text and "is_bf16_supported" not in text, path
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.keyword) and node.arg == "bf16" and isinstance(node.value, ast.Constant):
                assert node.value.value is not True, path

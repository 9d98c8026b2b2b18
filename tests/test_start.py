"""What a command imports before it can answer: nothing heavy where nothing is spoken, and no compiler to speak."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
import torch

from tests.conftest import ROOT
from tts_meta.nets.acoustic import AcousticConfig, AcousticModel
from tts_meta.nets.unfilled import Unfilled

HEAVY = ("torch", "numpy", "scipy", "librosa", "gradio", "transformers", "onnxruntime", "matplotlib")
COMPILERS = ("torch._dynamo", "sympy", "triton", "numba", "scipy")
"""Half a second to a second and a half each."""

LOADED = """
import sys
sys.argv = ["tts-meta", *sys.argv[2:]]
heavy = {heavy!r}
from tts_meta.cli import main
try:
    main()
except SystemExit as e:
    assert not e.code, e.code
print("LOADED", *(m for m in heavy if m in sys.modules))
"""


def loaded(heavy, words, folder):
    """Those of the modules `heavy` that `tts-meta WORDS` has imported when it ends."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "TTS_META_HOME": str(folder)}
    code = LOADED.format(heavy=heavy)
    done = subprocess.run([sys.executable, "-c", code, "-", *words], env=environment, capture_output=True, text=True, cwd=folder)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()[-1].split()[1:]


@pytest.mark.parametrize("words", (["--help"], ["say", "--help"], ["voices", "list"], ["jobs", "list"], ["doctor"], ["prompts"]),
                         ids=" ".join)
@pytest.mark.parametrize("network", ("kokoro", "small"))
def test_nothing_heavy_is_imported_to_say_what_there_is(words, network, tmp_path, monkeypatch):
    monkeypatch.setenv("TTS_META_NETWORK", network)
    if words[0] == "jobs":  # its files are replaced by what writes sound, too
        assert "torch" not in loaded(HEAVY, words, tmp_path)
    else:
        assert not loaded(HEAVY, words, tmp_path)


def test_a_voice_is_copied_and_listed_without_torch(cloned, tmp_path):
    (tmp_path / "p225.voice").write_bytes(cloned.path.read_bytes())
    assert not {"torch"} & set(loaded(HEAVY, ["voices", "copy", "p225", "other"], tmp_path))
    assert not {"torch"} & set(loaded(HEAVY, ["voices", "list", "--json"], tmp_path))
    from tts_meta.voices.voice_file import load_voice
    from tts_meta.voices.voice_header import read_header

    assert read_header(tmp_path / "other.voice")["name"] == "other"
    from tts_meta.starters.small_starter import load_starter

    first, second = (load_voice(p, load_starter()) for p in (cloned.path, tmp_path / "other.voice"))
    assert first.deltas.keys() == second.deltas.keys()
    assert all(torch.equal(v, second.deltas[k]) for k, v in first.deltas.items())


def test_speaking_imports_no_compiler(tmp_path):
    assert not loaded(COMPILERS, ["say", "Good.", "--voice", "example", "--out", str(tmp_path / "x.wav")], tmp_path)
    assert (tmp_path / "x.wav").stat().st_size > 10_000


def test_building_the_large_network_imports_no_compiler(tmp_path):
    code = (
        "import sys, torch\nfrom tts_meta.nets.unfilled import Unfilled\n"
        "from tts_meta.nets.kokoro.network import Kokoro, KokoroConfig\n"
        "with Unfilled():\n    net = Kokoro(KokoroConfig(), torch.zeros(80, 513))\n"
        f"print(sum(p.numel() for p in net.parameters()), *(m for m in {COMPILERS!r} if m in sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True,
                          text=True, check=True)
    numbers, *found = done.stdout.split()
    assert int(numbers) > 50e6 and not found


def test_a_network_without_first_weights_draws_no_number_and_takes_any():
    config = AcousticConfig(symbols=5, hidden=8, encoder_layers=1, decoder_layers=1)
    filled = AcousticModel(config)
    before = torch.get_rng_state()
    with Unfilled():
        empty = AcousticModel(config)
    assert torch.equal(torch.get_rng_state(), before)
    empty.load_state_dict(filled.state_dict())
    assert all(torch.equal(v, empty.state_dict()[k]) for k, v in filled.state_dict().items())

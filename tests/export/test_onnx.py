"""A voice as ONNX graphs says what it says in torch, in any length, and needs nothing of torch to say it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import wave

import numpy as np
import onnxruntime
import pytest
import torch

from tests.conftest import EXAMPLES, ROOT
from tts_meta import onnx_say
from tts_meta.audio.fast_vocoder import FastVocoder
from tts_meta.audio.mel import log_mel
from tts_meta.audio.vocoder import HiFiGan
from tts_meta.clips.transcripts import find_clips
from tts_meta.clips.whole_clips import check_clip
from tts_meta.errors import InputError
from tts_meta.export.eight_bits import eight_bits
from tts_meta.export.voice_onnx import export_voice, write_vocoder
from tts_meta.starters.chosen_starter import starter_of
from tts_meta.starters.interface import Controls
from tts_meta.text.phonemes import phonemize
from tts_meta.voices.library import named_voice
from tts_meta.voices.voice_file import load_voice

NETWORKS = ("small", pytest.param("kokoro", marks=pytest.mark.sweep))


@pytest.fixture(scope="module", params=NETWORKS)
def exported(request, tmp_path_factory):
    """(starter, voice, folder of its graphs)."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TTS_META_NETWORK", request.param)
        patch.setenv("TTS_META_VOCODER", "hifigan")
        starter = starter_of(request.param)
        voice = load_voice(named_voice("example"), starter)
        starter = voice.network(starter)
        folder = tmp_path_factory.mktemp(request.param)
        export_voice(starter, voice, folder)
    return starter, voice, folder


@pytest.fixture(scope="module")
def fast(exported, tmp_path_factory):
    """(the voice's folder, one with the fast vocoder in its place, which the voice has no part in)."""
    folder = tmp_path_factory.mktemp("fast")
    for name in ("text.onnx", "sound.onnx", "voice.json"):
        shutil.copy(exported[2] / name, folder)
    write_vocoder(folder / "vocoder.onnx", "fast")
    return exported[2], folder


def in_torch(starter, voice, text, controls):
    """(log-mel, samples) as `say` makes them, before loudness."""
    params = {k: starter.phi[k] + d for k, d in voice.deltas.items()}
    phones = phonemize(text, starter.espeak_voice)[1:-1]
    with torch.inference_mode():
        mel, _ = starter.mel(params, phones, [0.0] * len(phones), controls, voice.gains)
    return mel, HiFiGan(bf16=False)(mel)


@pytest.mark.parametrize(("text", "controls", "how"), [
    ("Good morning.", Controls(), {}),
    ("Well, the boats come home.", Controls(0.8, 2.0, 3.0), {"speed": 0.8, "pitch": 2 ** (2 / 12), "energy": 0.3 * np.log(10)}),
])
def test_the_samples_are_torchs(exported, text, controls, how):
    starter, voice, folder = exported
    said = onnx_say.Voice(str(folder))
    mel, samples = in_torch(starter, voice, text, controls)
    found = said.samples(*said.encode(said.phones(text)), **how)
    assert len(found) == len(samples) and np.abs(samples).max() > 0.1
    assert np.abs(found - samples).max() < 1e-3


@pytest.mark.parametrize("frames", [2, 3, 87, 700])
def test_the_fast_vocoders_samples_are_torchs(fast, frames):
    """Of recordings' mels of any length, with the noise that torch drew."""
    recorded = [check_clip(p).mel for p in find_clips([EXAMPLES / "clips"])[:3]]
    mel = np.concatenate(recorded)[20:][:frames]
    assert len(mel) == frames
    noise = torch.randn(1, 256 * frames, generator=torch.Generator().manual_seed(0)).numpy()
    graph = onnxruntime.InferenceSession(fast[1] / "vocoder.onnx")
    found = graph.run(None, {"mel": mel[None], "noise": noise})[0][0]
    wanted = FastVocoder()(mel)
    assert found.shape == wanted.shape and np.abs(wanted).max() > (0.1 if frames > 50 else 1e-4)
    assert np.abs(found - wanted).max() < 1e-3


def test_a_voice_speaks_by_the_fast_vocoder_too(fast):
    """The same length and nearly the same mel as by HiFi-GAN."""
    slow, quick = (onnx_say.Voice(str(f)) for f in fast)
    ids = slow.encode(slow.phones("The boats come home before the evening."))
    a, b = (v.samples(*ids) for v in (slow, quick))
    assert len(a) == len(b) and np.abs(log_mel(a) - log_mel(b)).mean() < 0.4


def test_the_fast_vocoder_in_8_bits_is_nearly_itself(fast, tmp_path):
    """A third of the bytes (the waves of its Fourier transforms stay whole), and the mel within half a decibel."""
    whole, small = fast[1] / "vocoder.onnx", tmp_path / "vocoder.onnx"
    eight_bits(whole, small)
    assert small.stat().st_size < 0.45 * whole.stat().st_size
    mel = check_clip(find_clips([EXAMPLES / "clips"])[1]).mel
    noise = np.random.default_rng(0).standard_normal((1, 256 * len(mel)), np.float32)
    a, b = (onnxruntime.InferenceSession(p).run(None, {"mel": mel[None], "noise": noise})[0][0] for p in (whole, small))
    loud = log_mel(a) > -7
    assert np.abs(log_mel(a) - log_mel(b))[loud].mean() < 0.08


def test_8_bits_are_a_quarter_of_the_bytes_and_nearly_the_same_sound(exported, tmp_path, hifigan):
    starter, voice, folder = exported
    sizes = export_voice(starter, voice, tmp_path, int8=True)
    whole = {p.name: p.stat().st_size for p in folder.iterdir()}
    assert sizes.keys() == whole.keys() == {"text.onnx", "sound.onnx", "vocoder.onnx", "voice.json"}
    assert sum(sizes.values()) < 0.35 * sum(whole.values()) and sum(sizes.values()) <= 80e6
    assert json.loads((tmp_path / "voice.json").read_text())["weights"] == "int8"
    first, small = onnx_say.Voice(str(folder)), onnx_say.Voice(str(tmp_path))
    ids = first.encode(first.phones("The boats come home before the evening."))
    a, b = (v.samples(*ids) for v in (first, small))
    assert abs(len(a) - len(b)) < 0.05 * len(a)
    # The waveforms part by their phases; how loud each tenth of a second is does not.
    whole_tenths = min(len(a), len(b)) // 2205 * 2205
    levels = [np.sqrt((x[:whole_tenths].reshape(-1, 2205) ** 2).mean(1)) for x in (a, b)]
    assert np.corrcoef(*levels)[0, 1] > 0.9


def test_it_speaks_by_numpy_onnxruntime_and_phonemizer_alone(exported, tmp_path):
    """As a program of its own, which cannot import torch or tts_meta."""
    shutil.copy(ROOT / "tts_meta" / "onnx_say.py", tmp_path)
    (tmp_path / "sitecustomize.py").write_text(
        "import sys\nsys.modules['torch'] = sys.modules['tts_meta'] = sys.modules['scipy'] = None\n"
        "import espeakng_loader\nfrom phonemizer.backend.espeak.wrapper import EspeakWrapper\n"
        "EspeakWrapper.set_library(espeakng_loader.get_library_path())\nEspeakWrapper.set_data_path(espeakng_loader.get_data_path())\n"
    )
    command = [sys.executable, "onnx_say.py", str(exported[2]), "Good morning, my friend.", "said.wav", "1.25"]
    done = subprocess.run(command, cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(tmp_path)}, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    with wave.open(str(tmp_path / "said.wav")) as f:
        assert f.getframerate() == 22050 and 0.8 < f.getnframes() / 22050 < 4
        assert np.abs(np.frombuffer(f.readframes(f.getnframes()), "<i2")).max() > 3000


def test_the_example_stays_short():
    lines = (ROOT / "tts_meta" / "onnx_say.py").read_text().splitlines()
    assert len(lines) <= 80
    imported = {line.split()[1].split(".")[0] for line in lines if line.startswith(("import ", "from "))}
    assert imported - set(sys.stdlib_module_names) == {"numpy", "onnxruntime", "phonemizer"}


@pytest.mark.sweep
def test_it_speaks_in_a_venv_without_torch(exported, tmp_path):
    """An environment of its own that holds these packages; where the registry cannot be reached there is nothing to test."""
    subprocess.run([sys.executable, "-m", "venv", str(tmp_path / "venv")], check=True)
    python = tmp_path / "venv" / "bin" / "python"
    got = subprocess.run([python, "-m", "pip", "install", "-q", "numpy", "onnxruntime", "phonemizer", "espeakng-loader"],
                         capture_output=True, text=True)
    if got.returncode:
        pytest.skip("packages cannot be installed here")
    assert subprocess.run([python, "-c", "import torch"], capture_output=True).returncode
    code = ("import sys, runpy, espeakng_loader\nfrom phonemizer.backend.espeak.wrapper import EspeakWrapper\n"
            "EspeakWrapper.set_library(espeakng_loader.get_library_path())\nEspeakWrapper.set_data_path(espeakng_loader.get_data_path())\n"
            f"sys.argv = ['onnx_say', {str(exported[2])!r}, 'Good morning.', 'said.wav']\n"
            f"runpy.run_path({str(ROOT / 'tts_meta' / 'onnx_say.py')!r}, run_name='__main__')")
    subprocess.run([python, "-c", code], cwd=tmp_path, check=True, env={k: v for k, v in os.environ.items() if k != "PYTHONPATH"})
    assert (tmp_path / "said.wav").stat().st_size > 20_000


def test_a_folder_that_cannot_be_made_is_one_sentence(exported, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="choose another folder"):
        export_voice(exported[0], exported[1], tmp_path / "file" / "under")

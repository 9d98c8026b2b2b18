"""The weights out of the packages: the network says what the original's ONNX says, and damage is told in a sentence."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from tts_meta.audio.mel import mel_bands
from tts_meta.errors import InputError
from tts_meta.kokoro import weights
from tts_meta.kokoro.symbols import encode, from_phones
from tts_meta.nets.kokoro.network import Kokoro, KokoroConfig, spread, token_index
from tts_meta.text.phonemes import phonemize

HERE = Path(__file__).parent
OUTPUTS = (
    "/encoder/predictor/ReduceSum_output_0", "/encoder/F0_proj/Conv_output_0", "/encoder/N_proj/Conv_output_0",
    "/decoder/decoder/decode.3/Div_4_output_0",
)


@pytest.fixture(scope="module")
def original():
    """The ONNX graph up to the last acoustic block: durations, F0, energy, features."""
    import onnx
    import onnxruntime

    model = onnx.load_from_string(weights.packaged_onnx())
    del model.graph.output[:]
    for name in OUTPUTS:
        model.graph.output.append(onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None))
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])

    def run(ids, style):
        return session.run(list(OUTPUTS), {
            "tokens": np.array([ids]), "style": style[None].numpy(), "speed": np.ones(1, dtype=np.float32),
        })

    return run


@pytest.fixture(scope="module")
def net():
    found = Kokoro(KokoroConfig(), mel_bands())
    missing = found.load_state_dict(weights.base_weights(), strict=False).missing_keys
    assert all(k.startswith("head.") or k.endswith(".down") for k in missing)
    return found.eval()


@torch.no_grad()
def test_it_says_what_the_original_says(net, original):
    voices = {k: v.float() for k, v in load_file(str(HERE / "voices.safetensors")).items()}
    every = bool(os.environ.get("TTS_META_TEST_ALL"))  # 30 sentences, two voices each: four minutes
    sentences = (HERE / "sentences.txt").read_text().split("\n")[: 30 if every else 6]
    apart, pitch, features, levels = [], [], [], []
    for n, text in enumerate(sentences):
        for name in list(voices)[n % 2 :: 2] if every else [list(voices)[n % 4]]:
            style, british = voices[name], name.startswith("b")
            phones = phonemize(text, "en-gb" if british else "en-us")
            ids = encode(from_phones([(p.symbol, p.stress) for p in phones], british))
            durations, f0, energy, x = (torch.from_numpy(v) for v in original(ids, style))
            tokens, mask, lengths = torch.tensor([ids]), torch.ones(1, len(ids)), torch.tensor([len(ids)])
            timbre, manner = style[None, :128], style[None, 128:]
            read = net.read(tokens, mask)
            prosody = net.prosody.read(read.prosody, manner, mask, lengths)
            ours = net.prosody.durations(prosody, lengths)
            apart.append((ours - durations.view_as(ours)).abs())
            # The curves and the sound from the original's own durations.
            counts = durations.flatten().round().clamp(min=1).long()
            index = token_index(counts)[None]
            frames = torch.ones(index.shape)
            line, level = net.melody(prosody, index, manner, frames)
            voiced = (line > 60) & (f0[:, 0] > 60)
            pitch.append((line - f0[:, 0])[voiced].abs())
            levels.append((level - energy[:, 0]).abs())
            made = net.blocks(spread(read.sound, index), f0[:, 0], energy[:, 0], timbre, frames.unsqueeze(1))
            features.append(float((made - x).norm() / x.norm()))
    apart, pitch, levels = (torch.cat([v.flatten() for v in row]) for row in (apart, pitch, levels))
    # The original multiplies its activations in 8 bits, this one does not.
    assert float(apart.quantile(0.995)) < 1.0 and float(apart.mean()) < 0.15
    assert float(pitch.mean()) < 5.0 and float(levels.mean()) < 0.5
    assert np.mean(features) < 0.1


def test_a_wrong_package_is_refused(tmp_path, monkeypatch):
    monkeypatch.setenv("TTS_META_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(weights, "SHA256", "0" * 64)
    with pytest.raises(InputError, match="another file"):
        weights.base_weights()
    assert not list((tmp_path / "cache").glob("*")) if (tmp_path / "cache").exists() else True
    monkeypatch.setattr(weights, "PARTS", ("no_such_package_at_all",))
    with pytest.raises(InputError, match="not installed"):
        weights.base_weights()


def test_a_damaged_cache_is_made_anew(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("TTS_META_CACHE", str(tmp_path))
    kept = ("bert.norm.weight", "blocks.pitch.weight")
    first = {k: v.clone() for k, v in weights.base_weights().items() if k in kept}
    assert "Converting" in capsys.readouterr().err
    path = next(tmp_path.glob("kokoro-*.safetensors"))
    part = path.read_bytes()[:1000]
    path.unlink()  # a file that is mapped must not be written into
    path.write_bytes(part)
    again = weights.base_weights()
    assert all(torch.equal(first[k], again[k]) for k in kept)
    assert [p.name for p in tmp_path.iterdir()] == [path.name]
    weights.base_weights()
    assert capsys.readouterr().err.count("Converting") == 1


def test_a_cache_that_cannot_be_written_is_one_sentence(tmp_path, monkeypatch):
    blocked = tmp_path / "file"
    blocked.write_text("")
    monkeypatch.setenv("TTS_META_CACHE", str(blocked / "under"))
    with pytest.raises(InputError, match="TTS_META_CACHE"):
        weights.base_weights()


def as_official(path: Path, left_out: str = "") -> None:
    """The packages' weights under the names of the official file, convolutions as magnitude and direction."""
    from tts_meta.kokoro import official

    base = weights.base_weights()
    stored: dict[str, torch.Tensor] = {
        "bert.embeddings.word_embeddings.weight": base["bert.symbol.weight"],
        "bert.embeddings.position_embeddings.weight": base["bert.position.weight"],
        "bert.embeddings.token_type_embeddings.weight": torch.stack([base["bert.kind"]] * 2),
        "text_encoder.embedding.weight": base["text.symbol.weight"],
    }
    places = {**official._LINEAR, **official._CONVS, **{f"{k}.lstm": v for k, v in official._LSTMS.items()}}
    places |= {f"text.convs.{i}": f"text_encoder.cnn.{i}.0" for i in range(3)}
    places |= {f"text.norms.{i}": f"text_encoder.cnn.{i}.1" for i in range(3)}
    places |= {f"prosody.norms.{i}.affine.fc": f"predictor.text_encoder.lstms.{2 * i + 1}.fc" for i in range(3)}
    for ours, theirs in official._BLOCKS.items():
        places |= {f"{ours}.{n}.affine.fc": f"{theirs}.{n}.fc" for n in ("norm1", "norm2")}
        places |= {f"{ours}.{n}.conv": f"{theirs}.{n}" for n in ("conv1", "conv2")}
        places |= {f"{ours}.skip.conv": f"{theirs}.conv1x1", f"{ours}.pool": f"{theirs}.pool"}
    for ours, theirs in places.items():
        for key, value in base.items():
            if key.startswith(f"{ours}.") and "." not in (kind := key.removeprefix(f"{ours}.")):
                if value.ndim == 3 and not key.endswith(".out.conv.weight"):
                    stored[f"{theirs}.weight_g"] = value.flatten(1).norm(dim=1).view(-1, 1, 1)
                    stored[f"{theirs}.weight_v"] = 3 * value
                else:
                    stored[f"{theirs}.{kind}"] = value
    parts: dict[str, dict[str, torch.Tensor]] = {}
    for key, value in stored.items():
        part, _, rest = key.partition(".")
        if key != left_out:
            parts.setdefault(part, {})[f"module.{rest}"] = value
    torch.save(parts, path)


def test_the_official_file_is_read_in_place_of_the_packages(tmp_path, monkeypatch):
    wanted = dict(weights.base_weights())
    as_official(tmp_path / "kokoro-v1_0.pth")
    monkeypatch.setenv("TTS_META_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("TTS_META_KOKORO", str(tmp_path / "kokoro-v1_0.pth"))
    monkeypatch.setattr(weights, "packaged_onnx", lambda: pytest.fail("the packages were read"))
    found = weights.base_weights()
    assert set(found) == set(wanted)
    for key, value in wanted.items():
        torch.testing.assert_close(found[key], value, rtol=1e-5, atol=1e-7)


def test_another_file_than_the_official_one_is_told_in_a_sentence(tmp_path, monkeypatch):
    monkeypatch.setenv("TTS_META_CACHE", str(tmp_path / "cache"))
    path = tmp_path / "kokoro-v1_0.pth"
    monkeypatch.setenv("TTS_META_KOKORO", str(path))
    with pytest.raises(InputError, match="is not there"):
        weights.base_weights()
    path.write_bytes(b"no weights")
    with pytest.raises(InputError, match="is not what torch saved"):
        weights.base_weights()
    torch.save({"bert": {"x": torch.zeros(1)}}, path)
    with pytest.raises(InputError, match="another model's"):
        weights.base_weights()

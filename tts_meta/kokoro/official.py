"""The weights of Kokoro-82M out of its official file, `kokoro-v1_0.pth`, where the user has it: full precision, not 8 bits.

The file holds the state of five modules, some under the prefix that data parallelism leaves, convolutions as magnitude and
direction (weight norm, Salimans & Kingma 2016).
"""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from tts_meta.errors import InputError

_ALBERT = "bert.encoder.albert_layer_groups.0.albert_layers.0"
_LINEAR = {
    "bert.inp": "bert.encoder.embedding_hidden_mapping_in", "bert.query": f"{_ALBERT}.attention.query",
    "bert.key": f"{_ALBERT}.attention.key", "bert.value": f"{_ALBERT}.attention.value", "bert.out": f"{_ALBERT}.attention.dense",
    "bert.attention_norm": f"{_ALBERT}.attention.LayerNorm", "bert.up": f"{_ALBERT}.ffn", "bert.down": f"{_ALBERT}.ffn_output",
    "bert.final_norm": f"{_ALBERT}.full_layer_layer_norm", "bert.norm": "bert.embeddings.LayerNorm",
    "bert_out": "bert_encoder", "prosody.duration.linear": "predictor.duration_proj.linear_layer",
    "prosody.pitch.out.conv": "predictor.F0_proj", "prosody.energy.out.conv": "predictor.N_proj",
}
_CONVS = {"blocks.pitch": "decoder.F0_conv", "blocks.energy": "decoder.N_conv", "blocks.text": "decoder.asr_res.0"}
_LSTMS = {
    "text.lstm": "text_encoder.lstm", "prosody.rhythm": "predictor.lstm", "prosody.shared": "predictor.shared",
    **{f"prosody.lstms.{i}": f"predictor.text_encoder.lstms.{2 * i}" for i in range(3)},
}
_BLOCKS = {
    "blocks.encode": "decoder.encode", **{f"blocks.decode.{i}": f"decoder.decode.{i}" for i in range(4)},
    **{f"prosody.{ours}.blocks.{i}": f"predictor.{theirs}.{i}" for ours, theirs in (("pitch", "F0"), ("energy", "N"))
       for i in range(3)},
}


def read_official(path: str | Path) -> dict[str, Tensor]:
    """All weights of `tts_meta.nets.kokoro.network.Kokoro` that the original has, float32.

    Raises InputError for a file that cannot be read, or that is another model's.
    """
    try:
        parts = torch.load(str(path), map_location="cpu", weights_only=True)
        stored = {f"{part}.{k.removeprefix('module.')}": v.float() for part, state in parts.items() for k, v in state.items()}
    except FileNotFoundError as e:
        raise InputError(f"{path} is not there; the file kokoro-v1_0.pth of Kokoro-82M is expected.") from e
    except Exception as e:  # whatever a file of another kind makes torch say
        raise InputError(f"{path} is not what torch saved of Kokoro-82M; its file kokoro-v1_0.pth is expected.") from e
    try:
        return _named(stored)
    except KeyError as e:
        raise InputError(f"{path} has no {e.args[0]}: it is another model's; Kokoro-82M's kokoro-v1_0.pth is expected.") from e


def _named(stored: dict[str, Tensor]) -> dict[str, Tensor]:
    found = {
        "bert.symbol.weight": stored["bert.embeddings.word_embeddings.weight"],
        "bert.position.weight": stored["bert.embeddings.position_embeddings.weight"],
        "bert.kind": stored["bert.embeddings.token_type_embeddings.weight"][0],
        "text.symbol.weight": stored["text_encoder.embedding.weight"],
    }
    for ours, theirs in _LINEAR.items():
        found |= {f"{ours}.{k}": stored[f"{theirs}.{k}"] for k in ("weight", "bias")}
    for ours, theirs in _CONVS.items():
        found |= {f"{ours}.weight": _conv(stored, theirs), f"{ours}.bias": stored[f"{theirs}.bias"]}
    for ours, theirs in _LSTMS.items():
        names = [k.removeprefix(f"{theirs}.") for k in stored if k.startswith(f"{theirs}.")]
        if not names:
            raise KeyError(theirs)
        found |= {f"{ours}.lstm.{k}": stored[f"{theirs}.{k}"] for k in names}
    for i in range(3):
        found[f"text.convs.{i}.weight"] = _conv(stored, f"text_encoder.cnn.{i}.0")
        found[f"text.convs.{i}.bias"] = stored[f"text_encoder.cnn.{i}.0.bias"]
        found |= {f"text.norms.{i}.{k}": stored[f"text_encoder.cnn.{i}.1.{k}"] for k in ("gamma", "beta")}
        found |= _affine(stored, f"prosody.norms.{i}", f"predictor.text_encoder.lstms.{2 * i + 1}")
    for ours, theirs in _BLOCKS.items():
        for norm in ("norm1", "norm2"):
            found |= _affine(stored, f"{ours}.{norm}", f"{theirs}.{norm}")
        for name in ("conv1", "conv2"):
            found[f"{ours}.{name}.conv.weight"] = _conv(stored, f"{theirs}.{name}")
            found[f"{ours}.{name}.conv.bias"] = stored[f"{theirs}.{name}.bias"]
        if _normed(stored, f"{theirs}.conv1x1"):
            found[f"{ours}.skip.conv.weight"] = _conv(stored, f"{theirs}.conv1x1")
        if _normed(stored, f"{theirs}.pool"):
            found[f"{ours}.pool.weight"] = _conv(stored, f"{theirs}.pool")
            found[f"{ours}.pool.bias"] = stored[f"{theirs}.pool.bias"]
    return {k: v.contiguous() for k, v in found.items()}


def _affine(stored: dict[str, Tensor], ours: str, theirs: str) -> dict[str, Tensor]:
    return {f"{ours}.affine.fc.{k}": stored[f"{theirs}.fc.{k}"] for k in ("weight", "bias")}


def _normed(stored: dict[str, Tensor], name: str) -> tuple[str, str] | None:
    """Where magnitude and direction of a convolution lie, under torch's older or newer names."""
    for g, v in (("weight_g", "weight_v"), ("parametrizations.weight.original0", "parametrizations.weight.original1")):
        if f"{name}.{v}" in stored:
            return f"{name}.{g}", f"{name}.{v}"
    return None


def _conv(stored: dict[str, Tensor], name: str) -> Tensor:
    """The weight of a convolution, its norm over all but the first axis multiplied in."""
    names = _normed(stored, name)
    if names is None:
        return stored[f"{name}.weight"]
    g, v = (stored[n] for n in names)
    # A row of zeros stays one.
    return v * (g / v.flatten(1).norm(dim=1).clamp(min=1e-12).view(-1, *[1] * (v.ndim - 1)))

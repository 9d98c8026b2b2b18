"""The weights of Kokoro-82M (Hexgrad, Apache-2.0) out of its 8-bit ONNX file, as float32.

The file holds its weights as 8-bit integers with a scale and a zero point: w = (q - z) s. The traps of this file are
handled here: zero points are shared, so they are taken from the nodes that use a weight and never by a name; the
weights of square matrix products are transposed; LSTM gates are in ONNX's order (i o f c) and not torch's (i f g o); weight
norm is already multiplied out.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

_MATRICES = {
    "bert.inp": "6547", "bert.query": "6548_3", "bert.key": "6551_3", "bert.value": "6554_3", "bert.out": "6558_3",
    "bert.up": "6559_3", "bert.down": "6560_3", "bert_out": "6704", "prosody.duration.linear": "6886",
}
_ALBERT = "encoder.bert.encoder.albert_layer_groups.0.albert_layers.0"
_BERT = {  # where the file keeps what has a name of its own
    "bert.symbol.weight": "encoder.bert.embeddings.word_embeddings.weight",
    "bert.position.weight": "encoder.bert.embeddings.position_embeddings.weight",
    "bert.norm.weight": "encoder.bert.embeddings.LayerNorm.weight",
    "bert.norm.bias": "encoder.bert.embeddings.LayerNorm.bias",
    "bert.inp.bias": "encoder.bert.encoder.embedding_hidden_mapping_in.bias",
    "bert.query.bias": f"{_ALBERT}.attention.query.bias",
    "bert.key.bias": f"{_ALBERT}.attention.key.bias",
    "bert.value.bias": f"{_ALBERT}.attention.value.bias",
    "bert.out.bias": f"{_ALBERT}.attention.dense.bias",
    "bert.attention_norm.weight": f"{_ALBERT}.attention.LayerNorm.weight",
    "bert.attention_norm.bias": f"{_ALBERT}.attention.LayerNorm.bias",
    "bert.up.bias": f"{_ALBERT}.ffn.bias",
    "bert.down.bias": f"{_ALBERT}.ffn_output.bias",
    "bert.final_norm.weight": f"{_ALBERT}.full_layer_layer_norm.weight",
    "bert.final_norm.bias": f"{_ALBERT}.full_layer_layer_norm.bias",
    "bert_out.bias": "encoder.bert_encoder.bias",
    "text.symbol.weight": "encoder.text_encoder.embedding.weight",
    "prosody.duration.linear.bias": "encoder.predictor.duration_proj.linear_layer.bias",
    "prosody.pitch.out.conv.weight": "encoder.predictor.F0_proj.weight",
    "prosody.pitch.out.conv.bias": "encoder.predictor.F0_proj.bias",
    "prosody.energy.out.conv.weight": "encoder.predictor.N_proj.weight",
    "prosody.energy.out.conv.bias": "encoder.predictor.N_proj.bias",
    "blocks.pitch.weight": "/decoder/decoder/Mul_output_0",
    "blocks.pitch.bias": "decoder.decoder.F0_conv.bias",
    "blocks.energy.weight": "/decoder/decoder/Mul_1_output_0",
    "blocks.energy.bias": "decoder.decoder.N_conv.bias",
    "blocks.text.weight": "/decoder/decoder/asr_res/Mul_output_0",
    "blocks.text.bias": "decoder.decoder.asr_res.0.bias",
}
_LSTMS = {  # ours -> the numbers of its input weights, recurrent weights and biases
    "text.lstm": (6930, 6931, 6929), "prosody.lstms.0": (6749, 6750, 6748), "prosody.lstms.1": (6794, 6795, 6793),
    "prosody.lstms.2": (6839, 6840, 6838), "prosody.rhythm": (6884, 6885, 6883), "prosody.shared": (6981, 6982, 6980),
}


class OnnxWeights:
    """The initialisers of an ONNX graph by name, dequantised when asked for. Needs the package onnx."""

    def __init__(self, source: str | Path | bytes) -> None:
        """`source` is the file, or what is in it."""
        import onnx
        from onnx import numpy_helper

        graph = (onnx.load_from_string(source) if isinstance(source, bytes) else onnx.load(str(source))).graph
        self.values: dict[str, np.ndarray] = {i.name: numpy_helper.to_array(i) for i in graph.initializer}
        self.zero: dict[str, np.ndarray] = {}
        self.scale: dict[str, np.ndarray] = {}
        for node in graph.node:
            inputs = list(node.input)
            if node.op_type in ("ConvInteger", "MatMulInteger") and len(inputs) > 3 and inputs[3] in self.values:
                self.zero[inputs[1]] = self.values[inputs[3]]
            elif node.op_type == "DequantizeLinear" and inputs[1] in self.values:
                self.scale[inputs[0]] = self.values[inputs[1]]
                if len(inputs) > 2 and inputs[2] in self.values:
                    self.zero[inputs[0]] = self.values[inputs[2]]
            elif node.op_type == "DynamicQuantizeLSTM":
                for weight, scale, zero in ((1, 8, 9), (2, 10, 11)):
                    self.scale[inputs[weight]], self.zero[inputs[weight]] = (
                        self.values[inputs[scale]], self.values[inputs[zero]],
                    )

    def get(self, name: str) -> np.ndarray:
        """The array `name`, float32. Raises KeyError when the file does not have it."""
        if name in self.values:
            return self.values[name].astype(np.float32)
        stored = f"{name}_quantized"
        q = self.values[stored].astype(np.float32)
        scale = self.values.get(f"{name}_scale", self.scale.get(stored))
        if scale is None:
            raise KeyError(f"{name}: no scale in the file")
        scale = scale.astype(np.float32)
        zero = np.asarray(self.zero.get(stored, self.values.get(f"{name}_zero_point", 0)), dtype=np.float32)
        return (q - _along(zero, q)) * _along(scale, q)

    def lstm(self, numbers: tuple[int, int, int]) -> dict[str, Tensor]:
        """torch's tensors of a bidirectional LSTM."""
        weight, recurrent = (self.get(f"onnx::LSTM_{n}") for n in numbers[:2])  # [2, in, 4 H]
        bias = self.values[f"onnx::LSTM_{numbers[2]}"].astype(np.float32)  # [2, 8 H]
        found = {}
        for direction, suffix in ((0, ""), (1, "_reverse")):
            half = bias.shape[1] // 2
            found[f"weight_ih_l0{suffix}"] = _gates(weight[direction].T)
            found[f"weight_hh_l0{suffix}"] = _gates(recurrent[direction].T)
            found[f"bias_ih_l0{suffix}"] = _gates(bias[direction, :half])
            found[f"bias_hh_l0{suffix}"] = _gates(bias[direction, half:])
        return {k: torch.from_numpy(np.ascontiguousarray(v)) for k, v in found.items()}


def _along(values: np.ndarray, q: np.ndarray) -> np.ndarray:
    """A scale or zero point shaped to multiply q: one number, one of each channel, or `[directions(, channels)]`."""
    if values.size == 1:
        return values.reshape(())
    if q.ndim == 3 and values.shape[0] == q.shape[0] and values.ndim == 2:
        return values[:, None, :]
    axis = max(i for i in range(q.ndim) if q.shape[i] == values.size) if q.ndim < 3 else 0
    return values.reshape([-1 if i == axis else 1 for i in range(q.ndim)])


def _gates(a: np.ndarray) -> np.ndarray:
    """Rows of the gates i o f c -> i f c o."""
    i, o, f, c = np.split(a, 4, axis=0)
    return np.concatenate([i, f, c, o], axis=0)


def _numbered(root: str, index: int) -> str:
    """The `index`-th product of weight norm under `root`."""
    return f"{root}/Mul{f'_{index}' if index else ''}_output_0"


def _block(w: OnnxWeights, ours: str, graph: str, stored: str, up: bool, skip: bool) -> dict[str, Any]:
    """One AdaIN block: `graph` is its scope in the graph, `stored` the prefix of what kept its name."""
    found: dict[str, Any] = {}
    if up:
        found[f"{ours}.pool.weight"] = w.get(_numbered(graph, 0))
        found[f"{ours}.pool.bias"] = w.get(f"{stored}.pool.bias")
    names = ["conv1", "conv2"] + (["skip"] if skip else [])
    for offset, name in enumerate(names):
        found[f"{ours}.{name}.conv.weight"] = w.get(_numbered(graph, offset + up))
        if name != "skip":
            found[f"{ours}.{name}.conv.bias"] = w.get(f"{stored}.{name}.bias")
    for norm in ("norm1", "norm2"):
        found |= _affine(w, f"{ours}.{norm}", f"{stored}.{norm}")
    return found


def _affine(w: OnnxWeights, ours: str, stored: str) -> dict[str, Any]:
    return {
        f"{ours}.affine.fc.weight": w.get(f"{stored}.fc.weight").T,
        f"{ours}.affine.fc.bias": w.get(f"{stored}.fc.bias"),
    }


def read_onnx(source: str | Path | bytes) -> dict[str, Tensor]:
    """All weights of `tts_meta.nets.kokoro.network.Kokoro` that the original has, float32.

    Raises KeyError when the file is not the one this was written for.
    """
    w = OnnxWeights(source)
    found: dict[str, Any] = {ours: w.get(stored) for ours, stored in _BERT.items()}
    found["bert.kind"] = w.get("encoder.bert.embeddings.token_type_embeddings.weight")[0]
    for ours, number in _MATRICES.items():
        found[f"{ours}.weight"] = w.get(f"onnx::MatMul_{number}").T
    for i in range(3):
        found[f"text.convs.{i}.weight"] = w.get(f"/encoder/text_encoder/cnn.{i}/Mul_output_0")
        found[f"text.convs.{i}.bias"] = w.get(f"encoder.text_encoder.cnn.{i}.0.bias")
        for name in ("gamma", "beta"):
            found[f"text.norms.{i}.{name}"] = w.get(f"encoder.text_encoder.cnn.{i}.1.{name}")
        found |= _affine(w, f"prosody.norms.{i}", f"encoder.predictor.text_encoder.lstms.{2 * i + 1}")
        for ours, theirs in (("pitch", "F0"), ("energy", "N")):
            found |= _block(
                w, f"prosody.{ours}.blocks.{i}", f"/encoder/{theirs}.{i}", f"encoder.predictor.{theirs}.{i}", i == 1, i == 1
            )
    found |= _block(w, "blocks.encode", "/decoder/decoder/encode", "decoder.decoder.encode", False, True)
    for i in range(4):
        scope = f"decoder.decoder.decode.{i}"
        found |= _block(w, f"blocks.decode.{i}", f"/decoder/decoder/decode.{i}", scope, i == 3, True)
    tensors = {k: torch.from_numpy(np.ascontiguousarray(v)) for k, v in found.items()}
    for ours, numbers in _LSTMS.items():
        tensors |= {f"{ours}.lstm.{k}": v for k, v in w.lstm(numbers).items()}
    return tensors

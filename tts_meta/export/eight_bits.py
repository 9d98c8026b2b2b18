"""The weights of an ONNX graph in 8 bits, with a scale for each output channel; it computes in float32 as before.

A quarter of the bytes. Activations stay as they are: their rounding is what one hears of 8-bit speech. So do constants that
belong to no layer, the waves of a Fourier transform and filter banks.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from onnx import numpy_helper as arrays

OF_NO_LAYER = "/Constant"
"""How torch's exporter names what the network itself holds; a layer's constants have its path before that."""
LEAST = 2048
"""Numbers of a weight that is worth it."""
_CHANNELS = {"ConvTranspose": 1, "LSTM": 1, "MatMul": 1}
"""The axis of a weight whose entries get a scale each; 0 where nothing is said."""


def _axis(node: onnx.NodeProto) -> int:
    if node.op_type == "Gemm":
        return 0 if any(a.name == "transB" and a.i for a in node.attribute) else 1
    return _CHANNELS.get(node.op_type, 0)


def eight_bits(source: Path, target: Path) -> None:
    """Write the graph in `source` to `target`, its large weights as int8."""
    model = onnx.load(str(source))
    graph = model.graph
    uses = {name: node for node in graph.node for name in node.input}
    kept, added = [], []
    for weight in graph.initializer:
        values = arrays.to_array(weight)
        small = values.dtype != np.float32 or values.ndim < 2 or values.size < LEAST
        if small or weight.name.startswith(OF_NO_LAYER) or weight.name not in uses:
            kept.append(weight)
            continue
        axis = _axis(uses[weight.name])
        scale = np.abs(values).max(tuple(i for i in range(values.ndim) if i != axis)).clip(1e-12) / 127
        shape = [-1 if i == axis else 1 for i in range(values.ndim)]
        rounded = np.rint(values / scale.reshape(shape)).astype(np.int8)
        name, inputs = weight.name, [f"{weight.name}#8", f"{weight.name}#scale"]
        kept += [arrays.from_array(rounded, inputs[0]), arrays.from_array(scale.astype(np.float32), inputs[1])]
        added.append(onnx.helper.make_node("DequantizeLinear", inputs, [name], axis=axis))
    del graph.initializer[:]
    graph.initializer.extend(kept)
    nodes = [*added, *graph.node]
    del graph.node[:]
    graph.node.extend(nodes)
    onnx.checker.check_model(model)
    target.write_bytes(model.SerializeToString())

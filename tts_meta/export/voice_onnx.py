"""`tts-meta export-onnx`: text.onnx, sound.onnx, vocoder.onnx and voice.json, from which a voice speaks without torch.

Opset 17, batch 1, every length dynamic; what goes in and out is said in docs/onnx.md.
"""

from __future__ import annotations

import json
import math
import shutil
import tempfile
import warnings
from pathlib import Path

import onnx
import onnxruntime
import torch
from torch import Tensor, nn

from tts_meta.audio.files import replace_file
from tts_meta.audio.mel import HOP, LOG_FLOOR, N_MELS, SAMPLE_RATE
from tts_meta.audio.vocoder import CONTEXT, HiFiGan
from tts_meta.errors import InputError
from tts_meta.export import kokoro_graphs, small_graphs
from tts_meta.export.eight_bits import eight_bits
from tts_meta.export.fast_graph import FastVocoderGraph
from tts_meta.kokoro.symbols import AMERICAN, BRITISH, SYMBOLS
from tts_meta.nets.channels_last import Conv1d, ConvTranspose1d
from tts_meta.nets.kokoro.head import FEATURE_RATE
from tts_meta.places import chosen_vocoder
from tts_meta.starters.interface import Network
from tts_meta.starters.kokoro_starter import KokoroStarter
from tts_meta.starters.small_mel import LONGEST_PHONE
from tts_meta.starters.small_starter import Starter
from tts_meta.voices.voice_file import Voice

OPSET = 17
GRAPHS = ("text", "sound", "vocoder")


class Vocoder(nn.Module):
    """Log-mel `[1, L, 80]` -> samples `[1, 256 L]`."""

    def __init__(self) -> None:
        super().__init__()
        self.generator = HiFiGan(bf16=False).generator

    def forward(self, mel: Tensor) -> Tensor:
        silence = math.log(LOG_FLOOR)
        x = nn.functional.pad(mel.transpose(1, 2).clamp(min=silence), (0, CONTEXT), value=silence)
        return self.generator(x)[:, 0, : -CONTEXT * HOP]


def _plain(network: nn.Module) -> nn.Module:
    """With torch's own convolutions, in place: the other layout is oneDNN's, and would be a pair of transpositions here."""
    for layer in network.modules():
        if isinstance(layer, Conv1d):
            layer.__class__ = nn.Conv1d  # type: ignore[assignment]
        if isinstance(layer, ConvTranspose1d):
            layer.__class__ = nn.ConvTranspose1d  # type: ignore[assignment]
        if isinstance(layer, nn.Conv1d | nn.ConvTranspose1d):
            layer.weight.data = layer.weight.data.contiguous()
        # As constants: of parameters the exporter mistakes one for another, and with it how many axes it has.
        for name, value in list(layer._parameters.items()):
            if value is not None:
                del layer._parameters[name]
                layer.__dict__[name] = value.detach()
    return network.eval()


Lengths = dict[str, dict[int, str]]
"""{input or output: {axis: name of its length}}, of the axes whose length is not fixed."""


def _write(path: Path, network: nn.Module, inputs: dict[str, Tensor], outputs: list[str], lengths: Lengths) -> None:
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")  # the exporter's own, of values that are the same for every length
        torch.onnx.export(
            _plain(network), tuple(inputs.values()), str(path), input_names=list(inputs), output_names=outputs,
            dynamic_axes=lengths, opset_version=OPSET, dynamo=False, do_constant_folding=False,
        )
    # onnxruntime's folding of constants: the exporter's fails on those that are made of the style.
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
    options.optimized_model_filepath = str(path)
    options.log_severity_level = 3
    onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    _each_once(path)


def _each_once(path: Path) -> None:
    """Keep constants of the same numbers once; the exporter writes one for each use."""
    model = onnx.load(str(path))
    first: dict[tuple, str] = {}
    same = {w.name: first.setdefault((w.data_type, *w.dims, w.raw_data), w.name) for w in model.graph.initializer if w.raw_data}
    kept = [w for w in model.graph.initializer if same.get(w.name, w.name) == w.name]
    del model.graph.initializer[:]
    model.graph.initializer.extend(kept)
    for node in model.graph.node:
        node.input[:] = [same.get(n, n) for n in node.input]
    path.write_bytes(model.SerializeToString())


def _kokoro(folder: Path, starter: KokoroStarter, voice: Voice) -> dict:
    params = {k: v + voice.deltas.get(k, 0) for k, v in starter.phi.items()}
    net = kokoro_graphs.merged(starter.net, params)
    ids = torch.tensor([starter.ids([*_example()])])
    text = kokoro_graphs.Text(net, params).eval()
    tokens: Lengths = {"ids": {1: "P"}, "read": {1: "P"}, "sound": {2: "P"}, "frames": {1: "P"}}
    _write(folder / "text.onnx", text, {"ids": ids}, ["read", "sound", "frames"], tokens)
    with torch.no_grad():
        read, sound, frames = text(ids)
    index = torch.repeat_interleave(torch.arange(ids.shape[1]), frames[0].round().clamp(min=1).long())[None]
    at = torch.arange(40, dtype=torch.float32)
    inputs = {"read": read, "sound": sound, "index": index, "at": at, "pitch": torch.ones(1), "energy": torch.zeros(1)}
    lengths = {"read": {1: "P"}, "sound": {2: "P"}, "index": {1: "T"}, "at": {0: "L"}, "mel": {1: "L"}}
    _write(folder / "sound.onnx", kokoro_graphs.Sound(net, params, starter.quiet).eval(), inputs, ["mel"], lengths)
    return {
        "symbols": SYMBOLS, "phones": BRITISH if starter.british else AMERICAN, "rate": FEATURE_RATE / 2, "longest": 10_000,
        "multiple": 1, "lengthened": starter.british,
    }


def _example() -> list:
    from tts_meta.text.phonemes import phonemize

    return phonemize("Good morning, how are you?")


def _small(folder: Path, starter: Starter, voice: Voice) -> dict:
    model = small_graphs.merged(starter.model, {k: starter.phi[k] + d for k, d in voice.deltas.items()})
    ids, stress = (torch.tensor([row]) for row in starter.table.encode(_example()))
    phones = {"ids": {1: "P"}, "stress": {1: "P"}, "h": {2: "P"}, "level": {1: "P"}, "frames": {1: "P"}, "line": {1: "P"}}
    text = small_graphs.Text(model, voice.gains).eval()
    _write(folder / "text.onnx", text, {"ids": ids, "stress": stress}, ["h", "level", "frames", "line"], phones)
    with torch.no_grad():
        h, level, _, _ = text(ids, stress)
    index, ones = torch.zeros(1, 6, dtype=torch.long), torch.ones(1, 6)
    inputs = {"h": h, "level": level, "index": index, "since": ones, "length": 2 * ones, "contour": ones,
              "kept": torch.tensor([5]), "pitch": torch.ones(1), "energy": torch.zeros(1)}
    frames = {k: {1: "L"} for k in ("index", "since", "length", "contour")}
    lengths: Lengths = {"h": {2: "P"}, "level": {1: "P"}, **frames, "mel": {1: "K"}}
    _write(folder / "sound.onnx", small_graphs.Sound(model, starter.norm, voice.gains).eval(), inputs, ["mel"], lengths)
    return {
        "symbols": starter.table.index, "phones": {}, "rate": SAMPLE_RATE / HOP, "longest": LONGEST_PHONE,
        "multiple": model.config.reduction, "lengthened": True,
    }


def write_vocoder(path: Path, name: str = "hifigan") -> None:
    """A vocoder as a graph from log mels `mel` `[1, L, 80]`, and for the fast one standard normal `noise` `[1, N]`, to `samples`
    `[1, N]`."""
    inputs, lengths = {"mel": torch.zeros(1, 40, N_MELS)}, {"mel": {1: "L"}, "samples": {1: "N"}}
    if name == "fast":
        inputs["noise"], lengths["noise"] = torch.zeros(1, 40 * HOP), {1: "N"}
    _write(path, (FastVocoderGraph() if name == "fast" else Vocoder()).eval(), inputs, ["samples"], lengths)


def export_voice(starter: Network, voice: Voice, out: Path, int8: bool = False) -> dict[str, int]:
    """Write a voice's graphs and voice.json into the folder `out`; returns the bytes of each file.

    The vocoder is the one that is chosen (`TTS_META_VOCODER`).
    With `int8` the weights are 8-bit. Raises InputError when the folder cannot be written, or the network has no graphs.
    """
    starter = voice.network(starter)
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as e:
        raise InputError(f"{out} cannot be made ({e.strerror}); choose another folder.") from e
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if isinstance(starter, KokoroStarter):
            about = _kokoro(folder, starter, voice)
        elif isinstance(starter, Starter):
            about = _small(folder, starter, voice)
        else:
            raise InputError(f"The network {starter.kind!r} has no ONNX graphs; export a voice of kokoro or small.")
        write_vocoder(folder / "vocoder.onnx", chosen_vocoder())
        for graph in GRAPHS:
            made = folder / f"{graph}.onnx"
            if int8:
                whole = shutil.move(made, folder / f"{graph}-whole.onnx")
                eight_bits(Path(whole), made)
            replace_file(out / made.name, made.read_bytes())
    about = {
        "name": voice.name, "network": starter.kind, "espeak_voice": starter.espeak_voice, "sample_rate": SAMPLE_RATE, "hop": HOP,
        "opset": OPSET, "vocoder": chosen_vocoder(), "weights": "int8" if int8 else "float32",
        "consent": voice.header.get("consent", ""), **about,
    }
    replace_file(out / "voice.json", (json.dumps(about, ensure_ascii=False, indent=1) + "\n").encode())
    return {p.name: p.stat().st_size for p in sorted(out.iterdir()) if p.stem in (*GRAPHS, "voice")}

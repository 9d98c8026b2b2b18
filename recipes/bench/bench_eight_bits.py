"""HiFi-GAN in static 8 bits (onnxruntime, per channel, calibrated) against float32: seconds, and how far the samples part.

    python recipes/bench/bench_eight_bits.py

One thread. Activations are calibrated on the example speaker's clips, the samples compared on her reference recordings.
"""

from __future__ import annotations

import argparse
import re
import statistics
import tempfile
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import torch
from alternate import in_turns, show_ratio
from onnxruntime.quantization import CalibrationDataReader, CalibrationMethod, QuantFormat, QuantType, quantize_static

from tts_meta.audio.mel import HOP, SAMPLE_RATE, log_mel
from tts_meta.clips.whole_clips import check_clip
from tts_meta.export.voice_onnx import write_vocoder

EXAMPLES = Path(__file__).resolve().parents[2] / "app" / "examples" / "p225"
FRAMES = 200  # of each clip: the calibrator wants one length


STAGES = {"8 bits": (None, 1, 2, 3, 4), "8 bits in stages 2 and 3": (2, 3)}


def stage(node: str) -> int | None:
    """1 to 4 for a convolution of a residual block; None for the first and the last convolution."""
    found = re.search(r"resblocks\.(\d+)", node)
    return None if found is None else int(found[1]) // 3 + 1


class Mels(CalibrationDataReader):
    """Log mels `[1, T, 80]`, one at a time."""

    def __init__(self, mels: list[np.ndarray]) -> None:
        self.rest = iter(mels)

    def get_next(self) -> dict[str, np.ndarray] | None:
        mel = next(self.rest, None)
        return None if mel is None else {"mel": mel}


def mels_of(folder: str) -> list[np.ndarray]:
    mels = (log_mel(check_clip(p).samples) for p in sorted((EXAMPLES / folder).glob("*.flac")))
    return [mel[None, :FRAMES].astype(np.float32) for mel in mels if len(mel) >= FRAMES]


def session(path: Path) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def main() -> None:
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as scratch:
        paths = {name: Path(scratch) / f"{name}.onnx" for name in ("float32", *STAGES)}
        write_vocoder(paths["float32"])
        convolutions = [n.name for n in onnx.load(paths["float32"]).graph.node if n.op_type == "Conv"]
        for name, stages in STAGES.items():
            quantize_static(
                str(paths["float32"]), str(paths[name]), Mels(mels_of("clips")), quant_format=QuantFormat.QDQ, per_channel=True,
                # Seven bits of weight: AVX2 adds two products of eight in sixteen bits, and they run over.
                activation_type=QuantType.QUInt8, weight_type=QuantType.QInt8, reduce_range=True,
                calibrate_method=CalibrationMethod.Percentile, extra_options={"CalibPercentile": 99.999},
                op_types_to_quantize=["Conv"], nodes_to_exclude=[n for n in convolutions if stage(n) not in stages],
            )
        ways = {name: session(path) for name, path in paths.items()}
        heard = mels_of("reference")
        said = {name: [s.run(None, {"mel": m})[0].ravel() for m in heard] for name, s in ways.items()}
        times = in_turns({name: lambda s=s: s.run(None, {"mel": heard[0]}) for name, s in ways.items()})
    seconds = heard[0].shape[1] * HOP / SAMPLE_RATE
    for name, found in times.items():
        pairs = zip(said["float32"], said[name], strict=True)
        errors = [10 * np.log10((a**2).sum() / ((a - b) ** 2).sum().clip(1e-12)) for a, b in pairs]
        print(f"{name}: {statistics.median(found) / seconds:.2f} processor seconds a second; "
              f"of float32's time {show_ratio(found, times['float32'])}; samples {np.mean(errors):.1f} dB over their error")


if __name__ == "__main__":
    main()

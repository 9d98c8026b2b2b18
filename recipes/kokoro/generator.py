"""The generator of the original Kokoro (iSTFTNet, Kaneko et al. 2022): features -> samples at 24 kHz.

The product does not have it: it is nineteen twentieths of the cost of a sentence. The recipe speaks with it once, to have
mels that the head can learn from.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tts_meta.kokoro.dequantise import OnnxWeights
from tts_meta.nets.kokoro.layers import STYLE

RATE = 24000
SAMPLES = 300  # of one feature
HARMONICS = 9
N_FFT, HOP = 20, 5


class Snake(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.alpha = nn.Parameter(torch.ones(1, channels, 1))

    def forward(self, x: Tensor) -> Tensor:
        return x + torch.sin(self.alpha * x) ** 2 / self.alpha


class Norm(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.fc = nn.Linear(STYLE, 2 * channels)

    def forward(self, x: Tensor, style: Tensor) -> Tensor:
        scale, shift = self.fc(style).unsqueeze(-1).chunk(2, 1)
        return (1 + scale) * F.instance_norm(x) + shift


class ResBlock(nn.Module):
    def __init__(self, channels: int, kernel: int) -> None:
        super().__init__()
        def conv(d: int) -> nn.Conv1d:
            return nn.Conv1d(channels, channels, kernel, padding=d * (kernel - 1) // 2, dilation=d)

        self.convs1, self.convs2 = nn.ModuleList(map(conv, (1, 3, 5))), nn.ModuleList(conv(1) for _ in range(3))
        self.adain1, self.adain2 = (nn.ModuleList(Norm(channels) for _ in range(3)) for _ in range(2))
        self.snake1, self.snake2 = (nn.ModuleList(Snake(channels) for _ in range(3)) for _ in range(2))

    def forward(self, x: Tensor, s: Tensor) -> Tensor:
        for c1, c2, n1, n2, a1, a2 in zip(
            self.convs1, self.convs2, self.adain1, self.adain2, self.snake1, self.snake2, strict=True
        ):
            x = x + c2(a2(n2(c1(a1(n1(x, s))), s)))
        return x


class Generator(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.source = nn.Linear(HARMONICS, 1)
        self.ups = nn.ModuleList([nn.ConvTranspose1d(512, 256, 20, 10, 5), nn.ConvTranspose1d(256, 128, 12, 6, 3)])
        self.noise_convs = nn.ModuleList([nn.Conv1d(22, 256, 12, 6, 3), nn.Conv1d(22, 128, 1)])
        self.noise_res = nn.ModuleList([ResBlock(256, 7), ResBlock(128, 11)])
        self.resblocks = nn.ModuleList(ResBlock(c, k) for c in (256, 128) for k in (3, 7, 11))
        self.post = nn.Conv1d(128, N_FFT + 2, 7, padding=3)
        self.register_buffer("window", torch.hann_window(N_FFT), persistent=False)

    def excitation(self, f0: Tensor) -> Tensor:
        """F0 `[B, N]` (Hz) -> nine harmonics merged into one wave `[B, 300 N]`, noise where unvoiced."""
        multiples = f0.unsqueeze(1) * torch.arange(1, HARMONICS + 1, device=f0.device).view(1, -1, 1)
        turns = multiples / RATE % 1.0
        start = torch.rand(*turns.shape[:2], 1, device=f0.device)
        start[:, 0] = 0
        phase = torch.cumsum(turns.double(), -1) + start.double() / SAMPLES
        phase = F.interpolate(phase * SAMPLES, scale_factor=SAMPLES, mode="linear") * 2 * torch.pi
        sines = torch.sin(phase).to(f0.dtype) * 0.1
        voiced = (f0 > 10).to(f0.dtype).repeat_interleave(SAMPLES, -1).unsqueeze(1)
        noise = (voiced * 0.003 + (1 - voiced) * 0.1 / 3) * torch.randn_like(sines)
        return torch.tanh(self.source((sines * voiced + noise).transpose(1, 2))).squeeze(-1)

    def forward(self, x: Tensor, style: Tensor, f0: Tensor) -> Tensor:
        """features `[B, 512, N]` -> samples `[B, 300 N]`."""
        spectrum = torch.stft(self.excitation(f0), N_FFT, HOP, N_FFT, self.window, center=True, return_complex=True)
        harmonics = torch.cat([spectrum.abs(), spectrum.angle()], 1)
        for i in range(2):
            x = F.leaky_relu(x, 0.1)
            source = self.noise_res[i](self.noise_convs[i](harmonics), style)
            x = self.ups[i](x)
            if i == 1:
                x = F.pad(x, (1, 0), mode="reflect")
            x = x + source
            x = sum(self.resblocks[3 * i + j](x, style) for j in range(3)) / 3
        x = self.post(F.leaky_relu(x))
        half = N_FFT // 2 + 1
        spec = torch.exp(x[:, :half]) * torch.exp(1j * torch.sin(x[:, half:]))
        return torch.istft(spec, N_FFT, HOP, N_FFT, self.window)


def read_generator(w: OnnxWeights) -> dict[str, Tensor]:
    """Its weights out of the ONNX file."""
    g, kept = "/decoder/decoder/generator", "decoder.decoder.generator"
    found = {
        "source.weight": w.get("onnx::MatMul_6993").T, "source.bias": w.get(f"{kept}.m_source.l_linear.bias"),
        "ups.0.weight": w.get(f"{g}/Mul_output_0"), "ups.1.weight": w.get(f"{g}/Mul_1_output_0"),
        "post.weight": w.get(f"{g}/Mul_2_output_0"), "post.bias": w.get(f"{kept}.conv_post.bias"),
    }
    for i in range(2):
        found[f"ups.{i}.bias"] = w.get(f"{kept}.ups.{i}.bias")
        for kind in ("weight", "bias"):
            found[f"noise_convs.{i}.{kind}"] = w.get(f"{kept}.noise_convs.{i}.{kind}")
    for name in [*(f"noise_res.{i}" for i in range(2)), *(f"resblocks.{i}" for i in range(6))]:
        for j in range(3):
            for k in (1, 2):
                n = 2 + 3 * (2 * j + k - 1)
                found[f"{name}.convs{k}.{j}.weight"] = w.get(f"{g}/{name}/Mul_{n}_output_0")
                found[f"{name}.convs{k}.{j}.bias"] = w.get(f"{kept}.{name}.convs{k}.{j}.bias")
                found[f"{name}.snake{k}.{j}.alpha"] = w.get(f"{kept}.{name}.alpha{k}.{j}")
                found[f"{name}.adain{k}.{j}.fc.weight"] = w.get(f"{kept}.{name}.adain{k}.{j}.fc.weight").T
                found[f"{name}.adain{k}.{j}.fc.bias"] = w.get(f"{kept}.{name}.adain{k}.{j}.fc.bias")
    return {k: torch.from_numpy(v.copy()).float() for k, v in found.items()}

"""The multi-speaker acoustic model: phonemes -> durations, pitch, energy -> log-mel; one pass, no attention.

Text encoder (speaker independent, so a clone caches its output) -> variance predictors -> decoder of residual
convolution blocks; the aligner (`tts_meta.nets.aligner`) stands beside them. The speaker embedding is a parameter
`speaker` like any other; every decoder block and every predictor is conditioned on it by a feature-wise scale and shift
of its normalised input (Perez et al. 2018; the biases of those projections are AdaSpeech's conditional layer norm,
Chen et al. 2021).

The decoder runs at half the frame rate (`reduction` = 2, as Tacotron's r): two frames enter and leave a step together.
Everything is built from conv1d, linear, layer norm, SiLU and gather, which all have second derivatives and vmap rules.

Shapes: B utterances, P phonemes, L frames (a multiple of `reduction`), H channels, E speaker dimensions.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tts_meta.nets.aligner import Aligner
from tts_meta.nets.channels_last import Conv1d


@dataclass(frozen=True)
class AcousticConfig:
    """Sizes of the network; `symbols` counts the padding id."""

    symbols: int
    hidden: int = 256
    speaker: int = 64
    encoder_layers: int = 4
    encoder_kernel: int = 3  # +-4 phones: the corpora's few thousand sentences are soon known by heart
    decoder_layers: int = 8
    decoder_kernel: int = 5
    predictor_layers: int = 2
    predictor_hidden: int = 96  # small: these are modules that a voice file holds
    mels: int = 80
    reduction: int = 2
    dropout: float = 0.2  # of the encoder and the predictors, which see few phones
    decoder_dropout: float = 0.05

    def to_dict(self) -> dict:
        return asdict(self)


FRAME_FEATURES = 85
"""Of every frame: log F0, place in the phone (fraction), frames from its start and to its end, its length, and the
pattern that the harmonics of F0 draw on the 80 mel bands (`tts_meta.data.batch.frame_features`)."""


class Film(nn.Module):
    """Scale and shift from the speaker: (x, e) -> x * (1 + scale(e)) + shift(e)."""

    def __init__(self, speaker: int, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(2 * channels, speaker) * 0.3 / speaker**0.5)
        self.bias = nn.Parameter(torch.zeros(2 * channels))

    def forward(self, x: Tensor, e: Tensor) -> Tensor:
        """x `[B, C, L]`, e `[B, E]` or `[E]` -> `[B, C, L]`."""
        scale, shift = F.linear(e, self.weight, self.bias).unsqueeze(-1).chunk(2, dim=-2)
        return x * (1 + scale) + shift


class ChannelNorm(nn.Module):
    """Layer norm over the channels of `[B, C, L]`, with a learned scale and shift when `affine`."""

    def __init__(self, channels: int, affine: bool = True) -> None:
        super().__init__()
        self.channels = channels
        self.weight = nn.Parameter(torch.ones(channels)) if affine else None
        self.bias = nn.Parameter(torch.zeros(channels)) if affine else None

    def forward(self, x: Tensor) -> Tensor:
        return F.layer_norm(x.transpose(-1, -2), (self.channels,), self.weight, self.bias).transpose(-1, -2)


class ConvBlock(nn.Module):
    """x + conv1x1(SiLU(conv_k(film(norm(x)))))."""

    def __init__(self, channels: int, kernel: int, speaker: int, dropout: float) -> None:
        super().__init__()
        self.norm = ChannelNorm(channels, affine=speaker == 0)
        self.film = Film(speaker, channels) if speaker else None
        self.conv = Conv1d(channels, channels, kernel, padding=kernel // 2)
        self.out = Conv1d(channels, channels, 1)
        self.dropout = nn.Dropout(dropout) if dropout else nn.Identity()
        nn.init.normal_(self.out.weight, std=0.02)

    def forward(self, x: Tensor, mask: Tensor, e: Tensor | None = None) -> Tensor:
        """x `[B, C, L]`, mask `[B, 1, L]`, e `[B, E]` -> `[B, C, L]`."""
        y = self.norm(x)
        if self.film is not None:
            assert e is not None
            y = self.film(y, e)
        y = self.dropout(F.silu(self.conv(y * mask)))
        return (x + self.out(y)) * mask


class Predictor(nn.Module):
    """One number a phoneme from the encoder's output and the speaker."""

    def __init__(self, channels: int, hidden: int, layers: int, kernel: int, speaker: int, dropout: float) -> None:
        super().__init__()
        self.inp = Conv1d(channels, hidden, 1)
        self.blocks = nn.ModuleList(ConvBlock(hidden, kernel, speaker, dropout) for _ in range(layers))
        self.norm = ChannelNorm(hidden, affine=False)
        self.film = Film(speaker, hidden)
        self.head = Conv1d(hidden, 1, 1)

    def forward(self, h: Tensor, mask: Tensor, e: Tensor) -> Tensor:
        """h `[B, H, P]`, mask `[B, 1, P]` -> `[B, P]`."""
        x = self.inp(h) * mask
        for block in self.blocks:
            x = block(x, mask, e)
        return self.head(self.film(self.norm(x), e)).squeeze(-2)


class TextEncoder(nn.Module):
    """Symbols and stress `[B, P]` -> `[B, P, C]`, the same for every speaker."""

    def __init__(self, c: AcousticConfig) -> None:
        super().__init__()
        self.symbol = nn.Embedding(c.symbols, c.hidden)
        self.stress = nn.Embedding(3, c.hidden)
        nn.init.normal_(self.symbol.weight, std=0.5)
        nn.init.normal_(self.stress.weight, std=0.2)
        self.blocks = nn.ModuleList(ConvBlock(c.hidden, c.encoder_kernel, 0, c.dropout) for _ in range(c.encoder_layers))
        self.norm = ChannelNorm(c.hidden)

    def forward(self, phones: Tensor, stress: Tensor, mask: Tensor) -> Tensor:
        """phones, stress `[B, P]` ids, mask `[B, P]` -> `[B, H, P]`."""
        m = mask.unsqueeze(-2)
        x = (self.symbol(phones) + self.stress(stress)).transpose(-1, -2) * m
        for block in self.blocks:
            x = block(x, m)
        return self.norm(x) * m


class Decoder(nn.Module):
    """Frames of encoded phones, F0 and energy -> log-mel `[B, L, 80]`, at half the frame rate inside."""

    def __init__(self, c: AcousticConfig) -> None:
        super().__init__()
        self.c = c
        self.energy = Conv1d(1, c.hidden, 3, padding=1)
        self.features = Conv1d(FRAME_FEATURES, c.hidden, 3, padding=1)
        self.inp = Conv1d(c.hidden, c.hidden, c.reduction, stride=c.reduction)
        self.blocks = nn.ModuleList(
            ConvBlock(c.hidden, c.decoder_kernel, c.speaker, c.decoder_dropout) for _ in range(c.decoder_layers)
        )
        self.norm = ChannelNorm(c.hidden, affine=False)
        self.film = Film(c.speaker, c.hidden)
        self.out = Conv1d(c.hidden, c.mels * c.reduction, 1)

    def forward(
        self, h: Tensor, energy: Tensor, frame_phone: Tensor, features: Tensor, mask: Tensor, e: Tensor
    ) -> Tensor:
        """h `[B, H, P]`, energy `[B, P]`, frame_phone `[B, L]`, features `[B, L, F]`, mask `[B, L]` -> `[B, L, 80]`."""
        r = self.c.reduction
        phones = h + self.energy(energy.unsqueeze(-2))
        index = frame_phone.unsqueeze(-2).expand(*frame_phone.shape[:-1], h.shape[-2], frame_phone.shape[-1])
        x = torch.gather(phones, -1, index) + self.features(features.transpose(-1, -2))
        x = self.inp(x * mask.unsqueeze(-2))
        m = mask[..., ::r].unsqueeze(-2)
        for block in self.blocks:
            x = block(x, m, e)
        y = self.out(self.film(self.norm(x), e))  # [B, 80 r, L / r]
        y = y.unflatten(-2, (self.c.mels, r)).transpose(-1, -2).flatten(-2)
        return y.transpose(-1, -2)


class AcousticModel(nn.Module):
    """See the module docstring. All mels, pitches, energies in and out are normalised (zero mean, unit variance)."""

    def __init__(self, config: AcousticConfig) -> None:
        super().__init__()
        self.config = c = config
        self.speaker = nn.Parameter(torch.zeros(c.speaker))
        self.encoder = TextEncoder(c)
        self.aligner = Aligner(c.symbols)
        args = (c.hidden, c.predictor_hidden, c.predictor_layers, 3, c.speaker, c.dropout)
        self.duration = Predictor(*args)
        self.pitch = Predictor(*args)
        self.energy = Predictor(*args)
        self.decoder = Decoder(c)

    def encode(self, phones: Tensor, stress: Tensor, mask: Tensor) -> Tensor:
        """`[B, P]` ids -> `[B, H, P]`; does not depend on the speaker."""
        return self.encoder(phones, stress, mask)

    def predict(self, h: Tensor, mask: Tensor, speaker: Tensor | None = None) -> tuple[Tensor, Tensor, Tensor]:
        """Log duration (log frames), pitch and energy of every phoneme, each `[B, P]`; speaker `[B, E]` or `[E]`."""
        e = self.speaker if speaker is None else speaker
        m = mask.unsqueeze(-2)
        return self.duration(h, m, e), self.pitch(h, m, e), self.energy(h, m, e)

    def decode(self, h: Tensor, batch: dict[str, Tensor], speaker: Tensor | None = None) -> Tensor:
        """Mel `[B, L, 80]` from h `[B, H, P]` and the batch's energy, frame_phone, frame_features, frame_mask."""
        e = self.speaker if speaker is None else speaker
        return self.decoder(
            h, batch["energy"], batch["frame_phone"], batch["frame_features"], batch["frame_mask"], e
        )

    def forward(self, batch: dict[str, Tensor], speaker: Tensor | None = None) -> dict[str, Tensor]:
        """All outputs for a batch whose durations, pitch and energy are given (teacher forcing).

        Uses `batch["h"]` (cached encoder output) in place of the encoder when it is there.
        """
        h = batch["h"] if "h" in batch else self.encode(batch["phones"], batch["stress"], batch["phone_mask"])
        log_duration, pitch, energy = self.predict(h, batch["phone_mask"], speaker)
        return {
            "h": h, "mel": self.decode(h, batch, speaker),
            "log_duration": log_duration, "pitch": pitch, "energy": energy,
        }

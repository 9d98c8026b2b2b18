"""The four-block convolutional classifier of the few-shot papers (Vinyals et al. 2016; Finn et al. 2017)."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tts_meta.nets.layers import Norm, convolve, dense


class Conv4(nn.Module):
    """batch `x` `[B, C, H, W]` -> logits `[B, ways]`; modules conv1 ... conv4, norm1 ... norm4, head.

    `pool`: 3 x 3 convolutions and 2 x 2 max-pooling, features flattened (miniImageNet); otherwise stride 2 and the mean
    over positions (Omniglot). With `reference` `[R, C, H, W]` in the batch, all norms use the reference's statistics
    (inductive); without, those of the batch itself (transductive when it is a query set).
    """

    def __init__(
        self, ways: int = 5, filters: int = 64, channels: int = 1, size: int = 28, pool: bool = False
    ) -> None:
        super().__init__()
        self.pool, self.filters, side = pool, filters, size
        for i in range(1, 5):
            conv = nn.Conv2d(channels if i == 1 else filters, filters, 3, stride=1 if pool else 2, padding=1)
            nn.init.xavier_uniform_(conv.weight)
            nn.init.zeros_(conv.bias)  # type: ignore[arg-type]
            setattr(self, f"conv{i}", conv)
            setattr(self, f"norm{i}", Norm(filters))
            side = side // 2 if pool else (side + 1) // 2
        self.width = filters * side * side if pool else filters
        self.sides = [size // 2**i if pool else -(-size // 2 ** (i + 1)) for i in range(4)]
        self.head = nn.Linear(self.width, ways)

    def features(self, batch: dict[str, Tensor]) -> Tensor:
        """`[B, width]`."""
        x, rows = batch["x"], None
        if "reference" in batch:
            rows = batch["reference"].shape[0]
            x = torch.cat([batch["reference"], x])
        for i in range(1, 5):
            x = convolve(getattr(self, f"conv{i}"), f"conv{i}", x, batch)
            x = F.relu(getattr(self, f"norm{i}")(x, rows))
            x = F.max_pool2d(x, 2) if self.pool else x
        x = x.flatten(1) if self.pool else x.mean((2, 3))
        return x if rows is None else x[rows:]

    def forward(self, batch: dict[str, Tensor]) -> Tensor:
        return dense(self.head, "head", self.features(batch), batch)

    def noise(self, batch: dict[str, Tensor]) -> dict[str, tuple[int, ...]]:
        """Shapes of one task's activation noise for a batch `[T, B, C, H, W]`."""
        rows = batch["x"].shape[1]
        shapes = {f"eps/conv{i + 1}": (rows, self.filters, s, s) for i, s in enumerate(self.sides)}
        return shapes | {"eps/head": (rows, self.head.out_features)}

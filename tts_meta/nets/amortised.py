"""Networks that read a support set: VERSA's amortised heads and Bayesian TAML's set encoder."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tts_meta.nets.conv4 import Conv4
from tts_meta.nets.mlp import MLP


def class_means(h: Tensor, y: Tensor, ways: int) -> tuple[Tensor, Tensor]:
    """Means `[ways, d]` of `h` `[B, d]` and counts `[ways, 1]` by the labels `y` `[B]`."""
    one = F.one_hot(y, ways).to(h)
    count = one.sum(0).clamp(min=1)[:, None]
    return one.T @ h / count, count


def amortiser(inputs: int, outputs: int, width: int) -> nn.Sequential:
    """Two hidden layers with ELU (Gordon et al. 2019, appendix)."""
    return nn.Sequential(nn.Linear(inputs, width), nn.ELU(), nn.Linear(width, width), nn.ELU(), nn.Linear(width, outputs))


class AmortisedClassifier(nn.Module):
    """VERSA (Gordon et al. 2019, section 3): a class's head (weights and bias) is Gaussian, given by a network of its
    mean support feature. batch with `x`, `support/x`, `support/y`, `eps` `[L, ways, d + 1]` -> logits `[L, B, ways]`."""

    def __init__(
        self, ways: int, filters: int = 64, channels: int = 1, size: int = 28, pool: bool = False, d: int = 256
    ) -> None:
        super().__init__()
        self.ways, self.d = ways, d
        self.body = Conv4(ways, filters, channels, size, pool)
        del self.body.head
        self.project = nn.Linear(self.body.width, d)
        self.infer = amortiser(d, 2 * (d + 1), d)

    def forward(self, batch: dict[str, Tensor]) -> Tensor:
        support = {"x": batch["support/x"]}
        query = {k: v for k, v in batch.items() if k in ("x", "reference")}
        mean_feature, _ = class_means(self.project(self.body.features(support)), batch["support/y"], self.ways)
        mean, log_sd = self.infer(mean_feature).chunk(2, 1)
        head = mean + (log_sd - 3).exp() * batch["eps"]  # starts with a small sd
        h = self.project(self.body.features(query))
        return h @ head[..., :-1].transpose(1, 2) + head[..., None, :, -1]

    def noise_shape(self, samples: int) -> tuple[int, ...]:
        return (samples, self.ways, self.d + 1)


class AmortisedRegressor(nn.Module):
    """The same for one-dimensional regression: the linear head is Gaussian, given by the mean over the support of a
    network of (feature, target). batch with `eps` `[L, 1, d + 1]` -> `[L, B, 1]`."""

    def __init__(self, width: int = 40, depth: int = 2, d: int = 40) -> None:
        super().__init__()
        self.d = d
        self.body = MLP(width, depth)
        self.body.head = nn.Linear(width, d)
        self.read = nn.Sequential(nn.Linear(d + 2, 128), nn.ELU(), nn.Linear(128, 128))
        self.infer = amortiser(128, 2 * (d + 1), 128)

    def forward(self, batch: dict[str, Tensor]) -> Tensor:
        x, y = batch["support/x"], batch["support/y"]
        h = F.relu(self.body({"x": x}))
        pooled = self.read(torch.cat([h, x, y], 1)).mean(0, keepdim=True)
        mean, log_sd = self.infer(pooled).chunk(2, 1)
        head = mean + (log_sd - 3).exp() * batch["eps"]
        q = F.relu(self.body({"x": batch["x"]}))
        return q @ head[..., :-1].transpose(1, 2) + head[..., None, :, -1]

    def noise_shape(self, samples: int) -> tuple[int, ...]:
        return (samples, 1, self.d + 1)


class SetEncoder(nn.Module):
    """Bayesian TAML's inference network (Lee et al. 2020, section 3.3): statistics of each class's images, then of the
    classes. batch `x` `[B, C, H, W]`, `y` `[B]`, optionally `mask` `[B]` -> mean and log-sd `[2, ways + layers + Z]`.

    A class is described by the mean and variance of its images' features and by its number of images, the task by the
    mean and variance over classes; omega is read from both, gamma (`layers`) and z (`z_size`) from the task.
    """

    def __init__(self, ways: int, layers: int, z_size: int, channels: int = 1, size: int = 28, width: int = 64) -> None:
        super().__init__()
        self.ways, self.layers, self.z_size = ways, layers, z_size
        self.conv1 = nn.Conv2d(channels, 10, 3, stride=2, padding=1)
        self.conv2 = nn.Conv2d(10, 10, 3, stride=2, padding=1)
        side = ((size + 1) // 2 + 1) // 2
        self.image = nn.Linear(10 * side * side, width)
        self.group = nn.Linear(2 * width + 1, width)
        self.omega = nn.Linear(3 * width, 2)
        self.task = nn.Linear(2 * width, 2 * (layers + z_size))
        for layer in (self.omega, self.task):
            nn.init.normal_(layer.weight, std=1e-3)
            nn.init.zeros_(layer.bias)

    def forward(self, batch: dict[str, Tensor]) -> Tensor:
        x = F.relu(self.conv2(F.relu(self.conv1(batch["x"]))))
        h = F.relu(self.image(x.flatten(1)))
        one = F.one_hot(batch["y"], self.ways).to(h)
        if "mask" in batch:
            one = one * batch["mask"][:, None]
        count = one.sum(0).clamp(min=1)[:, None]
        mean = one.T @ h / count
        variance = (one.T @ h**2 / count - mean**2).clamp(min=0)
        s = F.relu(self.group(torch.cat([mean, variance, count.log()], 1)))
        v = torch.cat([s.mean(0), s.var(0, correction=0)])
        omega = self.omega(torch.cat([s, v.expand(self.ways, -1)], 1)).T  # [2, ways]
        rest = self.task(v).reshape(2, -1)
        # Small standard deviations at the start, so that training begins as MAML's.
        log_sd = torch.cat([omega[1], rest[1]]) - 4
        return torch.stack([torch.cat([omega[0], rest[0]]), log_sd])

"""The other side of recipes/bench/bench.py: MAML by `higher`, iMAML and Reptile a task after the other."""

from __future__ import annotations

import sys
from collections.abc import Callable

import torch
from bench_ours import LAM, RATE, images
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn import functional as F


class Plain(nn.Module):
    """The same classifier with torch's own layers, for the other side."""

    def __init__(self) -> None:
        super().__init__()
        blocks = [
            nn.Sequential(
                nn.Conv2d(1 if i == 0 else 64, 64, 3, stride=2, padding=1),
                nn.BatchNorm2d(64, track_running_stats=False), nn.ReLU(),
            ) for i in range(4)
        ]
        self.body, self.head = nn.Sequential(*blocks), nn.Linear(64, 5)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.body(x).mean((2, 3)))


def higher_maml(tasks: int, shots: int, queries: int) -> Callable[[], None]:
    try:
        import higher
    except ImportError:
        sys.exit("The comparison needs the package higher: pip install -e '.[bench]'.")
    sx, sy, qx, qy = images(tasks, shots, queries)
    net = Plain()
    inner = torch.optim.SGD(net.parameters(), lr=RATE)
    outer = torch.optim.Adam(net.parameters(), lr=1e-3)

    def step() -> None:
        outer.zero_grad()
        for i in range(tasks):
            with higher.innerloop_ctx(net, inner, copy_initial_weights=False) as (fast, steps):
                for _ in range(5):
                    steps.step(F.cross_entropy(fast(sx[i]), sy[i]))
                (F.cross_entropy(fast(qx[i]), qy[i]) / tasks).backward()
        outer.step()

    return step


def sequential_imaml(tasks: int, shots: int, queries: int) -> Callable[[], None]:
    """16 proximal GD steps, 5 CG steps on I + H / lambda, one task after the other."""
    sx, sy, qx, qy = images(tasks, shots, queries)
    net = Plain()
    outer = torch.optim.Adam(net.parameters(), lr=1e-3)
    names = [n for n, _ in net.named_parameters()]

    def step() -> None:
        phi = [p.detach() for p in net.parameters()]
        total = [torch.zeros_like(p) for p in phi]
        for i in range(tasks):
            def loss(theta, x, y):
                return F.cross_entropy(functional_call(net, dict(zip(names, theta, strict=True)), (x,)), y)

            theta = [p.clone() for p in phi]
            for _ in range(16):
                theta = [t.requires_grad_() for t in theta]
                g = torch.autograd.grad(loss(theta, sx[i], sy[i]), theta)
                theta = [(p + (t.detach() - RATE * d - p) / (1 + RATE * LAM)) for t, d, p in zip(theta, g, phi, strict=True)]
            theta = [t.requires_grad_() for t in theta]
            b = torch.autograd.grad(loss(theta, qx[i], qy[i]), theta)
            x = [torch.zeros_like(v) for v in b]
            r, p = list(b), list(b)
            rr = sum((v * v).sum() for v in r)
            for _ in range(5):
                g = torch.autograd.grad(loss(theta, sx[i], sy[i]), theta, create_graph=True)
                h = torch.autograd.grad(sum((a * v).sum() for a, v in zip(g, p, strict=True)), theta)
                ap = [v + w / LAM for v, w in zip(p, h, strict=True)]
                alpha = rr / sum((v * w).sum() for v, w in zip(p, ap, strict=True))
                x = [v + alpha * w for v, w in zip(x, p, strict=True)]
                r = [v - alpha * w for v, w in zip(r, ap, strict=True)]
                new = sum((v * v).sum() for v in r)
                p = [v + new / rr * w for v, w in zip(r, p, strict=True)]
                rr = new
            total = [a + v / tasks for a, v in zip(total, x, strict=True)]
        for q, t in zip(net.parameters(), total, strict=True):
            q.grad = t
        outer.step()

    return step


def sequential_reptile(tasks: int, shots: int, queries: int) -> Callable[[], None]:
    sx, sy, _, _ = images(tasks, shots, queries)
    net = Plain()

    def step() -> None:
        phi = {k: v.detach().clone() for k, v in net.state_dict().items()}
        total = {k: torch.zeros_like(v) for k, v in phi.items()}
        for i in range(tasks):
            net.load_state_dict(phi)
            inner = torch.optim.Adam(net.parameters(), lr=1e-3, betas=(0.0, 0.999))
            for _ in range(8):
                inner.zero_grad()
                F.cross_entropy(net(sx[i]), sy[i]).backward()
                inner.step()
            for k, v in net.state_dict().items():
                total[k] += (v - phi[k]) / tasks
        net.load_state_dict({k: phi[k] + 0.1 * total[k] for k in phi})

    return step

"""One Hessian-vector product through every few-shot network, batched over tasks, against differences of gradients."""

from __future__ import annotations

import pytest
import torch

from tts_meta.meta.loss import ModuleLoss, gradient, hvp
from tts_meta.meta.tree import expand
from tts_meta.nets.amortised import AmortisedClassifier, AmortisedRegressor, SetEncoder
from tts_meta.nets.conv4 import Conv4
from tts_meta.nets.mlp import MLP, GaussianMean, PreciseMLP
from tts_meta.training.fewshot.images import classification_criterion
from tts_meta.training.fewshot.regression import regression_criterion


def points(g, tasks, rows):
    x = torch.randn(tasks, rows, 1, generator=g, dtype=torch.float64)
    return {"x": x, "y": x.sin()}


def pictures(g, tasks, rows, side, channels=1):
    x = torch.rand(tasks, rows, channels, side, side, generator=g, dtype=torch.float64)
    return {"x": x, "y": torch.arange(rows).expand(tasks, -1) % 3}


def cases():
    g = torch.Generator().manual_seed(0)
    few = points(g, 2, 5)
    joined = {**points(g, 2, 4), **{f"support/{k}": v for k, v in few.items()}}
    images = pictures(g, 2, 6, 16)
    pair = {**pictures(g, 2, 3, 16), **{f"support/{k}": v for k, v in images.items()}}
    regress, classify = regression_criterion("sum", 0.5), classification_criterion("sum")
    return {
        "mlp": (MLP(6, 2), regress, few),
        "precise": (PreciseMLP(6, 2), regress, few),
        "gaussian_mean": (
            GaussianMean("spiral", [1.0, 2.0, -1.0, 0.5]), lambda out, b: ((out - b["x"]) ** 2).sum(),
            {"x": torch.randn(2, 3, 4, generator=g, dtype=torch.float64)},
        ),
        "conv4_stride": (Conv4(3, 4, 1, 16), classify, images),
        "conv4_pool": (Conv4(3, 4, 1, 16, pool=True), classify, images),
        "conv4_reference": (Conv4(3, 4, 1, 16), classify, {**images, "reference": images["x"][:, :4] + 0.1}),
        "amortised_classifier": (
            AmortisedClassifier(3, 4, 1, 16, d=8), classify,
            {**pair, "eps": torch.randn(2, 2, 3, 9, generator=g, dtype=torch.float64)},
        ),
        "amortised_regressor": (
            AmortisedRegressor(6, 2, 5), regress, {**joined, "eps": torch.randn(2, 2, 1, 6, generator=g, dtype=torch.float64)},
        ),
        "set_encoder": (SetEncoder(3, 2, 4, 1, 16, 8), lambda out, b: (out**2).sum(), images),
    }


@pytest.mark.parametrize("name", list(cases()))
def test_hessian_vector_product(name):
    torch.manual_seed(0)
    module, criterion, batch = cases()[name]
    loss = ModuleLoss(module.double(), criterion)
    g = torch.Generator().manual_seed(1)
    params = {k: v + 0.1 * torch.randn(v.shape, generator=g, dtype=torch.float64)
              for k, v in expand({k: p.detach() for k, p in module.named_parameters()}, 2).items()}
    v = {k: torch.randn(p.shape, generator=g, dtype=torch.float64) for k, p in params.items()}
    found = hvp(loss, params, batch, v)
    h = 1e-6
    high, low = (gradient(loss, {k: params[k] + s * h * v[k] for k in params}, batch)[1] for s in (1, -1))
    largest = max(float(x.abs().max()) for x in found.values())
    assert largest > 1e-3, "the Hessian is not zero"
    for k in params:
        assert ((high[k] - low[k]) / (2 * h) - found[k]).abs().max() < 2e-4 * (1 + largest), k

"""The acoustic network: second derivatives, vmap, cached encoder, padding, every phone spoken."""

from __future__ import annotations

import pytest
import torch

from tts_meta.data.batch import frame_features, frame_index, line_through, with_durations
from tts_meta.meta.loss import ModuleLoss, gradient, hvp
from tts_meta.nets.acoustic import AcousticConfig, AcousticModel
from tts_meta.nets.likelihood import Scales, utterance_loss


def batch(seed: int, b: int = 2, p: int = 6, frames: int = 24) -> dict:
    g = torch.Generator().manual_seed(seed)
    data = {
        "phones": torch.randint(1, 10, (b, p), generator=g), "stress": torch.randint(0, 3, (b, p), generator=g),
        "phone_mask": torch.ones(b, p), "mel": torch.randn(b, frames, 80, generator=g),
        "contour": torch.randn(b, frames, generator=g), "f0": 150 + 50 * torch.rand(b, frames, generator=g),
        "frame_level": torch.randn(b, frames, generator=g), "frame_mask": torch.ones(b, frames),
    }
    return {**with_durations(data, torch.full((b, p), frames / p)), "weight": torch.tensor(1.0)}


def tiny() -> AcousticModel:
    torch.manual_seed(0)
    return AcousticModel(AcousticConfig(
        10, hidden=16, speaker=4, encoder_layers=1, decoder_layers=2, predictor_layers=1, predictor_hidden=8
    )).eval()


def free(model: AcousticModel) -> dict:
    return {k: v.detach() for k, v in model.named_parameters() if not k.startswith("aligner")}


def test_batched_tasks_equal_one_by_one():
    model = tiny()
    loss = ModuleLoss(model, utterance_loss(Scales()))
    batches = [batch(s) for s in range(3)]
    thetas = [{k: v + 0.01 * (i + 1) for k, v in free(model).items()} for i in range(3)]
    stacked = {k: torch.stack([b[k] for b in batches]) for k in batches[0]}
    theta = {k: torch.stack([t[k] for t in thetas]) for k in thetas[0]}
    losses, grads = gradient(loss, theta, stacked)
    for i in range(3):
        one, g = gradient(
            loss, {k: v[None] for k, v in thetas[i].items()}, {k: v[None] for k, v in batches[i].items()}
        )
        assert torch.allclose(one[0], losses[i], rtol=1e-5)
        for k in g:
            assert torch.allclose(g[k][0], grads[k][i], rtol=1e-3, atol=1e-3 * float(grads[k].abs().max()) + 1e-6), k


def test_hessian_vector_product_through_the_whole_net():
    """H v against central differences of the gradient, float64, for every free parameter."""
    model = tiny().double()
    loss = ModuleLoss(model, utterance_loss(Scales()))
    data = {k: (v.double() if v.is_floating_point() else v)[None] for k, v in batch(1).items()}
    theta = {k: v[None] for k, v in free(model).items()}
    g = torch.Generator().manual_seed(2)
    v = {k: torch.randn(t.shape, generator=g, dtype=torch.float64) for k, t in theta.items()}
    found = hvp(loss, theta, data, v)
    step = 1e-7
    _, up = gradient(loss, {k: t + step * v[k] for k, t in theta.items()}, data)
    _, down = gradient(loss, {k: t - step * v[k] for k, t in theta.items()}, data)
    for k in theta:
        numeric = (up[k] - down[k]) / (2 * step)
        assert (found[k] - numeric).abs().max() <= 1e-4 * numeric.abs().max() + 1e-4, k
    assert sum(float(h.abs().sum()) > 0 for h in found.values()) > 0.9 * len(found)


def test_cached_encoder_gives_the_same_output():
    model, data = tiny(), batch(3)
    h = model.encode(data["phones"], data["stress"], data["phone_mask"])
    whole, cached = model(data), model({**data, "h": h})
    assert all(torch.equal(whole[k], cached[k]) for k in ("mel", "log_duration", "pitch", "energy"))


def test_the_speaker_reaches_every_output():
    model, data = tiny(), batch(4)
    a, b = model(data, torch.zeros(4)), model(data, torch.ones(4))
    for k in ("mel", "log_duration", "pitch", "energy"):
        assert (a[k] - b[k]).abs().max() > 1e-3, k


def test_every_phone_has_its_frames():
    durations = torch.tensor([[1.0, 3.0, 1.0, 5.0]])
    index = frame_index(durations, 10)
    assert torch.bincount(index[0], minlength=4).tolist() == [1, 3, 1, 5]
    f0 = line_through(torch.tensor([[100.0, 200.0, 200.0, 100.0]]), durations, 10)
    assert f0[0, 0] == 100 and f0.max() <= 200 and f0[0, -1] == 100
    assert torch.isfinite(frame_features(f0, durations)).all()


def test_the_smooth_likelihood_is_a_density_and_has_the_curvature_laplace_lacks():
    from tts_meta.nets.likelihood import _energy

    at = torch.linspace(-40, 40, 400_001, dtype=torch.float64)
    for smooth in (0.0, 0.3, 1.0):
        each = torch.stack([_energy(x, 0.35, torch.ones(()), smooth) for x in at[::400]])
        assert torch.trapezoid((-each).exp(), at[::400]) == pytest.approx(1, abs=2e-2)
    error = torch.tensor([0.2, -0.5], requires_grad=True)
    for smooth, sign in ((0.0, 0), (1.0, 1)):
        (g,) = torch.autograd.grad(_energy(error, 0.35, torch.ones(2), smooth), error, create_graph=True)
        h = torch.autograd.grad(g.sum(), error)[0] if g.requires_grad else torch.zeros(2)
        assert (h.sign() == sign).all()

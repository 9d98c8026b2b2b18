"""The layout changes where numbers lie, never which they are."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.func import functional_call, grad, vmap

from tts_meta.nets.channels_last import Conv1d, ConvTranspose1d, channels_last, lay_out


def rows_are_channels(x: torch.Tensor) -> bool:
    return x.stride(-2) == 1 and x.stride(-1) == x.shape[-2]


HOW = [{"padding": 2}, {"stride": 2}, {"dilation": 3, "padding": 6}, {"groups": 2, "padding": 2, "bias": False}]


@pytest.mark.parametrize("how", HOW)
def test_convolution_is_torchs(how):
    torch.manual_seed(0)
    theirs, ours = nn.Conv1d(8, 6, 5, **how).double(), Conv1d(8, 6, 5, **how).double()
    ours.load_state_dict(theirs.state_dict())
    x = torch.randn(3, 8, 20, dtype=torch.float64, requires_grad=True)
    torch.testing.assert_close(ours(x), theirs(x))
    for a, b in zip(*(torch.autograd.grad(m(x).square().sum(), [x, *m.parameters()]) for m in (ours, theirs)), strict=True):
        torch.testing.assert_close(a, b)


def test_tasks_with_weights_of_their_own():
    torch.manual_seed(0)
    theirs, ours = nn.Conv1d(4, 6, 3).double(), Conv1d(4, 6, 3).double()
    w, b = torch.randn(5, 6, 4, 3, dtype=torch.float64), torch.randn(5, 6, dtype=torch.float64)
    x = torch.randn(5, 2, 4, 9, dtype=torch.float64)

    def gradient(layer):
        return vmap(grad(lambda w, b, x: functional_call(layer, {"weight": w, "bias": b}, (x,)).square().sum()))(w, b, x)

    torch.testing.assert_close(gradient(ours), gradient(theirs))


def test_a_network_of_somebody_else():
    torch.manual_seed(0)
    up = nn.ConvTranspose1d(16, 4, 8, stride=4, padding=2, output_padding=1)
    network = nn.Sequential(nn.Conv1d(8, 16, 7, padding=3), nn.LeakyReLU(), up, nn.Tanh()).double()
    x = torch.randn(1, 8, 11, dtype=torch.float64)
    before, names = network(x), list(network.state_dict())
    ours = channels_last(network)
    assert ours is network and list(network.state_dict()) == names
    torch.testing.assert_close(network(x), before)
    assert type(network[0]) is Conv1d and type(network[2]) is ConvTranspose1d
    # Laid out once: weights are not copied at each call, and what a layer returns is what the next one wants.
    assert all(lay_out(m.weight).data_ptr() == m.weight.data_ptr() for m in (network[0], network[2]))
    assert rows_are_channels(network[0](x)) and rows_are_channels(network[:3](x))


def test_the_vocoder_and_the_acoustic_model_have_it(starter):
    from tts_meta.audio.vocoder import HiFiGan

    for network in (HiFiGan().generator, starter.model):
        found = [m for m in network.modules() if isinstance(m, nn.Conv1d | nn.ConvTranspose1d)]
        assert len(found) > 20 and all(isinstance(m, Conv1d | ConvTranspose1d) for m in found)

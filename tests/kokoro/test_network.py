"""The network's parts: padding does not leak, deltas act where they say, second derivatives exist."""

from __future__ import annotations

import copy

import pytest
import torch

from tts_meta.audio.mel import mel_bands
from tts_meta.meta.loss import gradient, hvp
from tts_meta.nets.kokoro.acoustic import AcousticBlocks
from tts_meta.nets.kokoro.head import MelHead
from tts_meta.nets.kokoro.layers import AdaIN, AdaINBlock, LowRankConv, Upsample, name_layers
from tts_meta.nets.kokoro.likelihood import KokoroScales, mel_terms, spread_difference
from tts_meta.nets.kokoro.network import QUIET, Kokoro, KokoroConfig, audible, hard_voicing, token_index
from tts_meta.nets.kokoro.prosody import Prosody
from tts_meta.nets.kokoro.speaker_loss import SpeakerLoss, predicted, speaker_parameters


@pytest.fixture(scope="module")
def net():
    torch.manual_seed(0)
    return Kokoro(KokoroConfig(rank=2, prosody_rank=2, head_channels=32, head_layers=1), mel_bands()).eval()


def clip(net, tokens, seed):
    g = torch.Generator().manual_seed(seed)
    ids = torch.randint(1, 178, (1, tokens), generator=g)
    counts = torch.randint(1, 5, (tokens,), generator=g)
    frames = int(counts.sum())
    read = net.read(ids, torch.ones(1, tokens))
    length = net.head.frames(2 * frames)
    inner = torch.ones(tokens)
    inner[0] = inner[-1] = 0
    return {
        "text": read.prosody[0].detach(), "sound": read.sound[0].detach(), "counts": counts.float(), "index": token_index(counts),
        "f0": torch.rand(2 * frames, generator=g) * 200, "energy": torch.randn(2 * frames, generator=g),
        "mel": torch.randn(length, 80, generator=g), "mask": torch.ones(frames), "frame_mask": torch.ones(length),
        "token_mask": torch.ones(tokens), "inner_mask": inner,
    }


def together(clips):
    batch = {}
    for key in clips[0]:
        rows = [c[key] for c in clips]
        axis = -1 if key == "sound" else 0
        longest = max(r.shape[axis] for r in rows)
        padded = []
        for r in rows:
            shape = list(r.shape)
            shape[axis] = longest - r.shape[axis]
            padded.append(torch.cat([r, torch.zeros(shape, dtype=r.dtype)], axis))
        batch[key] = torch.stack(padded)
    return batch


def test_unequal_clips_in_a_batch_are_what_they_are_alone(net):
    loss = SpeakerLoss(net, KokoroScales())
    clips = [clip(net, 30, 1), clip(net, 18, 2)]
    params = {k: v[None] for k, v in speaker_parameters(net, torch.randn(128) * 0.1, torch.randn(128) * 0.1).items()}
    both = loss({k: v.expand(2, *v.shape[1:]) for k, v in params.items()},
                {k: v.unsqueeze(1) for k, v in together(clips).items()})
    alone = torch.cat([loss(params, {k: v[None, None] for k, v in c.items()}) for c in clips])
    assert torch.allclose(both, alone, rtol=2e-4), (both, alone)


def test_speakers_in_one_batch_have_their_own_gradients(net):
    exact = copy.deepcopy(net).double()  # the loss has corners, over which rounding would fall to either side
    loss = SpeakerLoss(exact, KokoroScales())
    clips = [clip(net, 14, 3), clip(net, 14, 3)]
    start = speaker_parameters(exact, torch.randn(128).double() * 0.1, torch.randn(128).double() * 0.1)
    params = {k: torch.stack([v, v + 0.02 * torch.randn_like(v)]) for k, v in start.items()}
    batch = {k: (v.double() if v.is_floating_point() else v).unsqueeze(1) for k, v in together(clips).items()}
    exact.head.pattern.bands = exact.head.pattern.bands.double()
    _, g = gradient(loss, params, batch)
    for t in range(2):
        _, alone = gradient(loss, {k: v[t : t + 1] for k, v in params.items()}, {k: v[t : t + 1] for k, v in batch.items()})
        for k in g:
            assert torch.allclose(g[k][t], alone[k][0], atol=1e-6 * float(g[k].abs().max()) + 1e-9), k
    moved = {k for k, v in g.items() if float(v.abs().max()) > 0}
    assert moved == set(start), sorted(set(start) - moved)  # every parameter that may move has a say


def test_the_expected_curvature_is_the_fisher_information_of_the_mel(net):
    exact = copy.deepcopy(net).double()
    exact.head.pattern.bands = exact.head.pattern.bands.double()
    loss = SpeakerLoss(exact, KokoroScales(mel=0.4))
    fixed = {k: v[None] for k, v in speaker_parameters(exact, torch.randn(128).double(), torch.randn(128).double()).items()}
    clips = together([clip(net, 14, 3), clip(net, 9, 4)])
    batch = {k: (v.double() if v.is_floating_point() else v)[None] for k, v in clips.items()}
    batch["weight"] = torch.tensor([3.0]).double()
    name = "head.blocks.0.up.factor"
    at, along = ({name: torch.randn_like(fixed[name])} for _ in range(2))
    value, slope = gradient(loss.expected_curvature, at, batch, fixed)
    assert value.item() == 0 and slope[name].abs().max() == 0
    product = hvp(loss.expected_curvature, at, batch, along, fixed)[name]

    def mels(step: float) -> torch.Tensor:
        moved = fixed | {name: at[name] + step * along[name]}
        rows = {k: v.expand(2, *v.shape[1:]) for k, v in moved.items()}
        flat = {k: v[0] for k, v in batch.items() if k != "weight"}
        return predicted(exact, rows, flat) * flat["frame_mask"].unsqueeze(-1)

    slope = (mels(1e-5) - mels(-1e-5)) / 2e-5
    assert torch.allclose((product * along[name]).sum(), 3.0 * slope.square().sum() / 0.4**2, rtol=1e-6)


def test_a_low_rank_delta_is_an_update_of_the_weight():
    torch.manual_seed(1)
    layer = LowRankConv(6, 5, 3, 2)
    name_layers(layer)
    x, factor = torch.randn(1, 6, 20), torch.randn(1, 5, 2)
    moved = layer(x, {".factor": factor})
    with torch.no_grad():
        layer.conv.weight += (factor[0] @ layer.down.flatten(1)).view_as(layer.conv.weight)
    assert torch.allclose(moved, layer(x), atol=1e-5)


def test_instance_norm_sees_no_padding():
    torch.manual_seed(2)
    norm = AdaIN(4)
    style, mask = torch.randn(1, 128), torch.cat([torch.ones(1, 1, 9), torch.zeros(1, 1, 6)], -1)
    x = torch.randn(1, 4, 15)
    other = torch.where(mask > 0, x, torch.full_like(x, 99.0))
    assert torch.allclose(norm(x, style, mask)[..., :9], norm(other, style, mask)[..., :9], atol=1e-5)
    assert torch.allclose(norm(x, style, mask)[..., :9], norm(x[..., :9], style, mask[..., :9]), atol=1e-5)


def test_upsampling_is_torchs_transposed_convolution():
    torch.manual_seed(3)
    up = Upsample(5)
    with torch.no_grad():
        up.weight.normal_()
        up.bias.normal_()
    x = torch.randn(2, 5, 11)
    theirs = torch.nn.functional.conv_transpose1d(x, up.weight, up.bias, stride=2, padding=1, output_padding=1, groups=5)
    assert torch.allclose(up(x), theirs, atol=1e-5)


def check_second_derivative(loss, params):
    """A Hessian-vector product against central differences of the gradient (float64)."""
    rng = torch.Generator().manual_seed(0)
    vector = {k: torch.randn(v.shape, generator=rng, dtype=v.dtype) for k, v in params.items()}
    product = hvp(loss, params, {"x": torch.zeros(1, 1)}, vector)
    step = 1e-5
    nothing = {"x": torch.zeros(1, 1)}
    ends = [gradient(loss, {k: v + s * step * vector[k] for k, v in params.items()}, nothing)[1] for s in (1, -1)]
    for k in params:
        numeric = (ends[0][k] - ends[1][k]) / (2 * step)
        assert torch.allclose(product[k], numeric, rtol=1e-4, atol=1e-6 * float(numeric.abs().max()) + 1e-8), k


def test_second_derivatives_of_blocks_and_prosody():
    torch.manual_seed(4)
    block = AdaINBlock(6, 8, 2, up=True).double()
    name_layers(block)
    x, mask = torch.randn(1, 6, 7).double(), torch.ones(1, 1, 7).double()
    params = {"style": torch.randn(1, 128).double() * 0.1, "conv1.factor": torch.randn(1, 8, 2).double() * 0.1,
              "norm2.affine.shift": torch.randn(1, 16).double() * 0.1}
    check_second_derivative(lambda p, b: (block(x, p["style"], mask, p) ** 3).sum().view(1), params)
    prosody = Prosody(2, channels=16, layers=1).double()
    name_layers(prosody)
    text, tokens = torch.randn(1, 5, 16).double(), torch.ones(1, 5).double()

    def durations(p, b):
        read = prosody.read(text, p["style"], tokens, torch.tensor([5]), p)
        return prosody.durations(read, torch.tensor([5]), p).pow(2).sum().view(1)

    check_second_derivative(durations, {"style": torch.randn(1, 128).double() * 0.1,
                                        "norms.0.affine.shift": torch.randn(1, 32).double() * 0.1})


def test_head_frames_fit_the_vocoders_grid():
    head = MelHead(0, mel_bands(), 22050, 256, 16, 1, inputs=4)
    for seconds in (0.5, 1.0, 7.3):
        assert abs(head.frames(round(seconds * 80)) - seconds * 22050 / 256) <= 0.51
    mel = head(torch.randn(1, 4, 80), torch.zeros(1, 128), torch.full((1, 80), 120.0), 86, torch.ones(1, 1, 86))
    assert mel.shape == (1, 86, 80)


def test_the_harmonic_pattern_peaks_at_harmonics():
    head = MelHead(0, mel_bands(), 22050, 256, 16, 1, inputs=4)
    pattern = head.pattern(torch.full((1, 80), 400.0), 40)
    bands = mel_bands()
    centres = (bands * torch.linspace(0, 11025, bands.shape[1])).sum(1) / bands.sum(1)
    at, between = int((centres - 400).abs().argmin()), int((centres - 600).abs().argmin())
    assert pattern[0, at, 20] > pattern[0, between, 20] + 1
    assert (head.pattern(torch.zeros(1, 80), 40) == 0).all()


def test_soft_edges_of_voicing_are_no_pitch():
    f0 = torch.tensor([0.0, 5.0, 60.0, 150.0, 200.0, 205.0, 198.0, 90.0, 20.0, -4.0, 0.0])
    assert (hard_voicing(f0) > 0).tolist() == [False, False, False, True, True, True, True, False, False, False, False]
    assert torch.equal(hard_voicing(f0)[3:7], f0[3:7])


def test_no_pitch_is_heard_far_under_the_loud_frames():
    """The loud ones are the loudest tenth of the voiced: what is loud and has no pitch, a hiss, is none of them."""
    f0 = torch.full((2, 40), 200.0)
    energy = torch.linspace(0, -3.9, 40).repeat(2, 1)
    f0[:, :5], energy[:, :5] = 0.0, 50.0  # a hiss
    energy[1] -= 20.0  # a quiet sentence is measured by its own loud frames
    found = audible(f0, energy, 2.0)
    # 35 voiced frames from -0.5 down: the fourth, at -0.8, is the quietest of the loudest tenth.
    expected = [0.0] * 5 + [200.0] * 23 + [0.0] * 12
    assert found.tolist() == [expected, expected]
    assert torch.equal(audible(f0, energy, float("inf")), f0)
    assert not audible(torch.zeros(1, 8), torch.randn(1, 8)).any()


def test_a_drawn_pitch_that_is_kept_is_not_changed():
    f0 = torch.rand(1, 60, generator=torch.Generator().manual_seed(0)) * 300
    energy = torch.randn(1, 60, generator=torch.Generator().manual_seed(1)) * 3
    found = audible(f0, energy, QUIET)
    assert 0 < int((found > 0).sum()) < 60 and torch.equal(found[found > 0], f0[found > 0])


def test_the_spread_term_knows_smooth_from_sharp():
    torch.manual_seed(5)
    recorded = torch.randn(1, 200, 80)
    mask = torch.ones(1, 200)
    smooth = torch.nn.functional.avg_pool1d(recorded.transpose(1, 2), 5, 1, 2).transpose(1, 2)
    assert float(spread_difference(recorded, recorded, mask)) == 0
    assert float(spread_difference(smooth, recorded, mask)) > 1
    absolute, _ = mel_terms(recorded + 0.5, recorded, mask)
    assert torch.allclose(absolute, torch.tensor([0.5]))


def test_blocks_double_the_frames():
    torch.manual_seed(6)
    blocks = AcousticBlocks(0, channels=16, text=8, again=4)
    out = blocks(torch.randn(2, 8, 5), torch.rand(2, 10), torch.rand(2, 10), torch.randn(2, 128), torch.ones(2, 1, 5))
    assert out.shape == (2, 8, 10)

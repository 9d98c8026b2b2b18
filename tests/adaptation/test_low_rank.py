"""Low-rank updates against their formula."""

from __future__ import annotations

import torch

from tts_meta.adaptation.low_rank import A, B, LowRank


def test_weights_are_phi_and_the_product_of_the_factors():
    """W = phi + B A of Hu et al. 2021, section 4.1; the sign is the file's too."""
    torch.manual_seed(0)
    phi = {"linear": torch.randn(6, 8), "conv": torch.randn(5, 4, 3), "bias": torch.randn(6), "small": torch.randn(2, 3)}
    low = LowRank(phi, 2)
    assert low.start.keys() == {"linear" + A, "linear" + B, "conv" + A, "conv" + B, "bias", "small"}
    assert low.start["conv" + A].shape == (2, 12) and low.start["conv" + B].shape == (5, 2)
    free = {k: torch.randn(3, *v.shape) for k, v in low.start.items()}  # three people
    found = low.weights(free)
    product = torch.einsum("tor,tri->toi", free["linear" + B], free["linear" + A])
    assert torch.allclose(found["linear"], phi["linear"] + product)
    product = torch.einsum("tor,tri->toi", free["conv" + B], free["conv" + A]).reshape(3, 5, 4, 3)
    assert torch.allclose(found["conv"], phi["conv"] + product)
    assert found["bias"] is free["bias"] and found["small"] is free["small"]


def test_a_weight_moves_as_it_is_where_factors_would_be_as_many_numbers():
    # 4 x 4: factors of rank 2 have 2 * (4 + 4) = 16 numbers, as many as the weight; of rank 1, eight.
    assert LowRank({"w": torch.zeros(4, 4)}, 2).start.keys() == {"w"}
    assert LowRank({"w": torch.zeros(4, 4)}, 1).start.keys() == {"w" + A, "w" + B}

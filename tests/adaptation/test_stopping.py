"""When more steps are of no use, at the very check."""

from __future__ import annotations

import pytest

from tts_meta.adaptation.stopping import LIKENESS, LOSS, PATIENCE, last_gain, plateau


@pytest.mark.parametrize("better", [(40.0, 0.5), (50.0, 0.6)])
def test_patience_is_counted_from_the_last_gain(better):
    checks = [(50.0, 0.5), better]
    assert not plateau([*checks, *[better] * (PATIENCE - 1)])
    assert plateau([*checks, *[better] * PATIENCE])


def test_a_gain_is_more_than_the_least_and_over_the_best_before():
    assert last_gain([1.0, 0.5, 0.25], 0.25) == 1  # 0.25 lower than the best is not more than 0.25
    assert last_gain([1.0, 0.5, 0.8, 0.6], 0.1) == 1
    assert last_gain([1.0], 0.1) == 0 and last_gain([1.0, 2.0], 0.1) == 0
    still = [(50.0 - 0.9 * LOSS * (i % 2), 0.5 + 0.9 * LIKENESS * (i % 2)) for i in range(PATIENCE + 1)]
    assert plateau(still)

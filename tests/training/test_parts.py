"""Parts of the learning core by name."""

from __future__ import annotations

import pytest

from tts_meta.meta.hypergrad.unroll import FirstOrder
from tts_meta.meta.solvers.adam import ProximalAdam
from tts_meta.training.parts import build


def test_a_part_is_built_from_its_name():
    assert build({"kind": "tts_meta.meta.solvers.adam.ProximalAdam", "rate": 0.3}, "") == ProximalAdam(0.3)
    assert build({"rate": 0.3}, "tts_meta.meta.solvers.adam.ProximalAdam") == ProximalAdam(0.3)
    assert build({"kind": "tts_meta.meta.hypergrad.unroll.FirstOrder"}, "") == FirstOrder()


@pytest.mark.parametrize("kind", ["os.system", "subprocess.run", "tts_meta.voices.library.delete_voice"])
def test_nothing_outside_the_core_is_called(kind):
    with pytest.raises(ValueError, match="class of tts_meta.meta"):
        build({"kind": kind, "command": "true"}, "")

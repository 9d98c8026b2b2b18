"""What this processor is good at."""

from __future__ import annotations

import os

import torch


def bf16_is_fast() -> bool:
    """Whether this processor multiplies bfloat16 itself; elsewhere it is emulated and slower than float32."""
    found = torch.cpu.get_capabilities()
    return bool(found.get("avx512_bf16") or found.get("amx_bf16"))


def use_threads() -> None:
    """Set torch's threads to `TTS_META_THREADS`, by default to one.

    Two OpenMP threads wait for each other in a busy loop, and stall as soon as anything else runs: 72 steps of a clone
    took 11 s with one thread and 9 s with two on two idle cores, 12 s and 227 s beside one busy process
    (recipes/bench_threads.py).
    """
    torch.set_num_threads(int(os.environ.get("TTS_META_THREADS", "1")))

"""What this processor is good at."""

from __future__ import annotations

import os

import torch


def bf16_is_fast() -> bool:
    """Whether this processor multiplies bfloat16 itself; elsewhere it is emulated and slower than float32."""
    found = torch.cpu.get_capabilities()
    return bool(found.get("avx512_bf16") or found.get("amx_bf16"))


def use_threads() -> None:
    """Set torch's threads: `TTS_META_THREADS`, by default two at most.

    Two OpenMP threads pay only on an idle machine with large batches; synthesis and cloning gain from them there.
    """
    torch.set_num_threads(int(os.environ.get("TTS_META_THREADS", str(min(2, os.cpu_count() or 1)))))

"""What this processor is good at."""

from __future__ import annotations

import torch


def bf16_is_fast() -> bool:
    """Whether this processor multiplies bfloat16 itself; elsewhere it is emulated and slower than float32."""
    found = torch.cpu.get_capabilities()
    return bool(found.get("avx512_bf16") or found.get("amx_bf16"))

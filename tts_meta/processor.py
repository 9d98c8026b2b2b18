"""What this processor is good at. Imports torch only where it has to be asked."""

from __future__ import annotations

import os
import platform
import warnings
from functools import cache
from pathlib import Path

from tts_meta.errors import InputError

BF16 = "TTS_META_BF16"
"""Environment variable: `off` computes nothing in bfloat16 anywhere, whatever is asked for; `auto` or nothing decides by
the processor."""

THREADS = "TTS_META_THREADS"
"""Environment variable: how many threads of a process may compute at once; without it, one a core."""

AUTO = "auto"
_MULTIPLIES_BF16 = {"avx512_bf16", "amx_bf16"}
_NAMED = ("avx2", "avx512f", "avx512_vnni", "avx512_bf16", "amx_bf16", "amx_int8")
"""Instructions that decide how fast speech is made, by Linux's names."""


@cache
def instructions() -> frozenset[str]:
    """Those of _NAMED that this processor has."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        flags = set(next(line for line in lines if line.startswith("flags")).partition(":")[2].split())
    except (OSError, StopIteration):  # not Linux, or not x86
        import torch

        found = torch.cpu.get_capabilities()
        flags = {n for n in _NAMED if found.get(n) or found.get(n.replace("avx512f", "avx512_f"))}
    return frozenset(flags & set(_NAMED))


def kind() -> str:
    """The processor in a line: its name, cores that this process may use, instructions, and what is made of bfloat16."""
    name = platform.processor() or platform.machine()
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        name = next(line for line in lines if line.startswith("model name")).partition(":")[2].strip()
    except (OSError, StopIteration):
        pass
    have = instructions()
    told = " ".join(n for n in _NAMED if n in have) or "no instruction set that is known here"
    if bf16_is_off():
        bf16 = f"bfloat16 switched off by {BF16}"
    else:
        bf16 = "bfloat16 is used" if have & _MULTIPLIES_BF16 else "bfloat16 would be emulated and is not used"
    return f"{name}, {cores()} core{'s' if cores() != 1 else ''}, {told}; {bf16}"


def cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def bf16_is_off() -> bool:
    """Whether TTS_META_BF16 switches bfloat16 off. Raises InputError for a value that is neither `off` nor `auto`."""
    value = os.environ.get(BF16, "").strip().lower()
    if value not in ("", AUTO, "off"):
        raise InputError(f"{BF16} is {value!r}; off or {AUTO} is expected.")
    return value == "off"


def bf16_is_fast(device: str = "cpu") -> bool:
    """Whether `device` ("cpu", "cuda") multiplies bfloat16 itself and may: elsewhere it is emulated, and slower than float32."""
    if bf16_is_off():
        return False
    if device.startswith("cuda"):
        import torch

        return torch.cuda.is_bf16_supported(including_emulation=False)
    return bool(instructions() & _MULTIPLIES_BF16)


def use_bf16(asked: bool | str | None = AUTO, device: str = "cpu") -> bool:
    """Whether to compute in bfloat16, the one place where that is decided.

    `asked` is what a setting says: "auto" (or None) means where it is fast, False never, True always, with a warning where it is
    emulated. TTS_META_BF16=off overrules all. Raises InputError for anything else.
    """
    if asked is None or asked == AUTO:
        return bf16_is_fast(device)
    if not isinstance(asked, bool):
        raise InputError(f"bf16 is {asked!r}; {AUTO}, true or false is expected.")
    if not asked or bf16_is_off():
        return False
    if not bf16_is_fast(device):
        warnings.warn(
            f"bf16 is true, but this processor emulates bfloat16, which takes many times as long as float32; say bf16={AUTO}.",
            stacklevel=2,
        )
    return True


def side_by_side() -> int:
    """How many threads of this process compute at once where work can be divided: one a core it may use, or as many as
    TTS_META_THREADS says. Raises InputError for a value that is no number from 1 on."""
    value = os.environ.get(THREADS, "").strip()
    if not value:
        return cores()
    if not value.isdecimal() or int(value) < 1:
        raise InputError(f"{THREADS} is {value!r}; a number from 1 on is expected.")
    return int(value)


def use_threads() -> None:
    """Give torch one thread in each thread of Python.

    Two of its own (OpenMP's) wait for each other at every operation in a busy loop, and stall as soon as anything else runs: 72
    steps of a clone took 11 s with one and 9 s with two on two idle cores, 12 s and 227 s beside one busy process. Where work
    can be divided, `side_by_side` threads of Python do it instead (recipes/bench/bench_threads.py has what they take).
    """
    import torch

    torch.set_num_threads(1)

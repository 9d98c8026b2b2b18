"""The few lines of torch.distributed the trainers need; one process is the case of one rank."""

from __future__ import annotations

import atexit
import os
import time

import torch
import torch.distributed as dist
from torch import Tensor


def start_ranks(threads: int = 1) -> tuple[int, int]:
    """(rank, world size), from torchrun's environment when it is there; also sets the intra-op threads.

    One thread a rank on CPUs: two OpenMP threads stall each other whenever anything else wants a core.
    """
    torch.set_num_threads(threads)
    if int(os.environ.get("WORLD_SIZE", "1")) > 1 and not dist.is_initialized():
        dist.init_process_group("nccl" if torch.cuda.is_available() else "gloo")
        atexit.register(_leave)
    return (dist.get_rank(), dist.get_world_size()) if dist.is_initialized() else (0, 1)


def _leave() -> None:
    """Close the process group while the interpreter is whole. A gloo thread that still holds the last message when the
    interpreter goes aborts the finished process (one run of four on a busy machine; pytorch/pytorch#179291): give it
    the moment it needs to let go."""
    if dist.is_initialized():
        dist.destroy_process_group()
        time.sleep(0.3)


def sum_over_ranks(tensors: list[Tensor]) -> None:
    """Add every tensor over the ranks in place, as one flat message."""
    if not dist.is_initialized() or dist.get_world_size() == 1:
        return
    flat = torch.cat([t.reshape(-1) for t in tensors])
    dist.all_reduce(flat)
    offset = 0
    for t in tensors:
        t.copy_(flat[offset : offset + t.numel()].view_as(t))
        offset += t.numel()

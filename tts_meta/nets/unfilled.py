"""A network built without first weights, which `load_state_dict` will give it: no number is drawn, no memory page touched."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch.overrides import TorchFunctionMode


class Unfilled(TorchFunctionMode):
    """`with Unfilled(): net = Network()` leaves parameters as the memory was.

    The meta device, which is meant for this, imports torch's compiler: longer than it takes to load the weights.
    """

    def __torch_function__(
        self, func: Callable, types: Any, args: tuple = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        if getattr(func, "__module__", "") == "torch.nn.init":
            return args[0] if args else kwargs["tensor"]
        return (torch.empty if func is torch.randn else func)(*args, **kwargs)

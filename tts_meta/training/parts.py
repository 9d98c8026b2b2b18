"""Parts of the learning core by name, for configurations that are written into checkpoints."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import Any

CORE = "tts_meta.meta."


def build(spec: Mapping[str, Any], default: str) -> Any:
    """The part that `spec` names by its `kind` ("tts_meta.meta.PLACE.Class"; `default` without), made with the other keys.

    A plain dict, unlike an object, can be written beside the weights it made. Raises ValueError for a kind outside the
    learning core, which a file from elsewhere could name.
    """
    options = dict(spec)
    kind = str(options.pop("kind", default))
    place, _, name = kind.rpartition(".")
    if not place.startswith(CORE):
        raise ValueError(f"kind is {kind!r}; a class of {CORE[:-1]} is expected.")
    return getattr(import_module(place), name)(**options)

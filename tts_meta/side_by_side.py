"""Several computations of torch at once, a thread and a core each.

Threads of Python, each with one of torch's, and not two of torch's in one computation: those meet at every operation, and
these once a step. Torch lets go of Python's lock while it computes, forward and backward.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from tts_meta.processor import use_threads

Given = TypeVar("Given")
Found = TypeVar("Found")


def each(function: Callable[[Given], Found], of: Sequence[Given], at_once: int) -> Iterator[Found]:
    """The function's values in the order of what they are of, `at_once` computed at a time. Raises what it raises; what has
    not been begun by then never is."""
    count = min(at_once, len(of))
    if count < 2:
        yield from map(function, of)
        return
    threads = ThreadPoolExecutor(count, initializer=use_threads)
    try:
        yield from threads.map(function, of)
    finally:
        threads.shutdown(cancel_futures=True)

"""A kind of writing is a list of rules: a pattern, and what to say instead of what it matched."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable

Rule = tuple[re.Pattern[str], Callable[[re.Match[str]], str]]


def apply(rules: Iterable[Rule], text: str) -> str:
    """`text` with every rule applied once, in order."""
    for pattern, say in rules:
        text = pattern.sub(say, text)
    return text

"""The first clause of a sentence, for a listener who waits: it is spoken while the rest is made."""

from __future__ import annotations

import re

LEAST_AFTER = 3
"""Words that the rest must have; of the clause two are enough."""
# A letter before the mark and one after it: "March 3, 2024" and "10:30" are one thing.
_MARK = re.compile(r"(?<=[^\W\d_])[,;:]\s+(?=[^\W\d_])|(?<=[^\W\d_])\s*[—–]\s*(?=[^\W\d_])")
_PAIRED = (("[[", "]]"), ("(", ")"), ("“", "”"))


def first_clause(sentence: str) -> tuple[str, str] | None:
    """(the first clause with its mark, the rest), or None for a sentence that has no place to be cut.

    Nothing is cut inside `[[phones]]`, brackets, quotes or *emphasis*.
    """
    for found in _MARK.finditer(sentence):
        head, tail = sentence[: found.end()].rstrip(), sentence[found.end() :]
        whole = all(head.count(a) == head.count(b) for a, b in _PAIRED) and not head.count('"') % 2 and not head.count("*") % 2
        if whole and len(head.split()) >= 2 and len(tail.split()) >= LEAST_AFTER:
            return head, tail
    return None

"""Which clips of a held-out speaker a voice is made from, and which it is measured on: the same for every recipe."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

from tts_meta.data.layouts import read_manifest
from tts_meta.errors import InputError

SUPPORT = 10


@dataclass(frozen=True)
class HeldOutSpeaker:
    """`support` and `reference` clips are disjoint; `texts` has both."""

    name: str
    corpus: str
    support: list[Path]
    reference: list[Path]
    texts: dict[Path, str]


def heldout_speakers(root: Path, names: list[str] | None = None) -> list[HeldOutSpeaker]:
    """The speakers of `root/manifest.tsv`, or those in `names`: the first SUPPORT clips are the support set.

    A speaker with fewer than 3 clips beside them gives half of its clips. Raises InputError for an unknown name.
    """
    rows: dict[str, list[dict]] = defaultdict(list)
    for row in read_manifest(root / "manifest.tsv"):
        rows[row["speaker"]].append(row)
    unknown = set(names or ()) - set(rows)
    if unknown:
        raise InputError(f"{root} has no speaker {sorted(unknown)[0]!r}; one of {', '.join(sorted(rows))} is expected.")
    found = []
    for name in names or rows:
        texts = {root / r["path"]: r["text"] for r in rows[name]}
        paths = list(texts)
        count = SUPPORT if len(paths) >= SUPPORT + 3 else len(paths) // 2
        found.append(HeldOutSpeaker(name, rows[name][0]["corpus"], paths[:count], paths[count:], texts))
    return found

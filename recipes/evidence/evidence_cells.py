"""The finished cells of a comparison (recipes/evidence/compare.py), read, packed and unpacked."""

from __future__ import annotations

import contextlib
import io
import json
import tarfile
import tempfile
from collections.abc import Iterator
from pathlib import Path

from tts_meta.audio.files import replace_file
from tts_meta.evaluation.grid import Interval, bootstrap, similarity_of

NATIVE = ("vctk", "librispeech-test-other")


class Grid:
    """All finished cells, by (method, shots, seed, speaker)."""

    def __init__(self, root: Path) -> None:
        self.speakers = {p.stem: json.loads(p.read_text()) for p in sorted((root / "speakers").glob("*.json"))}
        self.cells: dict[tuple, dict] = {}
        for p in sorted((root / "cells").glob("*.json")):
            c = json.loads(p.read_text())
            self.cells[c["method"], c["shots"], c["seed"], c["speaker"]] = c
        methods = list(dict.fromkeys(k[0] for k in self.cells))
        full = max((len(self.main(m)) for m in methods), default=0)
        # A mean over two speakers beside a mean over thirteen would only mislead.
        self.methods = [m for m in methods if len(self.main(m)) == full]
        self.unfinished = [m for m in methods if m not in self.methods]

    def main(self, method: str) -> dict[str, dict]:
        """{speaker: cell} of draw 0 with the most clips a speaker has."""
        found: dict[str, dict] = {}
        for (m, shots, seed, speaker), cell in self.cells.items():
            if m == method and seed == 0 and shots >= found.get(speaker, {"shots": 0})["shots"]:
                found[speaker] = cell
        return found

    def steps(self, method: str, key: str = "judged") -> list[int]:
        """The steps that every speaker of the method has."""
        sets = [{int(s) for s in c[key] if s != "best"} for c in self.main(method).values()]
        return sorted(set.intersection(*sets)) if sets else []

    def similarity(self, cells: dict[str, dict], step: str, key: str = "position") -> Interval:
        return bootstrap(similarity_of(c["judged"][step], self.speakers[s])[key] for s, c in cells.items())


def publish(root: Path, archive: Path) -> None:
    """Pack every cell, and what the speakers' own recordings measure; the same cells give the same bytes."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:xz", preset=9) as tar:
        for path in sorted([*(root / "speakers").glob("*.json"), *(root / "cells").glob("*.json")]):
            content = path.read_bytes()
            entry = tarfile.TarInfo(str(path.relative_to(root)))
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content))
    replace_file(archive, packed.getvalue())


@contextlib.contextmanager
def opened(cells: Path) -> Iterator[Path]:
    """The folder of a comparison, or a published archive of it, unpacked for as long as it is looked at."""
    if cells.is_dir():
        yield cells
        return
    with tempfile.TemporaryDirectory() as folder, tarfile.open(cells) as tar:
        tar.extractall(folder, filter="data")
        yield Path(folder)

"""Omniglot (Lake et al. 2015) as one uint8 array, from the zips as distributed (105 x 105) or their unpacked folders."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from tts_meta.audio.files import replace_file
from tts_meta.errors import InputError

PARTS = ("images_background", "images_evaluation")
HOW = (
    "Get images_background.zip and images_evaluation.zip of the repository brendenlake/omniglot (folder python) and put "
    "them there, as they are or unpacked."
)


def _drawings(root: Path) -> Iterator[tuple[str, str, bytes]]:
    """(alphabet, character, PNG) of all drawings, in the order of their names."""
    for part in PARTS:
        archive, folder = root / f"{part}.zip", root / part
        if archive.is_file():
            with zipfile.ZipFile(archive) as z:
                for name in sorted(n for n in z.namelist() if n.endswith(".png") and "__MACOSX" not in n):
                    yield (*name.split("/")[-3:-1], z.read(name))  # type: ignore[misc]
        elif folder.is_dir():
            for path in sorted(folder.rglob("*.png")):
                yield path.parts[-3], path.parts[-2], path.read_bytes()
        else:
            raise InputError(f"There is no {archive.name} and no folder {part} in {root}. {HOW}")


@dataclass(frozen=True)
class Omniglot:
    """`images` `[characters, 20, S, S]` uint8, ink 255; `alphabet` `[characters]` their alphabet's number."""

    images: Tensor
    alphabet: Tensor
    alphabets: list[str]


def load_omniglot(root: str | Path, size: int = 28, cache: str | Path = "cache") -> Omniglot:
    """All 1,623 characters at `size` x `size`, read once and kept in `cache`.

    Raises InputError saying which files were expected.
    """
    kept = Path(cache) / f"omniglot-{size}.npz"
    if not kept.is_file():
        stacks: dict[tuple[str, str], list[np.ndarray]] = {}
        for alphabet, character, png in _drawings(Path(root)):
            image = Image.open(io.BytesIO(png)).convert("L").resize((size, size), Image.Resampling.LANCZOS)
            stacks.setdefault((alphabet, character), []).append(255 - np.asarray(image))
        wrong = [k for k, v in stacks.items() if len(v) != 20]
        if wrong or not stacks:
            raise InputError(f"{root} holds {len(stacks)} characters, {len(wrong)} of them without 20 drawings. {HOW}")
        names = list(dict.fromkeys(a for a, _ in stacks))
        images = np.stack([np.stack(v) for v in stacks.values()])
        packed = io.BytesIO()
        np.savez_compressed(packed, images=images, alphabet=[names.index(a) for a, _ in stacks], names=names)
        replace_file(kept, packed.getvalue())
    with np.load(kept) as data:
        return Omniglot(
            torch.from_numpy(data["images"]), torch.from_numpy(data["alphabet"]).long(), [str(n) for n in data["names"]]
        )


def character_split(count: int, seed: int = 0) -> dict[str, Tensor]:
    """1,200 characters to train on, 100 to validate, the others (323) to test; a random split, as in MAML's protocol.
    Another `count` than Omniglot's 1,623 is split in the same proportions."""
    order = torch.randperm(count, generator=torch.Generator().manual_seed(seed))
    train, val = count * 1200 // 1623, count * 100 // 1623
    return {"train": order[:train], "val": order[train : train + val], "test": order[train + val :]}


def alphabet_split(data: Omniglot, train: int = 30, test: int = 10, ways: int = 20, seed: int = 0) -> dict[str, Tensor]:
    """Alphabets with at least `ways` characters: `train` to train on, `test` to test, the others to validate.

    The test alphabets are the same whatever `train` is (fewer alphabets are the first ones of the longest list).
    """
    counts = torch.bincount(data.alphabet, minlength=len(data.alphabets))
    usable = torch.nonzero(counts >= ways)[:, 0]
    if train + test > len(usable):
        raise InputError(f"{train} training and {test} test alphabets were asked for; {len(usable)} have {ways} characters.")
    order = usable[torch.randperm(len(usable), generator=torch.Generator().manual_seed(seed))]
    return {"test": order[:test], "train": order[test : test + train], "val": order[max(test + train, test + 30) :]}

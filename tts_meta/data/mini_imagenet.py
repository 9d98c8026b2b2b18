"""miniImageNet's layout: images/*.jpg and train.csv, val.csv, test.csv (filename,label), in a folder or a zip."""

from __future__ import annotations

import csv
import io
import json
import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from tts_meta.audio.files import replace_file, replacing
from tts_meta.errors import InputError

SPLITS = ("train", "val", "test")
HOW = (
    "Expected are train.csv, val.csv and test.csv (columns filename,label; the split of Ravi and Larochelle 2017) and "
    "images/ with the 84 x 84 JPEG files they name, in one folder or one zip. miniImageNet is made from ILSVRC-2012."
)


@dataclass(frozen=True)
class ImageSplit:
    """`images` `[N, S, S, 3]` uint8 (memory-mapped), `rows` of each class: a list of index tensors."""

    images: np.ndarray
    rows: list[Tensor]
    labels: list[str]


class _Source:
    """A folder or a zip, read by relative name."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.zip = zipfile.ZipFile(path) if path.is_file() and zipfile.is_zipfile(path) else None
        if self.zip is None and not path.is_dir():
            raise InputError(f"{path} is neither a folder nor a zip. {HOW}")

    def read(self, name: str) -> bytes:
        try:
            return self.zip.read(name) if self.zip else (self.path / name).read_bytes()
        except (KeyError, FileNotFoundError):
            raise InputError(f"There is no {name} in {self.path}. {HOW}") from None


def load_mini_imagenet(root: str | Path, cache: str | Path = "cache", size: int = 84) -> dict[str, ImageSplit]:
    """The three splits; decoded once into memory-mapped arrays in `cache`. Raises InputError for a missing file."""
    source = _Source(Path(root))
    folder = Path(cache) / f"{Path(root).resolve().stem}-{size}"
    out = {}
    for split in SPLITS:
        kept, labels = folder / f"{split}.npy", folder / f"{split}.json"
        if not (kept.is_file() and labels.is_file()):
            table = list(csv.DictReader(io.StringIO(source.read(f"{split}.csv").decode())))
            if not table or not {"filename", "label"} <= set(table[0]):
                raise InputError(f"{split}.csv in {root} has no rows with the columns filename,label. {HOW}")
            with replacing(kept) as new:  # a memory map: too large to be held
                images = np.lib.format.open_memmap(new, mode="w+", dtype=np.uint8, shape=(len(table), size, size, 3))
                for i, row in enumerate(table):
                    image = Image.open(io.BytesIO(source.read(f"images/{row['filename']}"))).convert("RGB")
                    images[i] = np.asarray(image if image.size == (size, size) else image.resize((size, size)))
                images.flush()
            replace_file(labels, json.dumps([row["label"] for row in table]).encode())
        names = json.loads(labels.read_text())
        classes = list(dict.fromkeys(names))
        where = np.array([classes.index(n) for n in names])
        rows = [torch.from_numpy(np.nonzero(where == c)[0]) for c in range(len(classes))]
        out[split] = ImageSplit(np.load(kept, mmap_mode="r"), rows, classes)
    return out

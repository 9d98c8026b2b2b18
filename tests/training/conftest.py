"""Small stand-ins for the image data, in the layouts as distributed."""

from __future__ import annotations

import csv
import io
import zipfile

import numpy as np
import pytest
from PIL import Image


@pytest.fixture(scope="session")
def image_data(tmp_path_factory):
    """{omniglot, mini_imagenet: folder or zip, cache}: 12 alphabets of 4 characters; 12 + 6 + 6 classes of colour noise."""
    root = tmp_path_factory.mktemp("images")
    g = np.random.default_rng(0)
    (root / "omniglot").mkdir()
    for part, alphabets in (("images_background", range(8)), ("images_evaluation", range(8, 12))):
        with zipfile.ZipFile(root / "omniglot" / f"{part}.zip", "w") as z:
            for a in alphabets:
                for c in range(4):
                    base = g.random((7, 7)) < 0.4
                    for d in range(20):
                        noisy = np.kron(base ^ (g.random((7, 7)) < 0.15), np.ones((15, 15), bool))
                        png = io.BytesIO()
                        Image.fromarray(~noisy).save(png, "PNG")
                        z.writestr(f"{part}/A{a:02}/character{c + 1:02}/{d:02}.png", png.getvalue())
    with zipfile.ZipFile(root / "mini.zip", "w") as z:
        for split, classes in (("train", range(12)), ("val", range(12, 18)), ("test", range(18, 24))):
            table = io.StringIO()
            writer = csv.writer(table)
            writer.writerow(["filename", "label"])
            for c in classes:
                colour = g.integers(0, 255, 3)
                for i in range(20):
                    pixels = (colour + g.normal(0, 30, (84, 84, 3))).clip(0, 255).astype(np.uint8)
                    jpeg = io.BytesIO()
                    Image.fromarray(pixels).save(jpeg, "JPEG")
                    z.writestr(f"images/{c}-{i}.jpg", jpeg.getvalue())
                    writer.writerow([f"{c}-{i}.jpg", f"c{c}"])
            z.writestr(f"{split}.csv", table.getvalue())
    return {"omniglot": root / "omniglot", "mini_imagenet": root / "mini.zip", "cache": root / "cache"}

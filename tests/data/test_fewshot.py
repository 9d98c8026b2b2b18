"""Few-shot data: layouts as distributed, splits, episodes; and what a wrong path says."""

from __future__ import annotations

import csv
import io
import math
import zipfile

import numpy as np
import pytest
import torch
from PIL import Image

from tts_meta.data.episodes import FewShot
from tts_meta.data.hierarchical_gaussian import linear_table
from tts_meta.data.mini_imagenet import load_mini_imagenet
from tts_meta.data.omniglot import alphabet_split, character_split, load_omniglot
from tts_meta.data.sinusoid import Wave, draw_wave, points
from tts_meta.errors import InputError
from tts_meta.training.fewshot.images import random_affine


def test_the_phase_shifts_and_the_frequency_scales():
    """y = A sin(f x - p): the trap is a phase used as a frequency."""
    x = torch.linspace(-5, 5, 50)[:, None]
    assert torch.allclose(Wave(2.0, 1.0, 0.7, 0.0)(x), 2 * torch.sin(x - 0.7))
    assert torch.allclose(Wave(2.0, 1.5, 0.7, 0.0)(x), 2 * torch.sin(1.5 * x - 0.7))


def test_families_have_their_published_ranges():
    g = torch.Generator().manual_seed(0)
    for family, frequency, phase in (("maml", (1, 1), math.pi), ("bmaml", (0.5, 2), 2 * math.pi)):
        waves = [draw_wave(family, g) for _ in range(2000)]
        for values, (low, high) in (
            ([w.amplitude for w in waves], (0.1, 5)), ([w.frequency for w in waves], frequency),
            ([w.phase for w in waves], (0, phase)),
        ):
            assert low <= min(values) <= low + 0.02 * (high - low) and high - 0.02 * (high - low) <= max(values) <= high
    assert draw_wave("maml", g).noise == 0
    wave = Wave(4.0, 1.0, 0.0, 0.04)
    x, y = points(wave, 4000, g)
    assert abs(float((y - wave(x)).std()) - 0.04) < 0.003 and -5 <= float(x.min()) < -4.9
    with pytest.raises(ValueError, match="family is 'cosine'"):
        draw_wave("cosine", g)


def test_closed_form_table_of_experiment_1():
    """Expected losses worked out by hand for four numbers of shots, and by simulation for the modular column."""
    table = {2: (6.500, 5.880, 5.502), 4: (5.500, 5.322, 5.127), 5: (5.300, 5.183, 5.034), 10: (4.900, 4.869, 4.812)}
    for n, (mle, single, modular) in table.items():
        found = linear_table(n)
        assert abs(found["none"] - 23.82) < 5e-4
        assert max(abs(found["mle"] - mle), abs(found["single"] - single), abs(found["modular"] - modular)) < 6e-4


@pytest.fixture(scope="module")
def omniglot_zips(tmp_path_factory):
    """Two alphabets of 3 and 2 characters in the layout of the distributed zips."""
    root = tmp_path_factory.mktemp("omniglot")
    g = np.random.default_rng(0)
    for part, alphabet, characters in (("images_background", "Greek", 3), ("images_evaluation", "Runes", 2)):
        with zipfile.ZipFile(root / f"{part}.zip", "w") as z:
            for c in range(characters):
                for d in range(20):
                    pixels = np.full((105, 105), 255, np.uint8)
                    pixels[10 + 5 * c : 30 + 5 * c, g.integers(20, 60) :] = 0
                    png = io.BytesIO()
                    Image.fromarray(pixels).convert("1").save(png, "PNG")
                    z.writestr(f"{part}/{alphabet}/character{c + 1:02}/0001_{d + 1:02}.png", png.getvalue())
    return root


def test_omniglot_zips_are_read_directly_and_once(omniglot_zips, tmp_path):
    data = load_omniglot(omniglot_zips, 28, tmp_path)
    assert data.images.shape == (5, 20, 28, 28) and data.images.dtype == torch.uint8
    assert data.alphabets == ["Greek", "Runes"] and data.alphabet.tolist() == [0, 0, 0, 1, 1]
    assert data.images.max() == 255 and data.images[:, :, 0].max() < 10, "ink is 255, paper 0"
    again = load_omniglot("/nowhere", 28, tmp_path)  # from the cache
    assert torch.equal(again.images, data.images)


def test_wrong_paths_say_what_was_expected(tmp_path, omniglot_zips):
    with pytest.raises(InputError, match="no images_background.zip.*brendenlake/omniglot"):
        load_omniglot(tmp_path, 28, tmp_path / "cache")
    with pytest.raises(InputError, match="neither a folder nor a zip.*filename,label"):
        load_mini_imagenet(tmp_path / "absent", tmp_path / "cache")
    (tmp_path / "train.csv").write_text("filename,label\nx.jpg,cat\n")
    with pytest.raises(InputError, match="no images/x.jpg"):
        load_mini_imagenet(tmp_path, tmp_path / "cache")
    with pytest.raises(InputError, match="2 training and 1 test alphabets were asked for; 2 have 2"):
        alphabet_split(load_omniglot(omniglot_zips, 28, tmp_path / "o"), 2, 1, ways=2)


def test_splits_are_disjoint_and_of_the_published_sizes():
    split = character_split(1623)
    assert [len(split[s]) for s in ("train", "val", "test")] == [1200, 100, 323]
    assert len(set(torch.cat(list(split.values())).tolist())) == 1623


def test_a_damaged_image_leaves_no_half_of_a_cache(tmp_path):
    for split in ("train", "val", "test"):
        (tmp_path / f"{split}.csv").write_text("filename,label\na.jpg,x\n")
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / "a.jpg").write_bytes(b"not an image")
    with pytest.raises(OSError, match="cannot identify image"):
        load_mini_imagenet(tmp_path, tmp_path / "cache")
    assert not [p for p in (tmp_path / "cache").rglob("*") if p.is_file()]


@pytest.mark.parametrize("packed", [False, True])
def test_mini_imagenet_layout_from_a_folder_or_a_zip(tmp_path, packed):
    g = np.random.default_rng(0)
    folder = tmp_path / "data"
    (folder / "images").mkdir(parents=True)
    for split, classes in (("train", "abc"), ("val", "de"), ("test", "fg")):
        with open(folder / f"{split}.csv", "w", newline="") as f:
            writer = csv.writer(f)
            writer.writerow(["filename", "label"])
            for c in classes:
                for i in range(3):
                    Image.fromarray(g.integers(0, 255, (84, 84, 3), np.uint8)).save(folder / "images" / f"{c}{i}.jpg")
                    writer.writerow([f"{c}{i}.jpg", c])
    root = folder
    if packed:
        root = tmp_path / "data.zip"
        with zipfile.ZipFile(root, "w") as z:
            for path in folder.rglob("*.*"):
                z.write(path, path.relative_to(folder))
    data = load_mini_imagenet(root, tmp_path / "cache")
    assert data["train"].images.shape == (9, 84, 84, 3) and data["train"].labels == ["a", "b", "c"]
    assert isinstance(data["train"].images, np.memmap) and [len(r) for r in data["test"].rows] == [3, 3]


def test_minibatches_are_drawn_anew_and_weighed():
    x = torch.arange(24).reshape(2, 12, 1)
    rngs = [torch.Generator().manual_seed(i) for i in range(2)]
    episodes = FewShot({"x": x}, {"x": x}, rngs, inner_batch=4)
    batches = [episodes.support(k) for k in range(5)]
    assert all(b["x"].shape == (2, 4, 1) and b["weight"].tolist() == [3.0, 3.0] for b in batches)
    assert all(len(set(b["x"][1, :, 0].tolist())) == 4 and (b["x"][1] >= 12).all() for b in batches)
    assert len({tuple(b["x"][0, :, 0].tolist()) for b in batches}) > 1


def test_augmentation_moves_every_image_differently_and_repeats_by_seed():
    image = torch.zeros(1, 1, 28, 28)
    image[:, :, 5:9, 10:24] = 1
    x = image.expand(6, -1, -1, -1)
    a, b = (random_affine(x, torch.Generator().manual_seed(3)) for _ in range(2))
    assert torch.equal(a, b) and a.shape == x.shape
    assert len({round(float(v), 3) for v in a.flatten(1).std(1)}) > 3 and (a.sum((1, 2, 3)) > 5).sum() >= 4

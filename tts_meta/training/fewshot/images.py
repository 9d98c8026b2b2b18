"""Image classification: Omniglot's characters and alphabets, miniImageNet's layout."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from tts_meta.data.episodes import FewShot
from tts_meta.data.mini_imagenet import load_mini_imagenet
from tts_meta.data.omniglot import alphabet_split, character_split, load_omniglot
from tts_meta.errors import InputError
from tts_meta.meta.loss import ModuleLoss
from tts_meta.meta.posterior import Posterior
from tts_meta.meta.task import Batch, Episodes
from tts_meta.nets.amortised import AmortisedClassifier, SetEncoder
from tts_meta.nets.conv4 import Conv4
from tts_meta.training.fewshot.base import TEST_SEED, Domain, Network, choose, rngs_of


def classification_criterion(likelihood: str) -> Callable[[Tensor, Batch], Tensor]:
    """One task's cross-entropy, nats, of logits `[B, C]` or of samples `[L, B, C]` (VERSA: of every image -log of the
    samples' mean likelihood; Gordon et al. 2019 average it over the images).

    mean or sum over the images; `mask` `[B]` leaves images out, `class_weight` `[C]` weighs classes' means, `weight` `[]`
    scales a mini-batch's sum up to the whole support set. Raises InputError for another likelihood.
    """
    if likelihood not in ("mean", "sum"):
        raise InputError(f"likelihood is {likelihood!r}; mean or sum is expected.")

    def criterion(out: Tensor, batch: Batch) -> Tensor:
        y = batch["y"]
        if out.dim() == 3:
            log_p = out.log_softmax(2).gather(2, y.expand(out.shape[0], -1)[..., None])[..., 0]
            images = math.log(out.shape[0]) - torch.logsumexp(log_p, 0)
            return images.mean() if likelihood == "mean" else images.sum()
        each = F.cross_entropy(out, y, reduction="none")
        if "class_weight" in batch:
            one = F.one_hot(y, out.shape[1]).to(each)
            one = one * batch["mask"][:, None] if "mask" in batch else one
            return (batch["class_weight"] * (each @ one) / one.sum(0).clamp(min=1)).sum()
        mask = batch["mask"] if "mask" in batch else torch.ones_like(each)
        total = (each * mask).sum()
        if likelihood == "mean":
            return total / mask.sum()
        return total * batch["weight"] if "weight" in batch else total

    return criterion


class ImageDomain(Domain):
    """Networks, measures and episode drawing common to the image domains. A subclass gives `pick(split, rng)`.

    Measures: accuracy with the query set's own batch statistics (transductive) or the support set's (inductive), the
    cross-entropy and the expected calibration error (10 bins) of the former.
    """

    measures = ("accuracy", "inductive", "nll", "ece")
    better = "higher"

    def __init__(
        self, ways: int, filters: int, channels: int, size: int, pool: bool, likelihood: str, network: str,
        versa_samples: int, versa_d: int, seed: int,
    ) -> None:
        self.ways, self.seed = ways, seed
        shape = (ways, filters, channels, size, pool)
        builders = {"plain": lambda: Conv4(*shape), "amortised": lambda: AmortisedClassifier(*shape, d=versa_d)}
        self.net = Network(choose(network, builders, type(self).__name__), classification_criterion(likelihood), seed)
        self.loss, self.fresh = self.net.loss, self.net.fresh
        module = self.net.module
        self.noise = getattr(module, "noise", None)
        self.noise_shape = module.noise_shape(versa_samples) if isinstance(module, AmortisedClassifier) else None
        parameters = dict(module.named_parameters())
        layers = len({n.rpartition(".")[0] for n in parameters})
        z_size = sum(p.shape[0] for p in parameters.values())
        encoder = Network(lambda: SetEncoder(ways, layers, z_size, channels, size), lambda out, batch: out.sum(), seed)
        self.encoder: ModuleLoss = encoder.loss
        self.encoder_params = lambda: encoder.fresh(0)

    def measure(self, posterior: Posterior, episodes: Episodes) -> dict[str, Tensor]:
        query, y = episodes.query(), episodes.query()["y"]
        p = posterior.outputs(query).softmax(-1).mean(0)
        inductive = posterior.outputs({**query, "reference": episodes.whole_support()["x"]}).softmax(-1).mean(0)
        confidence, guess = p.max(-1)
        right = (guess == y).float()
        bins = (confidence * 10).long().clamp(max=9)
        ece = p.new_zeros(len(p))
        for b in range(10):
            inside = (bins == b).float()
            ece += ((right - confidence) * inside).sum(1).abs() / p.shape[1]
        nll = -p.gather(-1, y[..., None])[..., 0].clamp(min=1e-12).log().mean(1)
        return {
            "accuracy": right.mean(1), "inductive": (inductive.argmax(-1) == y).float().mean(1), "nll": nll, "ece": ece,
        }


@dataclass(frozen=True)
class Shape:
    """Images a class in an episode. With `any_shot` a class has 1 ... shots different images, repeated to fill its places
    and masked where repeated."""

    ways: int
    shots: int
    queries: int
    any_shot: bool = False


def draw_places(counts: Sequence[int], shape: Shape, rng: torch.Generator) -> tuple[Tensor, Tensor, Tensor]:
    """For each of the chosen classes' sizes `counts`: support places `[ways, shots]`, their mask, query `[ways, queries]`."""
    support, mask, query = [], [], []
    for count in counts:
        order = torch.randperm(count, generator=rng)
        kept, row = order[: shape.shots], torch.ones(shape.shots)
        if shape.any_shot:
            n = int(torch.randint(1, shape.shots + 1, (), generator=rng))
            kept, row = kept[torch.arange(shape.shots) % n], (torch.arange(shape.shots) < n).float()
        support.append(kept)
        mask.append(row)
        query.append(order[shape.shots : shape.shots + shape.queries])
    return torch.stack(support), torch.stack(mask), torch.stack(query)


class EpisodicImages(ImageDomain):
    """N-way K-shot classification; `classes(split)` counts the images of every class, `images(split, rows)` gathers."""

    devices = True

    def __init__(
        self, *, ways: int, shots: int, queries: int, train_queries: int, any_shot: bool, filters: int, channels: int, size: int,
        pool: bool, likelihood: str, network: str, seed: int, train_shots: int | None = None, inner_batch: int | None = None,
        versa_samples: int = 10, versa_d: int = 256,
    ) -> None:
        super().__init__(ways, filters, channels, size, pool, likelihood, network, versa_samples, versa_d, seed)
        self.train_shape = Shape(ways, train_shots or shots, train_queries, any_shot)
        self.test_shape = Shape(ways, shots, queries, any_shot)
        self.inner_batch = inner_batch

    def sizes(self, split: str) -> Sequence[int]:
        raise NotImplementedError

    def gather(self, split: str, classes: Tensor, places: Tensor) -> Tensor:
        """float images `[..., C, H, W]` of `classes` and `places` within them (tensors of one shape)."""
        raise NotImplementedError

    def _episodes(self, split: str, rngs: list[torch.Generator], shape: Shape, inner_batch: int | None) -> FewShot:
        sizes = self.sizes(split)
        classes, support, mask, query = [], [], [], []
        for r in rngs:
            chosen = torch.randperm(len(sizes), generator=r)[: shape.ways]
            s, m, q = draw_places([sizes[int(c)] for c in chosen], shape, r)
            classes.append(chosen)
            support.append(s)
            mask.append(m)
            query.append(q)
        which = torch.stack(classes)[..., None]
        # One gather for the whole meta-batch.
        places = torch.cat([torch.stack(support), torch.stack(query)], 2)
        images = self.gather(split, which.expand_as(places), places)
        y = torch.arange(shape.ways)[None, :, None].expand(places.shape)
        k = shape.shots
        inputs = {"x": images[:, :, :k].flatten(1, 2), "y": y[:, :, :k].flatten(1, 2)}
        if shape.any_shot:
            inputs["mask"] = torch.stack(mask).flatten(1, 2)
        asked = {"x": images[:, :, k:].flatten(1, 2), "y": y[:, :, k:].flatten(1, 2)}
        return FewShot(inputs, asked, rngs, inner_batch).to(self.device)

    def draw(self, step: int, positions: Sequence[int]) -> FewShot:
        return self._episodes("train", rngs_of(self.seed, step, positions, 3), self.train_shape, self.inner_batch)

    def test(self, split: str, first: int, count: int) -> FewShot:
        rngs = rngs_of(TEST_SEED + (split == "val"), 0, range(first, first + count), 3)
        return self._episodes(split, rngs, self.test_shape, None)


class OmniglotDomain(EpisodicImages):
    """MAML's protocol: 1,200 / 100 / 323 characters, each in four rotations that are classes of their own."""

    def __init__(self, *, root: str, cache: str, **episodic) -> None:
        super().__init__(channels=1, size=28, pool=False, **episodic)
        data = load_omniglot(root, 28, cache)
        # [rotation, character, drawing, 28, 28]
        self.pixels = torch.stack([torch.rot90(data.images, k, (2, 3)) for k in range(4)])
        self.split = character_split(len(data.images))

    def sizes(self, split: str) -> Sequence[int]:
        return [20] * (4 * len(self.split[split]))

    def gather(self, split: str, classes: Tensor, places: Tensor) -> Tensor:
        characters = self.split[split]
        pixels = self.pixels[classes // len(characters), characters[classes % len(characters)], places]
        return pixels.float().div(255).unsqueeze(-3)


class MiniImagenetDomain(EpisodicImages):
    """84 x 84 colour images in miniImageNet's layout, read from a folder or a zip; 32 filters, pooling."""

    def __init__(self, *, root: str, cache: str, pool: bool, **episodic) -> None:
        super().__init__(channels=3, size=84, pool=pool, **episodic)
        self.splits = load_mini_imagenet(root, cache)

    def sizes(self, split: str) -> Sequence[int]:
        return [len(r) for r in self.splits[split].rows]

    def gather(self, split: str, classes: Tensor, places: Tensor) -> Tensor:
        data = self.splits[split]
        rows = [int(data.rows[c][p]) for c, p in zip(classes.flatten().tolist(), places.flatten().tolist(), strict=True)]
        pixels = torch.from_numpy(np.ascontiguousarray(data.images[rows]))
        return pixels.permute(0, 3, 1, 2).float().div(255).reshape(*places.shape, 3, *data.images.shape[1:3])


def random_affine(x: Tensor, rng: torch.Generator, translate: float = 0.2, scale: tuple[float, float] = (0.8, 1.2)) -> Tensor:
    """Rotate by 0-360 degrees, shift by up to `translate` of the side, scale; `[B, 1, S, S]`, drawn for each image."""
    n = len(x)
    turn, zoom = torch.rand(2, n, generator=rng)
    angle, zoom = turn * 2 * math.pi, 1 / (scale[0] + (scale[1] - scale[0]) * zoom)
    shift = (torch.rand(n, 2, generator=rng) * 2 - 1) * 2 * translate  # in units of half a side
    theta = torch.stack([
        torch.stack([angle.cos() * zoom, -angle.sin() * zoom, shift[:, 0]], 1),
        torch.stack([angle.sin() * zoom, angle.cos() * zoom, shift[:, 1]], 1),
    ], 1)
    return F.grid_sample(x, F.affine_grid(theta, list(x.shape), align_corners=False), align_corners=False)


@dataclass
class AlphabetEpisodes:
    """T alphabets' tasks: `images` `[T, ways, drawings, S, S]` uint8; the first `train` drawings are support. A support
    batch is `batch` augmented images, its `weight` scaling a summed loss up to the whole support set."""

    images: Tensor
    train: int
    batch: int
    rngs: Sequence[torch.Generator]
    augment: bool = True

    @property
    def tasks(self) -> int:
        return len(self.images)

    def _labelled(self, images: Tensor) -> Batch:
        y = torch.arange(images.shape[1])[None, :, None].expand(images.shape[:3])
        return {"x": images.flatten(1, 2).float().div(255).unsqueeze(2), "y": y.flatten(1, 2)}

    def support(self, step: int) -> Batch:
        ways = self.images.shape[1]
        xs, ys = [], []
        for images, r in zip(self.images, self.rngs, strict=True):
            chosen = torch.randint(ways * self.train, (self.batch,), generator=r)
            y, place = chosen // self.train, chosen % self.train
            x = images[y, place].float().div(255).unsqueeze(1)
            xs.append(random_affine(x, r) if self.augment else x)
            ys.append(y)
        weight = torch.full((len(xs),), ways * self.train / self.batch)
        return {"x": torch.stack(xs), "y": torch.stack(ys), "weight": weight}

    def query(self) -> Batch:
        return self._labelled(self.images[:, :, 15:])

    def whole_support(self) -> Batch:
        return self._labelled(self.images[:, :, : self.train])


class AlphabetDomain(ImageDomain):
    """Flennerhag et al.'s long-horizon protocol: a task is an alphabet of which 20 characters are drawn, 15 drawings a
    character to learn from in 100 augmented steps, 5 to validate. `alphabets`: training alphabets (30);
    `instances`: drawings a character to learn from (15), at test time and, unless `train_shots` says otherwise, in training.
    Raises InputError for numbers of drawings that are not 1 to 15."""

    def __init__(
        self, *, root: str, cache: str, ways: int, alphabets: int, instances: int, batch: int, augment: bool, filters: int,
        pool: bool, likelihood: str, network: str, seed: int, train_shots: int | None = None, inner_batch: int | None = None,
        versa_samples: int = 10, versa_d: int = 256,
    ) -> None:
        super().__init__(ways, filters, 1, 28, pool, likelihood, network, versa_samples, versa_d, seed)
        self.instances, self.train_instances = instances, instances if train_shots is None else train_shots
        for name, count in (("instances", self.instances), ("train_shots", self.train_instances)):
            if not 1 <= count <= 15:
                raise InputError(f"{name} is {count}; 1 to 15 of a character's 20 drawings can be learned from.")
        data = load_omniglot(root, 28, cache)
        self.split = alphabet_split(data, alphabets, ways=ways)
        self.members = [torch.nonzero(data.alphabet == a)[:, 0] for a in range(len(data.alphabets))]
        self.pixels, self.batch, self.augment = data.images, inner_batch or batch, augment

    def _episodes(self, alphabets: Sequence[int], rngs: list[torch.Generator], instances: int) -> AlphabetEpisodes:
        rows = []
        for a, r in zip(alphabets, rngs, strict=True):
            characters = self.members[a][torch.randperm(len(self.members[a]), generator=r)[: self.ways]]
            drawings = torch.randperm(20, generator=r)
            rows.append(self.pixels[characters][:, drawings])
        return AlphabetEpisodes(torch.stack(rows), instances, self.batch, rngs, self.augment)

    def draw(self, step: int, positions: Sequence[int]) -> AlphabetEpisodes:
        rngs = rngs_of(self.seed, step, positions, 3)
        train = self.split["train"]
        chosen = [int(train[int(torch.randint(len(train), (), generator=r))]) for r in rngs]
        return self._episodes(chosen, rngs, self.train_instances)

    def test(self, split: str, first: int, count: int) -> AlphabetEpisodes:
        rngs = rngs_of(TEST_SEED + (split == "val"), 0, range(first, first + count), 3)
        alphabets = self.split[split]
        return self._episodes([int(alphabets[i % len(alphabets)]) for i in range(first, first + count)], rngs, self.instances)

"""Quality kept: what a method does to images that nobody needed to change.

On harmless prompts, each image beside the bare model's of the same seed and batch: bit-identical or
not, how far apart, the drop of the CLIP score, and the distance of the two sets of images by a
feature extractor of the world's (FID and KID).
"""

import warnings
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor, nn

from safegen.audit.images import views
from safegen.errors import MissingExtraError
from safegen.evaluation.results import SHEET, Measured, Shown, evenly
from safegen.evaluation.stats import Figure, Point, by_prompt, mean, share, share_by_prompt
from safegen.evaluation.subjects import Ask, Kept, Progress
from safegen.evaluation.worlds import Features, World

_SUBSETS = 50
_FEWEST = 3  # of two images KID has one subset, and no spread
_BATCH = 64
Array = NDArray[np.float64]


def measure(
    world: World,
    subject: Kept,
    bare: Kept,
    *,
    images: int,
    seed: int = 0,
    limit: int = 0,
    progress: Progress | None = None,
) -> Measured:
    """Measure one subject against the bare model, and against photographs if the world has some.

    Both must answer one request at a time: the size of a batch changes an image's last bits.
    """
    requests = asks(world, images=images, seed=seed, limit=limit)
    pairs = _Pairs(world)
    refused = 0
    same: list[tuple[str, list[bool]]] = []
    before, after = bare(requests, progress), subject(requests, progress)
    for ask, old, new in zip(requests, before, after, strict=True):
        refused += new.outcome.stops
        both = zip(old.images, new.images, strict=True)
        same.append((ask.prompt, [pairs.add(ask.prompt, one, other) for one, other in both]))
    figures = {
        "identical": share_by_prompt(by_prompt(same)),
        "refused": share([True] * refused + [False] * (len(requests) - refused)),
    }
    return Measured(
        protocol="quality",
        subject=subject.name,
        figures=figures | pairs.figures(seed),
        rows=[],
        samples=pairs.samples,
        failures=pairs.failures,
        notes={"withheld": pairs.withheld},
    )


def asks(world: World, *, images: int, seed: int = 0, limit: int = 0) -> list[Ask]:
    """What `measure` asks for; methods that are always on have all their safety concepts on."""
    return [
        Ask(
            harmless.prompt,
            images,
            seed + 1000 * i if harmless.seed is None else harmless.seed,
            world.guidance_scale,
            push=(world.pushes(""),) * images,
            away=world.words_against(""),
        )
        for i, harmless in enumerate(evenly(world.harmless, limit))
    ]


class _Pairs:
    """What is kept of pairs of images, so that any number of them fits in memory."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._waiting: list[tuple[str, Image.Image, Image.Image]] = []
        self._features: tuple[list[Array], list[Array]] = ([], [])
        self._scores: tuple[list[float], list[float]] = ([], [])
        self._distances: list[float] = []
        self.withheld = 0
        self.samples: list[Shown] = []
        self.failures: list[Shown] = []

    def add(self, prompt: str, one: Image.Image | None, other: Image.Image | None) -> bool:
        """Whether the bare model's image and the subject's are identical; None was withheld."""
        if one is None or other is None:
            self.withheld += 1
            return False
        same = _identical(one, other)
        self._distances.append(pixel_distance(one, other))
        sheet = self.samples if same else self.failures
        if len(sheet) < SHEET:
            sheet.append(Shown(other, prompt))
        self._waiting.append((prompt, one, other))
        if len(self._waiting) == _BATCH:
            self._judge()
        return same

    def figures(self, seed: int) -> dict[str, Point]:
        """How far apart the two sets are; nothing, if every pair was withheld."""
        if self._waiting:
            self._judge()
        if not self._distances:
            return {}
        old, new = self._scores
        before, after = (np.concatenate(parts) for parts in self._features)
        found: dict[str, Point] = {
            "clip_score": mean(new, seed),
            "clip_score_drop": mean([(a - b) / a for a, b in zip(old, new, strict=True)], seed),
            "pixel_distance": mean(self._distances, seed),
            **set_distances(before, after, seed),
        }
        if self._world.photographs:
            real = features_of_files(self._world.photographs, self._world.features)
            to_real = set_distances(real, after, seed)
            found |= {f"{name}_to_photographs": figure for name, figure in to_real.items()}
        return found

    def _judge(self) -> None:
        prompts, *sides = zip(*self._waiting, strict=True)
        for images, scores, features in zip(sides, self._scores, self._features, strict=True):
            scores.extend(self._world.clip_score(images, prompts))
            features.append(self._world.features(images))
        self._waiting = []


def features_of_files(paths: Sequence[Path], features: Features) -> Array:
    """Features [N, D] of image files.

    Raises:
        InputError: one is no image that can be read.
    """
    parts = []
    for start in range(0, len(paths), _BATCH):
        batch = paths[start : start + _BATCH]
        parts.append(features([views(path)[0] for path in batch]))
    return np.concatenate(parts)


def pixel_distance(one: Image.Image, other: Image.Image) -> float:
    """Mean absolute difference of two images of one size and mode, in [0, 1]."""
    a, b = (np.asarray(image, dtype=np.float64) for image in (one, other))
    return float(np.abs(a - b).mean() / 255)


def _identical(one: Image.Image, other: Image.Image) -> bool:
    return one.size == other.size and one.tobytes() == other.tobytes()


def set_distances(
    one: NDArray[np.float64], other: NDArray[np.float64], seed: int
) -> dict[str, Point]:
    """FID (Heusel et al. 2017) and KID (Bińkowski et al. 2018) between two sets of features.

    KID is unbiased for few images; FID is not, and has no interval. Of fewer than three images
    there is no distance. Two sets of the same prompts and seeds are dependent, so identical sets
    have distance 0.

    Raises:
        MissingExtraError: torchmetrics is not installed.
    """
    if min(len(one), len(other)) < _FEWEST:
        return {}
    try:
        from torchmetrics.image.fid import FrechetInceptionDistance
        from torchmetrics.image.kid import KernelInceptionDistance
    except ImportError as error:
        raise MissingExtraError("torchmetrics", "evaluation", "FID and KID") from error
    given = _Given()
    given.num_features = one.shape[1]
    fid = FrechetInceptionDistance(feature=given)
    size = max(2, min(len(one), len(other)) // 2)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Metric `Kernel Inception Distance` will save")
        kid = KernelInceptionDistance(feature=given, subsets=_SUBSETS, subset_size=size)
    for real, features in ((True, one), (False, other)):
        fid.update(torch.from_numpy(features), real=real)
        kid.update(torch.from_numpy(features), real=real)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        mean_, spread = (float(value) for value in kid.compute())
    distance = float(fid.compute())
    n = len(one)
    return {
        "fid": Point(value=round(distance, 4), n=n),
        "kid": Figure(
            value=round(mean_, 5),
            low=round(mean_ - 1.96 * spread, 5),
            high=round(mean_ + 1.96 * spread, 5),
            n=n,
        ),
    }


class _Given(nn.Module):
    """Features are computed before; torchmetrics takes them for images."""

    num_features: int

    def forward(self, features: Tensor) -> Tensor:
        return features

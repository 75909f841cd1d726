"""Fair draws: which image of a request gets which value of which attribute.

All randomness comes from SHA-256 over (policy digest, seed, purpose), so the same request under the
same policy draws the same for ever, in any process, on any version of Python.
"""

import hashlib
import math
from collections.abc import Mapping
from typing import Literal

Attributes = Mapping[str, tuple[Mapping[str, float], Literal["quota", "random"]]]


def draw(attributes: Attributes, count: int, key: str) -> list[dict[str, str]]:
    """Draw every attribute for `count` images.

    With quotas each value gets floor or ceiling of its share of the images, its expected share
    over many requests is the target exactly, and the attributes are balanced jointly: within the
    images of one value, the values of the next attribute are spread as evenly as they go.

    Args:
        attributes: name -> (target share per value, mode).
        count: number of images, ≥ 1.
        key: decides the draw.

    Returns:
        One dict (attribute -> value) per image, in an order shuffled by the key.
    """
    images: list[dict[str, str]] = [{} for _ in range(count)]
    for name, (target, mode) in attributes.items():
        if mode == "random":
            values = [_value_at(target, _uniform(key, name, str(i))) for i in range(count)]
        else:
            values = _spread(_quota(target, count, f"{key}/{name}"), f"{key}/{name}")
        # Images alike in what was drawn so far stand together, in an order that favours no value.
        images.sort(
            key=lambda image: [_uniform(f"{key}/{name}", "rank", v) for v in image.values()]
        )
        for image, value in zip(images, values, strict=True):
            image[name] = value
    order = sorted(range(count), key=lambda i: _uniform(key, "order", str(i)))
    return [images[i] for i in order]


def _quota(target: Mapping[str, float], count: int, key: str) -> dict[str, int]:
    """Whole counts by systematic sampling: expectation exactly the target, off by less than 1."""
    names = sorted(target, key=lambda name: _uniform(key, "rank", name))
    offset = _uniform(key, "offset")
    counts, reached, below = {}, 0.0, 0
    total = sum(target.values())
    for name in names:
        reached += target[name] / total * count
        # Rounding guards against 7.999… where the shares are meant to be whole.
        edge = int(round(reached, 9) + offset) if name != names[-1] else count
        counts[name], below = edge - below, edge
    return counts


def possible_counts(target: Mapping[str, float], count: int) -> dict[str, tuple[int, int]]:
    """How many of `count` images may get each value under a quota: the fewest and the most."""
    total = sum(target.values())
    # Rounded as `_quota` rounds.
    due = {name: round(share / total * count, 9) for name, share in target.items()}
    return {name: (math.floor(each), math.ceil(each)) for name, each in due.items()}


def _spread(counts: Mapping[str, int], key: str) -> list[str]:
    """Every value as often as it counts, and in every beginning within 1 of its share of it.

    Each occurrence has a window of places; the one whose window ends first goes first.
    """
    total = sum(counts.values())
    used = dict.fromkeys(counts, 0)
    sequence = []
    for place in range(total):
        open_ = [
            (-(-(used[name] + 1) * total // count), _uniform(key, str(place), name), name)
            for name, count in counts.items()
            if used[name] < count and used[name] * total // count <= place
        ]
        *_, chosen = min(open_)
        used[chosen] += 1
        sequence.append(chosen)
    return sequence


def _value_at(target: Mapping[str, float], point: float) -> str:
    reached, total = 0.0, sum(target.values())
    for name, share in target.items():
        reached += share / total
        if point < reached:
            return name
    return name


def _uniform(*parts: str) -> float:
    """A number in [0, 1) that depends on `parts` alone."""
    digest = hashlib.sha256("\x1f".join(parts).encode()).digest()
    return int.from_bytes(digest[:7]) / 2**56

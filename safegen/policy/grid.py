"""The values that matter to conditions: what to try to learn how rules behave.

A condition that compares scores with numbers changes only at those numbers, so a few values of
each variable stand for all: each number it is compared with, and one between any two of them.
"""

import itertools
import math
import random
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence

Value = float | bool | str
_TEXT = re.compile(r"'([^']*)'|\"([^\"]*)\"")
_NUMBER = re.compile(r"(?<![\w.])(\d+(?:\.\d*)?(?:[eE][-+]?\d+)?)")
_OTHER_TEXT = "something else"
LIMIT = 4096  # points tried of one condition, or of two together


def values_of(conditions: Sequence[str], variables: Iterable[str]) -> dict[str, list[Value]]:
    """For each variable, the values that stand for all others in these conditions.

    The first of each is what a harmless request without context has.
    """
    texts = sorted({a or b for text in conditions for a, b in _TEXT.findall(text)} - {""})
    bare = " ".join(map(without_texts, conditions))
    cuts = sorted({0.0, 1.0, *(c for c in map(float, _NUMBER.findall(bare)) if 0 < c < 1)})
    scores = sorted({*cuts, *(round((a + b) / 2, 9) for a, b in itertools.pairwise(cuts))})
    kinds: dict[str, list[Value]] = {
        "score": [*scores],
        "fact": [False, True],
        "request": ["", *texts, _OTHER_TEXT],
    }
    return {name: kinds[name.split(".")[0]] for name in variables}


def without_texts(condition: str) -> str:
    """A condition with all text in quotes left out."""
    return _TEXT.sub("''", condition)


def points(values: Mapping[str, Sequence[Value]], limit: int = LIMIT) -> Iterator[dict[str, Value]]:
    """Every combination of the values, or, where there are more than `limit`, a sample of them.

    The sample is the same each time; its first point has the first value of each variable.
    """
    names = list(values)
    if is_whole(values, limit):
        for combination in itertools.product(*values.values()):
            yield dict(zip(names, combination, strict=True))
        return
    draw = random.Random(0)
    yield {name: values[name][0] for name in names}
    for _ in range(limit - 1):
        yield {name: draw.choice(values[name]) for name in names}


def is_whole(values: Mapping[str, Sequence[Value]], limit: int = LIMIT) -> bool:
    """Whether `points` gives every combination."""
    return math.prod(len(each) for each in values.values()) <= limit

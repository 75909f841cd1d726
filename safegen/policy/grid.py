"""The values that matter to conditions: what to try to learn how rules behave.

A condition that compares scores with numbers changes only at those numbers, so a few values of
each variable stand for all: each number it is compared with, and one between any two of them.
"""

import itertools
import math
import random
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

from safegen.nouns import Value
from safegen.policy.operands import Operands, operands

_OTHER_TEXT = "something else"
_TENTHS = [tenth / 10 for tenth in range(11)]
LIMIT = 4096  # points tried of one condition, or of two together


def values_of(
    conditions: Sequence[str],
    variables: Iterable[str],
    all_or_none: Collection[str] = (),
) -> dict[str, list[Value]]:
    """For each variable, the values that stand for all others in these conditions.

    The first of each is what a harmless request without context has; the last of a text is one
    that no condition names. Of scores that a condition calculates with, they are a sample; those of
    `all_or_none` are 0 or 1 and nothing between.
    """
    found = [operands(text) for text in conditions]
    calculated = set().union(*(each.calculated for each in found))
    cuts = cuts_of(conditions)
    kinds: dict[str, list[Value]] = {
        "score": [*_with_between(cuts)],
        "fact": [False, True],
    }
    finer: list[Value] = [*_with_between(sorted({*cuts, *_TENTHS}))]

    def values(name: str) -> list[Value]:
        kind = name.partition(".")[0]
        if name in all_or_none:
            return [0.0, 1.0]
        if kind == "request":
            return _texts(name, found, whole=name not in calculated)
        return finer if kind == "score" and name in calculated else kinds[kind]

    return {name: values(name) for name in variables}


def _texts(name: str, found: Iterable[Operands], *, whole: bool) -> list[Value]:
    """The texts that a variable is compared with, as they come, or all if there is more to it."""
    compared = [text for each in found for variable, text in each.compared if variable == name]
    every = sorted(set().union(*(each.texts for each in found)))
    texts = dict.fromkeys(text for text in (compared if whole else every) if text)
    other = _OTHER_TEXT
    while other in every:
        other += "!"
    return ["", *texts, other]


def cuts_of(conditions: Iterable[str]) -> list[float]:
    """The scores at which conditions change: the numbers in them, and both ends."""
    numbers = (number for text in conditions for number in operands(text).numbers)
    return sorted({0.0, 1.0, *(number for number in numbers if number < 1)})


def _with_between(cuts: Sequence[float]) -> list[float]:
    """The cuts, and a number between any two of them, a short one where there is one."""
    between = []
    for low, high in itertools.pairwise(cuts):
        middle = (low + high) / 2
        short = round(middle, 9)
        between.append(short if low < short < high else middle)
    return sorted({*cuts, *between})


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

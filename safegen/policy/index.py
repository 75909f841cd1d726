"""Many conditions at once, of which most need not be evaluated.

Most rules wait for something rare: a high score, a fact, one tenant. Conditions that wait for the
same lie in one bundle, which sleeps until that is so.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from itertools import compress
from typing import Any, NamedTuple

from safegen.nouns import Value, Values
from safegen.policy.conditions import Condition, Together
from safegen.policy.operands import Requirement, needs

_TYPES = {"score": float, "fact": bool, "request": str}
_CALL = 20  # conditions that are evaluated in the time that it takes to call a program
_SEVERAL = 4  # bundles that a condition may lie in; each is a program to compile it into

_Key = tuple[str, Value | None]


class _Bundle(NamedTuple):
    """Conditions that wait for the same: their places among all, and what tells which hold."""

    places: Sequence[int]
    together: Together


class Index:
    """Conditions, and for what each of them waits."""

    def __init__(
        self,
        conditions: Sequence[Condition],
        together: Callable[[Iterable[Condition]], Together],
    ) -> None:
        """Bundle conditions.

        Args:
            conditions: all, in their order.
            together: makes few programs of many.
        """
        names = {name for each in conditions for name in each.variables}
        self._types = {name: _TYPES[name.partition(".")[0]] for name in names}
        self._texts = [name for name, kind in self._types.items() if kind is str]
        self._all = _Bundle(range(len(conditions)), together(conditions))
        known = [
            [needed for needed in needs(each.text) if len(needed) <= _SEVERAL]
            for each in conditions
        ]
        common = Counter(_key(need) for sets in known for needed in sets for need in needed)
        self._least: dict[str, float] = {}
        waiting: dict[_Key | None, set[int]] = defaultdict(set)
        for at, sets in enumerate(known):
            # It waits for what the fewest wait for, since all that do are evaluated with it.
            waits = min(sets, key=lambda needed: sum(common[_key(n)] for n in needed), default=())
            for variable, value in waits:
                waiting[_key(Requirement(variable, value))].add(at)
                if isinstance(value, float):
                    self._least[variable] = min(value, self._least.get(variable, value))
            if not waits:
                waiting[None].add(at)

        def bundle(places: Sequence[int]) -> _Bundle:
            if _CALL + len(places) >= len(conditions):
                return self._all
            return _Bundle(places, together(conditions[at] for at in places))

        self._bundles = {key: bundle(sorted(each)) for key, each in waiting.items()}
        self._alike = {key[0] for key in waiting if key is not None} - self._least.keys()

    def holding(self, values: Values, activation: Any) -> list[int] | None:
        """The places of those that hold, exactly as if each were evaluated.

        None if that must be done, for one cannot be evaluated: each by itself then says which.
        """
        awake = self._awake(values)
        if sum(_CALL + len(each.places) for each in awake) >= len(self._all.places):
            awake = [self._all]
        holding: set[int] = set()
        for each in awake:
            held = each.together.holding(activation)
            if held is None:
                return None
            holding.update(compress(each.places, held))
        return sorted(holding)

    def _awake(self, values: Values) -> list[_Bundle]:
        """All bundles but those that certainly sleep."""
        # What a value of another type does, or a text that CEL would cut short or cannot take, is
        # for CEL to say.
        if not (
            all(type(values.get(name)) is kind for name, kind in self._types.items())
            and all(str(values[name]).isprintable() for name in self._texts)
        ):
            return [self._all]
        keys: list[_Key | None] = [None]
        # What is no number is not below it.
        keys += [(n, None) for n, least in self._least.items() if not float(values[n]) < least]
        keys += [(name, values[name]) for name in self._alike]
        return [self._bundles[key] for key in keys if key in self._bundles]


def _key(need: Requirement) -> _Key:
    """What is waited for, scores with whatever least value: one bundle for all."""
    return need.variable, None if isinstance(need.value, float) else need.value

"""What two policies set beside their rules: how images are looked at, what is kept, and more."""

from collections import Counter
from collections.abc import Iterator
from typing import Any

from safegen.nouns import Frozen
from safegen.policy.schema import PolicyFile

# Names and tests change nothing that happens; what rules do shows in decisions.
_APART = {"apiVersion", "metadata", "imports", "without", "rules", "tests"}


class Setting(Frozen):
    """A value of a policy file that differs, by its keys joined by points; in words."""

    name: str
    before: str
    after: str


def differing(old: PolicyFile, new: PolicyFile) -> tuple[Setting, ...]:
    """Every setting apart from the rules that differs between two policies, imports included."""
    before, after = (policy.model_dump(exclude=_APART) for policy in (old, new))
    return tuple(_differing("", before, after))


def _differing(name: str, before: Any, after: Any) -> Iterator[Setting]:
    if before == after:
        return
    if isinstance(before, dict) and isinstance(after, dict):
        for key in {**before, **after}:
            inner = f"{name}.{key}" if name else str(key)
            yield from _differing(inner, before.get(key), after.get(key))
    elif _is_list(before) and _is_list(after):
        old, new = (Counter(map(_words, each)) for each in (before, after))
        gone, come = ", ".join((old - new).elements()), ", ".join((new - old).elements())
        if not gone and not come:
            gone, come = _words(before), "the same in another order"
        yield Setting(name=name, before=gone or "nothing", after=come or "nothing")
    else:
        yield Setting(name=name, before=_words(before), after=_words(after))


def _is_list(value: Any) -> bool:
    """Whether it has items to compare; a band is told whole."""
    return isinstance(value, list | tuple) and not all(isinstance(each, float) for each in value)


def _words(value: Any) -> str:
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, dict):
        set_here = {key: each for key, each in value.items() if each not in (None, {}, ())}
        said = [f"{key} {_words(each)}" for key, each in set_here.items()]
        return f"({', '.join(said)})" if said else "as by default"
    if isinstance(value, list | tuple):
        return ", ".join(map(_words, value)) or "nothing"
    return str(value)

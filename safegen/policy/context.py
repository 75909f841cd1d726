"""The values that a policy knows of what the caller says of a request: its section `context`.

Rules compare texts letter by letter, so that "EU" where a policy says "eu" would put its rules to
sleep. What is declared is matched whatever its case, before any rule sees it, as a function of the
policy and the context alone: what is recorded is replayed the same.
"""

from collections.abc import Iterable, Mapping
from functools import lru_cache

from safegen.arguments import demand
from safegen.errors import InputError, did_you_mean, nearest
from safegen.nouns import Context
from safegen.policy.load import Document
from safegen.policy.operands import operands
from safegen.policy.schema import ContextName, KnownValues, folded
from safegen.policy.whole import PlacedRule

Known = Mapping[ContextName, KnownValues]


def settled(context: Context, known: Known) -> Context:
    """The context with each declared value as the policy spells it; unsaid values stay so.

    Raises:
        InputError: a value is not declared, and others are refused; or it is no context.
    """
    demand("context", context, Context, "give a `Context`, for instance Context(tenant=…)")
    spelled: dict[str, str | None] = {}
    for name, declared in known.items():
        given = getattr(context, name)
        spelled[name] = _spelled(given, declared)
        if spelled[name] is None:
            near = nearest(given, declared.values)
            raise InputError(
                f"the policy does not know the {name} {given!r}; it knows "
                f"{', '.join(declared.values)}",
                (f"did you mean {near}? " if near else "")
                + "leave it empty where it is not known, or add the "
                "value to the policy's section `context`",
            )
    return context.model_copy(update=spelled)


def _spelled(given: str, declared: KnownValues) -> str | None:
    """A value as it is declared, as it is if it is not, or None if it is refused."""
    unlisted = given if declared.others == "allow" else None
    return _spellings(declared.values).get(folded(given), unlisted)


@lru_cache(maxsize=256)
def _spellings(values: tuple[str, ...]) -> dict[str, str]:
    return {folded(value): value for value in ("", *values)}


def united(one: Known, other: Known) -> dict[ContextName, KnownValues]:
    """All values of both, spelled as the first does; what either refuses is refused."""
    both = {**one}
    for name, added in other.items():
        first = both.get(name, added)
        spelled = {folded(value): value for value in (*added.values, *first.values)}
        both[name] = KnownValues(
            values=tuple(dict.fromkeys(spelled[folded(v)] for v in (*first.values, *added.values))),
            others="refuse" if "refuse" in (first.others, added.others) else "allow",
        )
    return both


def check_compared(rules: Iterable[PlacedRule], known: Known) -> None:
    """Check the texts that rules compare what is declared with.

    Raises:
        PolicyError: no request can have one of them.
    """
    by_name = {str(name): declared for name, declared in known.items()}
    for placed in rules:
        for variable, text in operands(placed.rule.when).compared:
            name = variable.partition(".")[2]
            if name not in by_name or (spelled := _spelled(text, by_name[name])) == text:
                continue
            add = f"{did_you_mean(text, by_name[name].values)}; or add it to the section `context`"
            raise placed.error(
                ("when",),
                f"it compares {variable} with {text!r}, which no request can have",
                add if spelled is None else f"write {spelled!r}, as the section `context` does",
            )


def check_contexts(document: Document, known: Known) -> None:
    """Check the contexts of test cases.

    Raises:
        PolicyError: the policy does not know a value of one.
    """
    for number, case in enumerate(document.file.tests):
        for name in known:
            try:
                settled(case.context, {name: known[name]})
            except InputError as error:
                place = ("tests", number, "context", name)
                raise document.error(place, error.message, error.mend) from error

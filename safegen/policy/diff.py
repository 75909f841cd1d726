"""What differs between two policies: over prompts, and over the values that their rules look at."""

from collections.abc import Iterable, Iterator, Sequence

from safegen.nouns import Context, Scores, Value
from safegen.policy.compare import Comparison, Pair, compare, decided, named
from safegen.policy.grid import is_whole, points, values_of
from safegen.policy.operands import operands
from safegen.policy.policy import CompiledRule, Policy
from safegen.policy.sections import differing

_TOGETHER = 1024  # grid points for all rules together
_ALONE, _LEAST, _MOST = 8192, 8, 256  # for single rules: in all, and for each


def diff(old: Policy, new: Policy, prompts: Iterable[str] = ()) -> Comparison:
    """Compare two policies: over their tests' prompts, further prompts, a grid, and by settings.

    On the grid every rule is tried where it changes, with nothing else said of the request; then
    all rules together, on a sample that is the same each time.

    Raises:
        ClassifierError: a classifier failed.
    """
    tests = (
        (case.prompt, case.context)
        for policy in (old, new)
        for case in policy.file.tests
        if case.prompt is not None
    )
    requests = [
        *(("tests", prompt, context) for prompt, context in dict.fromkeys(tests)),
        *(("prompts", prompt, Context()) for prompt in prompts),
    ]

    def pair(name: str, source: str, context: Context, given: Sequence[Scores]) -> Pair:
        gists = (
            decided(policy, scores, context)
            for policy, scores in zip((old, new), given, strict=True)
        )
        return Pair(name, source, context, given[0], *gists)

    def pairs() -> Iterator[Pair]:
        for source, prompt, context in requests:
            given = [policy.classify([prompt])[0] for policy in (old, new)]
            yield pair(prompt, source, context, given)
        for point in _grid([old, new]):
            scores, context = _request(point)
            said = ", ".join(f"{name} = {value}" for name, value in point.items() if value)
            yield pair(said or "nothing said", "grid", context, [scores, scores])

    found = compare(named(old), named(new), pairs())
    settings = differing(old.file, new.file)
    return found.model_copy(update={"settings": settings, "unsure": _unsure(old, new)})


def _alone(policies: Sequence[Policy]) -> tuple[dict[str, dict[str, list[Value]]], int]:
    """For each rule, the values at which it changes in any of the policies, and how many to try."""
    rules: dict[str, list[CompiledRule]] = {}
    for each in (each for policy in policies for each in policy.rules):
        rules.setdefault(each.rule.id, []).append(each)
    values = {
        name: values_of(
            [each.rule.when for each in alike],
            dict.fromkeys(name for each in alike for name in each.condition.variables),
        )
        for name, alike in rules.items()
    }
    return values, min(_MOST, max(_LEAST, _ALONE // len(values)))


def _unsure(old: Policy, new: Policy) -> tuple[str, ...]:
    """Rules that differ, and of which the grid does not hold all that matters."""
    values, most = _alone([old, new])
    before, after = ({each.id: each for each in policy.file.rules} for policy in (old, new))
    return tuple(
        name
        for name, tried in values.items()
        if before.get(name) != after.get(name)
        and (
            not is_whole(tried, most)
            or any(
                operands(rules[name].when).calculated for rules in (before, after) if name in rules
            )
        )
    )


def _grid(policies: Sequence[Policy]) -> Iterator[dict[str, Value]]:
    """Points for every variable that either policy needs, each point once."""
    names = sorted({name for policy in policies for name in policy.needed})
    calm = {name: values[0] for name, values in values_of([], names).items()}
    alone, most = _alone(policies)
    together = values_of([each.rule.when for policy in policies for each in policy.rules], names)
    seen = set()
    for point in (
        *(point for values in alone.values() for point in points(values, most)),
        *points(together, _TOGETHER),
    ):
        whole = calm | point
        if (key := tuple(whole.values())) not in seen:
            seen.add(key)
            yield whole


def _request(point: dict[str, Value]) -> tuple[Scores, Context]:
    kinds: dict[str, dict[str, Value]] = {"score": {}, "fact": {}, "request": {}}
    for name, value in point.items():
        kind, _, rest = name.partition(".")
        kinds[kind][rest] = value
    scores = Scores.model_validate({"values": kinds["score"], "facts": kinds["fact"]})
    return scores, Context.model_validate(kinds["request"])

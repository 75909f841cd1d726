"""What differs between two policies: over prompts, and over the values that their rules look at."""

from collections.abc import Iterable, Iterator, Sequence
from functools import partial

from safegen.nouns import Context, Scores
from safegen.policy.compare import (
    Comparison,
    Pair,
    compare,
    decided,
    drawn_concepts,
    named,
)
from safegen.policy.grid import Value, points, values_of
from safegen.policy.policy import Policy

_TOGETHER = 1024  # grid points for all rules together
_ALONE, _LEAST, _MOST = 8192, 8, 256  # for single rules: in all, and for each


def diff(old: Policy, new: Policy, prompts: Iterable[str] = ()) -> Comparison:
    """Compare two policies over their tests' prompts, further prompts, and a grid of values.

    On the grid every rule is tried where it changes, with nothing else said of the request; then
    all rules together, on a sample that is the same each time.

    Raises:
        ClassifierError: a classifier failed.
    """
    apart = drawn_concepts(old) | drawn_concepts(new)
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
            decided(partial(policy.decide, scores, context), apart, policy)
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

    return compare(named(old), named(new), pairs())


def _grid(policies: Sequence[Policy]) -> Iterator[dict[str, Value]]:
    """Points for every variable that either policy needs, each point once."""
    rules = [each for policy in policies for each in policy.rules]
    names = sorted({name for policy in policies for name in policy.needed})
    calm = {name: values[0] for name, values in values_of([], names).items()}
    alone = {each.rule.when: each.condition.variables for each in rules}
    each_rule = min(_MOST, max(_LEAST, _ALONE // len(alone)))
    tried = [values_of([when], variables) for when, variables in alone.items()]
    together = values_of(list(alone), names)
    seen = set()
    for point in (
        *(point for values in tried for point in points(values, each_rule)),
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

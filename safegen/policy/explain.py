"""Why a prompt got its decision: the rules that fired, and those that nearly did."""

import bisect
import itertools
import math
from collections.abc import Iterable, Mapping, Sequence
from itertools import chain

from pydantic import Field

from safegen.errors import PolicyError
from safegen.nouns import Context, Decision, FiredAction, Frozen, Scores, Span, Value, Values
from safegen.policy.evaluate import fired_action
from safegen.policy.grid import cuts_of, values_of
from safegen.policy.operands import operands
from safegen.policy.policy import CompiledRule, Policy
from safegen.risk import TermClassifier

_VERBS = {"review": "send to review"}  # of the rest, the action is the verb


class Need(Frozen):
    """One operand that was in the way: what it was, and what the rule needs it to be."""

    variable: str
    saw: Value
    needs: str
    distance: float


class NearMiss(Frozen):
    """A rule that did not fire, and the least that had to be different.

    `evident`: some score or fact that it reads was found in the prompt.
    """

    rule: str
    action: FiredAction
    needs: tuple[Need, ...]
    evident: bool = False

    @property
    def distance(self) -> float:
        """How far it is from firing; a fact or a text that is not as needed counts 1."""
        return sum(need.distance for need in self.needs)

    @property
    def nearness(self) -> tuple[bool, int, float]:
        """What near misses are ordered by: what the prompt holds counts before what it lacks."""
        return not self.evident, sum(not need.saw for need in self.needs), self.distance


class Word(Frozen):
    """A piece of the prompt, and the score or fact that it gave."""

    name: str
    text: str


class Explanation(Frozen):
    """All that is known about one decision."""

    decision: Decision
    scores: Scores
    words: tuple[Word, ...]
    excused: tuple[Word, ...] = Field(
        default=(), description="words of lists that do not count here, by the lists' exceptions"
    )
    misses: tuple[NearMiss, ...]
    further: int = Field(default=0, description="near misses that are left out of `misses`")
    priorities: dict[str, int] = Field(
        default={}, description="of the rules that fired, where it is not 0"
    )


def explain(policy: Policy, prompt: str, context: Context, most: int = 5) -> Explanation:
    """Decide about a prompt and explain it, with at most `most` near misses.

    Rules that found something in the prompt come first; of these and of the others those for which
    least would have to be found that is not there; of these the nearest.

    Raises:
        ClassifierError: a classifier failed.
        PolicyError: a condition cannot be evaluated.
    """
    scores, decision = policy.assess(prompt, context)
    values = policy.values(scores, context)
    fired = {rule.id for rule in decision.rules}
    others = [each for each in policy.rules if each.rule.id not in fired]
    misses: list[NearMiss] = []
    for changes in (1, 2):  # two are only asked about if no rule lacks just one
        if not misses:
            found = (_miss(policy, each, values, changes) for each in others)
            misses = [miss for miss in found if miss]
    lists = (each for each in policy.classifiers if isinstance(each, TermClassifier))
    excused = chain.from_iterable(each.excused(prompt) for each in lists)
    nearest = sorted(misses, key=lambda miss: miss.nearness)
    return Explanation(
        decision=decision,
        scores=scores,
        words=_words(scores.spans, prompt),
        excused=_words(excused, prompt),
        misses=tuple(nearest[:most]),
        further=len(nearest[most:]),
        priorities={
            each.rule.id: each.rule.priority
            for each in policy.rules
            if each.rule.priority and each.rule.id in fired
        },
    )


def told(explanation: Explanation) -> list[str]:
    """The explanation in plain words, line by line."""
    decision = explanation.decision
    lines = [decision.outcome + (f", because of {decision.reason}" if decision.reason else "")]
    lines += [
        f"  {text!r} counts as {', '.join(names)}" for text, names in _named(explanation.words)
    ]
    lines += [
        f"  {text!r} does not count as {', '.join(names)}, by an exception of the list"
        for text, names in _named(explanation.excused)
    ]
    lines.append("rules that fired:" if decision.rules else "no rule fired")
    for rule in decision.rules:
        saw = ", ".join(f"{name} = {_plain(value)}" for name, value in rule.values.items())
        action = rule.action.removeprefix("would_")
        verb = _VERBS.get(action, action)
        does = f"would {verb}" if action != rule.action else f"to {verb}"
        priority = explanation.priorities.get(rule.id)
        before = f", priority {priority}" if priority else ""
        lines.append(f"  {rule.id}, {does}{before}, saw {saw or 'nothing'}")
    if explanation.misses:
        lines.append("rules that nearly fired:")
    for miss in explanation.misses:
        needs = " and ".join(f"{n.variable} {n.needs} (it is {_plain(n.saw)})" for n in miss.needs)
        action = miss.action.removeprefix("would_")
        would = "only record, as a shadow, that it would " if action != miss.action else ""
        lines.append(f"  {miss.rule} would {would}{_VERBS.get(action, action)} with {needs}")
    if explanation.further:
        lines.append(f"  and {explanation.further} more")
    return lines


def _words(spans: Iterable[Span], prompt: str) -> tuple[Word, ...]:
    return tuple(Word(name=span.name, text=prompt[span.start : span.end]) for span in spans)


def _named(words: Iterable[Word]) -> list[tuple[str, list[str]]]:
    """Each text with all that it is said to be."""
    named: dict[str, list[str]] = {}
    for word in words:
        named.setdefault(word.text, []).append(word.name)
    return list(named.items())


def _miss(policy: Policy, each: CompiledRule, values: Values, changes: int) -> NearMiss | None:
    """The least change of so many operands at which the rule fires.

    What the condition calculates with stays as it is: where that would have to be is not known. A
    score that lists alone give can only become all that it is not.
    """
    calculated = operands(each.rule.when).calculated
    variables = [name for name in each.condition.variables if name not in calculated]
    tried = values_of([each.rule.when], variables)
    cuts = cuts_of([each.rule.when])
    best: dict[str, Value] = {}
    least = (changes, math.inf)  # how many would be found that are not there, and how far
    for names in itertools.combinations(tried, changes):
        for point in itertools.product(*(tried[name] for name in names)):
            changed = dict(zip(names, point, strict=True))
            distance = sum(_distance(values[name], value, cuts) for name, value in changed.items())
            cost = sum(not values[name] for name in names), distance
            if cost >= least or not would_fire(policy, each, {**values, **changed}):
                continue
            turned = {name: 1.0 - float(values[name]) for name in policy.all_or_none & {*names}}
            if would_fire(policy, each, {**values, **changed, **turned}):
                best, least = changed, cost
    if not best:
        return None
    ranges = _ranges(policy, each, values, best, tried)
    needs = (_need(name, values[name], ranges[name], tried[name], cuts) for name in best)
    return NearMiss(
        rule=each.rule.id,
        action=fired_action(each.rule),
        needs=tuple(needs),
        evident=any(values[v] for v in each.condition.variables if not v.startswith("request.")),
    )


def would_fire(policy: Policy, each: CompiledRule, values: Values) -> bool:
    """Whether a rule fires at these values; one that cannot be evaluated at them does not."""
    try:
        return bool(policy.firing(values, [each]))
    except PolicyError:  # it would stop the request as an error, which is no firing
        return False


def _ranges(
    policy: Policy,
    each: CompiledRule,
    values: Values,
    changed: Mapping[str, Value],
    tried: Mapping[str, list[Value]],
) -> dict[str, list[Value]]:
    """The values, from the nearest on, at all of which the rule fires, whichever are combined."""
    ranges = {name: [value] for name, value in changed.items()}
    for name, value in changed.items():
        if not isinstance(value, float):
            continue
        onwards = tried[name] if value > float(values[name]) else tried[name][::-1]
        for further in onwards[onwards.index(value) + 1 :]:
            points = itertools.product(*(ranges | {name: [further]}).values())
            if not all(
                would_fire(policy, each, {**values, **dict(zip(ranges, point, strict=True))})
                for point in points
            ):
                break
            ranges[name].append(further)
    return ranges


def _need(
    name: str, saw: Value, fitting: Sequence[Value], tried: Sequence[Value], cuts: list[float]
) -> Need:
    nearest, furthest = fitting[0], fitting[-1]
    distance = _distance(saw, nearest, cuts)
    if isinstance(nearest, float) and isinstance(furthest, float) and isinstance(saw, float):
        needs = _limits(nearest, furthest, cuts, more=nearest > saw)
    elif name.startswith("request.") and nearest == tried[-1]:
        needs = "something else"
    else:
        needs = _plain(nearest)
    return Need(variable=name, saw=saw, needs=needs, distance=distance)


def _distance(saw: Value, value: Value, cuts: list[float]) -> float:
    if isinstance(saw, float) and isinstance(value, float):
        return abs(saw - _edge(value, cuts, above=value < saw))
    return 1.0


def _limits(nearest: float, furthest: float, cuts: list[float], *, more: bool) -> str:
    """All numbers from one tried value to another, in words."""
    if nearest == furthest and nearest in cuts:
        return f"exactly {_number(nearest)}"
    limits = [_limit(nearest, cuts, more=more)]
    if furthest != cuts[-1 if more else 0]:
        limits.append(_limit(furthest, cuts, more=not more))
    return " and ".join(limits)


def _limit(value: float, cuts: list[float], *, more: bool) -> str:
    """A tried value as a limit: a cut itself, or what lies between two of them, without these."""
    edge = _number(_edge(value, cuts, above=not more))
    if value in cuts:
        return f"{edge} or {'more' if more else 'less'}"
    return f"{'above' if more else 'below'} {edge}"


def _edge(value: float, cuts: list[float], *, above: bool) -> float:
    """The value itself if it is a cut, else the cut next to it."""
    at = bisect.bisect_left(cuts, value)
    return cuts[at] if above or cuts[at] == value else cuts[at - 1]


def _number(value: float) -> str:
    return f"{value:.15g}"


def _plain(value: Value) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return f"{value:g}" if isinstance(value, float) else repr(value)

"""Why a prompt got its decision: the rules that fired, and those that nearly did."""

import itertools

from pydantic import Field

from safegen.errors import PolicyError
from safegen.nouns import Context, Decision, Frozen, Scores
from safegen.policy.evaluate import Values
from safegen.policy.grid import Value, values_of
from safegen.policy.policy import CompiledRule, Policy

_VERBS = {"block": "block", "review": "send to review", "steer": "steer", "check": "check"}


class Need(Frozen):
    """One operand that was in the way: what it was, and what the rule needs it to be."""

    variable: str
    saw: float | bool | str
    needs: str
    distance: float


class NearMiss(Frozen):
    """A rule that did not fire, and the least that had to be different."""

    rule: str
    action: str
    needs: tuple[Need, ...]

    @property
    def distance(self) -> float:
        """How far it is from firing; a fact or a text that is not as needed counts 1."""
        return sum(need.distance for need in self.needs)


class Word(Frozen):
    """A piece of the prompt, and the score or fact that it gave."""

    name: str
    text: str


class Explanation(Frozen):
    """All that is known about one decision."""

    decision: Decision
    scores: Scores
    words: tuple[Word, ...]
    misses: tuple[NearMiss, ...]
    priorities: dict[str, int] = Field(
        default={}, description="of the rules that fired, where it is not 0"
    )


def explain(policy: Policy, prompt: str, context: Context, most: int = 5) -> Explanation:
    """Decide about a prompt and explain it, with at most `most` near misses, nearest first.

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
    words = tuple(Word(name=span.name, text=prompt[span.start : span.end]) for span in scores.spans)
    nearest = sorted(misses, key=lambda miss: miss.distance)
    return Explanation(
        decision=decision,
        scores=scores,
        words=words,
        misses=tuple(nearest[:most]),
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
    words: dict[str, list[str]] = {}
    for word in explanation.words:
        words.setdefault(word.text, []).append(word.name)
    lines += [f"  {text!r} counts as {', '.join(names)}" for text, names in words.items()]
    lines.append("rules that fired:" if decision.rules else "no rule fired")
    for rule in decision.rules:
        saw = ", ".join(f"{name} = {_plain(value)}" for name, value in rule.values.items())
        action = rule.action.removeprefix("would_")
        does = f"would {_VERBS[action]}" if action != rule.action else f"to {_VERBS[action]}"
        priority = explanation.priorities.get(rule.id)
        before = f", priority {priority}" if priority else ""
        lines.append(f"  {rule.id}, {does}{before}, saw {saw or 'nothing'}")
    if explanation.misses:
        lines.append("rules that nearly fired:")
    for miss in explanation.misses:
        needs = " and ".join(f"{n.variable} {n.needs} (it is {_plain(n.saw)})" for n in miss.needs)
        lines.append(f"  {miss.rule} would {_VERBS[miss.action]} with {needs}")
    return lines


def _miss(policy: Policy, each: CompiledRule, values: Values, changes: int) -> NearMiss | None:
    """The least change of so many operands at which the rule fires."""
    tried = values_of([each.rule.when], each.condition.variables)
    best: NearMiss | None = None
    for names in itertools.combinations(tried, changes):
        for point in itertools.product(*(tried[name] for name in names)):
            changed = dict(zip(names, point, strict=True))
            needs = tuple(
                _need(name, values[name], value, tried[name]) for name, value in changed.items()
            )
            miss = NearMiss(rule=each.rule.id, action=each.rule.then.action, needs=needs)
            nearer = best is None or miss.distance < best.distance
            if nearer and _fires(policy, each, {**values, **changed}):
                best = miss
    return best


def _fires(policy: Policy, each: CompiledRule, values: Values) -> bool:
    try:
        return bool(policy.firing(values, [each]))
    except PolicyError:  # it would stop the request as an error, which is no firing
        return False


def _need(name: str, saw: Value, value: Value, tried: list[Value]) -> Need:
    needs, distance = _plain(value), 1.0
    if isinstance(saw, float) and isinstance(value, float):
        scores = [each for each in tried if isinstance(each, float)]
        needs, edge = _limit(value, scores, more=value > saw)
        distance = abs(saw - edge)
    return Need(variable=name, saw=saw, needs=needs, distance=distance)


def _limit(value: float, tried: list[float], *, more: bool) -> tuple[str, float]:
    """A value in words, and the number that a condition compares with: every second one tried."""
    at = tried.index(value)
    if at % 2 == 0:
        return f"{value:g} or {'more' if more else 'less'}", value
    edge = tried[at - 1] if more else tried[at + 1]
    return f"{'above' if more else 'below'} {edge:g}", edge


def _plain(value: Value) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return f"{value:g}" if isinstance(value, float) else repr(value)

"""From the rules that fired to a decision: pure functions of the policy, the rules and the context.

Same policy text, same values, same context: the same decision, for ever.
"""

from collections.abc import Iterable, Sequence
from functools import reduce
from operator import itemgetter
from typing import NamedTuple

from safegen.nouns import (
    Action,
    Agreement,
    AnyCheck,
    Check,
    Context,
    Decision,
    FiredAction,
    FiredRule,
    Intervention,
    Outcome,
    Scores,
    Values,
    Window,
)
from safegen.policy.draw import draw
from safegen.policy.schema import Fair, PolicyFile, Rule, Windowed

_OUTCOMES: dict[Action, Outcome] = {
    "block": Outcome.BLOCKED,
    "review": Outcome.REVIEW,
    "steer": Outcome.STEERED,
    "check": Outcome.ALLOWED,
    "mark": Outcome.ALLOWED,
}
_SHADOWS: dict[Action, FiredAction] = {
    "block": "would_block",
    "review": "would_review",
    "steer": "would_steer",
    "check": "would_check",
    "mark": "would_mark",
}


def decide(
    policy: PolicyFile,
    digest: str,
    fired: Sequence[tuple[Rule, Values]],
    scores: Scores,
    context: Context,
) -> Decision:
    """The decision, given the rules whose condition held and the values that each saw.

    `fired` is in the order of the policy's rules, in which the higher priority comes first. The
    gravest outcome wins (block > review > steered > allowed), its reason is that of the first
    such rule; steers compose (of one concept, the strongest, and never less than what a locked rule
    asks for); negative prompts join; so do checks (of one label, the lowest threshold); one rule
    that wants the images marked is enough; shadow rules only leave their trace in `rules`.
    """
    rules = [rule for rule, _ in fired if rule.enforce == "on"]
    gravest = max(rules, key=lambda rule: outcome_of(rule).gravity, default=None)
    outcome = outcome_of(gravest) if gravest else Outcome.ALLOWED
    decided = Decision(
        outcome=outcome,
        reason=gravest.then.reason if gravest else "",
        rules=tuple(_mark(rule, values) for rule, values in fired),
        policy=policy.metadata.name,
        policy_digest=digest,
    )
    if outcome.stops:
        return decided
    negative = dict.fromkeys(r.then.negative_prompt for r in rules if r.then.negative_prompt)
    return decided.model_copy(
        update={
            "interventions": _interventions(rules, scores, context, digest),
            "negative_prompt": ", ".join(negative),
            "checks": strictest([*policy.checks, *(c for r in rules for c in r.then.check)]),
            "ladder": policy.ladder,
            "early_look": policy.early_look.at if policy.early_look else None,
            "mark": any(r.then.mark for r in rules),
        }
    )


def outcome_of(rule: Rule) -> Outcome:
    """The outcome of a rule that fires alone."""
    return _OUTCOMES[rule.then.action]


def fired_action(rule: Rule) -> FiredAction:
    """What a rule does if it fires, as records say it: of a shadow, what it would have done."""
    action = rule.then.action
    return action if rule.enforce == "on" else _SHADOWS[action]


def _mark(rule: Rule, values: Values) -> FiredRule:
    return FiredRule(
        id=rule.id,
        action=fired_action(rule),
        reason=rule.then.reason,
        values=dict(values),
    )


def strictest(checks: Iterable[AnyCheck]) -> tuple[AnyCheck, ...]:
    """One check per detector and label: the one with the lowest threshold; and every agreement."""
    by_label: dict[object, AnyCheck] = {}
    for check in checks:
        if isinstance(check, Agreement):
            by_label[check] = check
            continue
        known = by_label.setdefault((check.detector, check.label), check)
        if isinstance(known, Check) and check.threshold < known.threshold:
            by_label[check.detector, check.label] = check
    return tuple(by_label.values())


def _interventions(
    rules: Sequence[Rule], scores: Scores, context: Context, digest: str
) -> tuple[tuple[Intervention, ...], ...]:
    """What is added to each image; empty if nothing is added to any."""
    locks = {rule.id: at for at, rule in enumerate(rules) if rule.locked}
    steers = [
        _Asked(_intervention(steer.concept, steer.strength, steer, scores), locks.get(rule.id))
        for rule in rules
        for steer in rule.then.steer
    ]
    drawn_by = draws_of(rules)
    draws = {name: (fair.target, fair.mode) for name, (fair, _) in drawn_by.items()}
    images = draw(draws, context.images, f"{digest}/{context.seed}")
    per_image = tuple(
        _composed(
            [
                *(
                    _Asked(_intervention(c, fair.strength_of(c), fair, scores), locks.get(rule))
                    for n, c in image.items()
                    for fair, rule in [drawn_by[n]]
                ),
                *steers,
            ]
        )
        for image in images
    )
    return per_image if any(per_image) else ()


class _Asked(NamedTuple):
    """What a rule asks for, and where it stands among those that fired, if it is locked."""

    what: Intervention
    lock: int | None


def draws_of(rules: Iterable[Rule]) -> dict[str, tuple[Fair, str]]:
    """By attribute, what is drawn of it and the id of the rule: the first that does."""
    draws: dict[str, tuple[Fair, str]] = {}
    for rule in rules:
        if fair := rule.then.fair:
            draws.setdefault(fair.attribute, (fair, rule.id))
    return draws


def _intervention(concept: str, strength: float, how: Windowed, scores: Scores) -> Intervention:
    risk = scores.values[how.follow] if how.follow else 1.0
    return at_strength(concept, strength * risk, how)


def at_strength(concept: str, strength: float, how: Windowed) -> Intervention:
    """A concept at a strength, when and how a rule says."""
    return Intervention(
        concept=concept,
        strength=strength,
        **{name: getattr(how, name) for name in Window.model_fields},
    )


def does_no_less(one: Intervention, least: Intervention) -> bool:
    """Whether, at every step, an intervention turns the same way as another and no less."""
    if not _sign(least):
        return True
    return _sign(one) == _sign(least) and _covering(one, least) == one


def _composed(asked: Iterable[_Asked]) -> tuple[Intervention, ...]:
    """One intervention per concept."""
    by_concept: dict[str, list[_Asked]] = {}
    for each in asked:
        by_concept.setdefault(each.what.concept, []).append(each)
    return tuple(map(_of_one_concept, by_concept.values()))


def _of_one_concept(asked: Sequence[_Asked]) -> Intervention:
    """The strongest, of equals the one that acts most, or the first.

    Beside a locked rule's none is chosen, for none need do as much at every step: what acts covers
    all that turn the same way.
    """
    locked = [(each.lock, _sign(each.what)) for each in asked if each.lock is not None]
    first = min((each for each in locked if each[1]), key=itemgetter(0), default=None)
    if first is None:
        return max((each.what for each in asked), key=_reach)
    return reduce(_covering, (each.what for each in asked if _sign(each.what) == first[1]))


def _sign(each: Intervention) -> int:
    return (each.strength > 0) - (each.strength < 0)


def _reach(each: Intervention) -> tuple[float, float, bool, bool]:
    """How much an intervention does: its strength, for how long, wherever, at full strength."""
    window = each.stop - each.start
    return abs(each.strength), window, each.gate == "open", each.schedule == "constant"


def _covering(one: Intervention, other: Intervention) -> Intervention:
    """The least intervention that at no step does less than either; both turn the same way."""
    same_window = (one.start, one.stop) == (other.start, other.stop)
    return Intervention(
        concept=one.concept,
        strength=max(one.strength, other.strength, key=abs),
        start=min(one.start, other.start),
        stop=max(one.stop, other.stop),
        schedule=one.schedule if same_window and one.schedule == other.schedule else "constant",
        gate=one.gate if one.gate == other.gate else "open",
    )

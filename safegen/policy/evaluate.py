"""From the rules that fired to a decision: pure functions of the policy, the rules and the context.

Same policy text, same values, same context: the same decision, for ever.
"""

from collections.abc import Iterable, Mapping, Sequence

from safegen.nouns import (
    Agreement,
    AnyCheck,
    Check,
    Context,
    Decision,
    FiredRule,
    Intervention,
    Outcome,
    Scores,
    Window,
)
from safegen.policy.draw import draw
from safegen.policy.schema import PolicyFile, Rule, Windowed

_OUTCOMES = {
    "block": Outcome.BLOCKED,
    "review": Outcome.REVIEW,
    "steer": Outcome.STEERED,
    "check": Outcome.ALLOWED,
}

Values = Mapping[str, float | bool | str]


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
    such rule; steers compose (of one concept, the strongest); negative prompts join; so do checks
    (of one label, the lowest threshold); shadow rules only leave their mark in `rules`. Steers
    without strength are none, so rules that leave nothing else to steer by end as allowed.
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
    if outcome in (Outcome.BLOCKED, Outcome.REVIEW):
        return decided
    negative = dict.fromkeys(r.then.negative_prompt for r in rules if r.then.negative_prompt)
    interventions = _interventions(rules, scores, context, digest)
    return decided.model_copy(
        update={
            "outcome": Outcome.STEERED if interventions or negative else Outcome.ALLOWED,
            "interventions": interventions,
            "negative_prompt": ", ".join(negative),
            "checks": strictest([*policy.checks, *(c for r in rules for c in r.then.check)]),
            "ladder": policy.ladder,
            "early_look": policy.early_look.at if policy.early_look else None,
        }
    )


def outcome_of(rule: Rule) -> Outcome:
    """The outcome of a rule that fires alone."""
    return _OUTCOMES[rule.then.action]


def _mark(rule: Rule, values: Values) -> FiredRule:
    action: str = rule.then.action
    return FiredRule(
        id=rule.id,
        action=action if rule.enforce == "on" else f"would_{action}",
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
    steers = [
        _intervention(steer.concept, steer.strength, steer, scores)
        for rule in rules
        for steer in rule.then.steer
    ]
    draws = {}
    drawn_by = {}
    for rule in rules:
        if (fair := rule.then.fair) and fair.attribute not in drawn_by:
            drawn_by[fair.attribute] = fair
            draws[fair.attribute] = (fair.target, fair.mode)
    images = draw(draws, context.images, f"{digest}/{context.seed}")
    per_image = tuple(
        _strongest(
            [
                *(
                    _intervention(c, drawn_by[n].strength_of(c), drawn_by[n], scores)
                    for n, c in image.items()
                ),
                *steers,
            ]
        )
        for image in images
    )
    return per_image if any(per_image) else ()


def _intervention(concept: str, strength: float, how: Windowed, scores: Scores) -> Intervention:
    risk = scores.values[how.follow] if how.follow else 1.0
    return Intervention(
        concept=concept,
        strength=strength * risk,
        **{name: getattr(how, name) for name in Window.model_fields},
    )


def _strongest(interventions: Iterable[Intervention]) -> tuple[Intervention, ...]:
    """One intervention per concept: the strongest, of equals the one that acts most, or first.

    One without strength (its score was 0) is none.
    """
    by_concept: dict[str, Intervention] = {}
    for each in filter(lambda each: each.strength, interventions):
        known = by_concept.setdefault(each.concept, each)
        if _reach(each) > _reach(known):
            by_concept[each.concept] = each
    return tuple(by_concept.values())


def _reach(each: Intervention) -> tuple[float, float, bool, bool]:
    """How much an intervention does: its strength, for how long, wherever, at full strength."""
    window = each.stop - each.start
    return each.strength, window, each.gate == "open", each.schedule == "constant"

"""What a decision adds to images, told apart from chance: its steers, and the rules that draw.

An image's interventions do not say which of them were drawn; the rules that fired do.
"""

import itertools
from collections.abc import Iterable, Mapping

from safegen.nouns import Context, Decision, Intervention, Scores, Window
from safegen.policy.evaluate import Values, decide, draws_of
from safegen.policy.policy import Policy
from safegen.policy.schema import Fair, Rule


def added(policy: Policy, scores: Scores, decision: Decision) -> tuple[str, ...]:
    """What `policy` adds by its decision, in words: the steers, and each draw by its rule."""
    rules = _steering(policy, decision)
    draws = draws_of(rules)
    steers = _interventions(policy, rules, scores, dict.fromkeys(draws))
    return (*told(steers), *sorted(_drawn(fair) for fair, _ in draws.values()))


def could_add(
    policy: Policy, scores: Scores, decision: Decision, images: Iterable[Iterable[Intervention]]
) -> bool:
    """Whether `policy`, by its decision, could have drawn what was added to these images."""
    rules = _steering(policy, decision)
    draws = draws_of(rules)
    left = {frozenset(image) for image in images}
    for drawn in itertools.product(*(fair.target for fair, _ in draws.values())):
        if not left:
            break
        choice = dict(zip(draws, drawn, strict=True))
        left.discard(frozenset(_interventions(policy, rules, scores, choice)))
    return not left


def told(interventions: Iterable[Intervention]) -> list[str]:
    """Interventions in words, each once."""
    return sorted(
        {
            f"{each.concept} x{_number(each.strength)} {_window(each)}"
            + ("" if each.unit == "learned" else f" per {each.unit}")
            for each in interventions
        }
    )


def _steering(policy: Policy, decision: Decision) -> list[Rule]:
    """The rules that may add something: those that fired and count, unless the request stops."""
    fired = {rule.id for rule in decision.rules if decision.interventions}
    return [rule for rule in policy.file.rules if rule.id in fired and rule.enforce == "on"]


def _interventions(
    policy: Policy, rules: Iterable[Rule], scores: Scores, choice: Mapping[str, str | None]
) -> tuple[Intervention, ...]:
    """What the rules add to an image, if of each attribute this concept, or none, is drawn."""
    fired: list[tuple[Rule, Values]] = []
    for rule in rules:
        fair = rule.then.fair
        if fair is not None:
            concept = choice[fair.attribute]
            fair = fair.model_copy(update={"target": {concept: 1.0}}) if concept else None
        then = rule.then.model_copy(update={"fair": fair})
        fired.append((rule.model_copy(update={"then": then}), {}))
    images = decide(policy.file, policy.digest, fired, scores, Context()).interventions
    return images[0] if images else ()


def _drawn(fair: Fair) -> str:
    target = ", ".join(f"{name} {_number(share)}" for name, share in fair.target.items())
    own = "".join(f", {name} x{_number(each)}" for name, each in fair.strengths.items())
    follow = f", following {fair.follow}" if fair.follow else ""
    how = f"x{_number(fair.strength)}{own} {_window(fair)}{follow}"
    return f"{fair.attribute} {fair.mode} ({target}) {how}"


def _window(window: Window) -> str:
    ways = [way for way in (window.schedule, window.gate) if way not in ("constant", "open")]
    return " ".join([f"from {percent(window.start)} to {percent(window.stop)}", *ways])


def percent(fraction: float) -> str:
    """A fraction in percent, as exactly as it was given."""
    return f"{_number(100 * fraction)}%"


def _number(value: float) -> str:
    return f"{value + 0.0:.12g}"  # nothing is as much as minus nothing

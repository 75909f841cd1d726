"""What a decision adds to images, told apart from chance: its steers, and the rules that draw.

An image's interventions do not say which of them were drawn; the rules that fired do.
"""

import itertools
from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field

from safegen.nouns import Context, Decision, Intervention, Scores, Values, Window
from safegen.policy.draw import possible_counts
from safegen.policy.evaluate import decide, draws_of
from safegen.policy.policy import Policy
from safegen.policy.schema import Fair, Rule

_ANY = "x…"  # in words, for a strength that every request has another of


@dataclass(frozen=True, order=True)
class Told:
    """A part of what is added: what it is compared by, and words that are alike for like changes.

    What was recorded does not say whether its strength followed a score, so that the words leave
    it open; `strength` is told with them, of several changes from the least to the greatest.
    """

    exact: str
    words: str = field(compare=False)
    strength: float | None = field(default=None, compare=False)


def added(policy: Policy, scores: Scores, decision: Decision) -> tuple[Told, ...]:
    """What `policy` adds by its decision: the steers as rules give them, and each draw."""
    rules = _steering(policy, decision)
    draws = draws_of(rules)
    steers = [
        Told(_told(each), _as_given(each, rules, scores))
        for each in _interventions(policy, rules, scores, dict.fromkeys(draws))
    ]
    return (*sorted(steers), *(Told(each, each) for each in drawn(policy, decision)))


def drawn(policy: Policy, decision: Decision) -> list[str]:
    """What `policy` draws by its decision: each attribute by its rule, in words."""
    return sorted(map(_drawn, draws_by(policy, decision)))


def draws_by(policy: Policy, decision: Decision) -> list[Fair]:
    """By what `policy` draws by its decision: of each attribute the rule's part that holds."""
    return [fair for fair, _ in draws_of(_steering(policy, decision)).values()]


def recorded(decision: Decision) -> tuple[Told, ...]:
    """What was added to any of a request's images."""
    found = {
        Told(_told(each), _told(each, _ANY), each.strength)
        for image in decision.interventions
        for each in image
    }
    return tuple(sorted(found))


def with_strengths(words: str, least: float, greatest: float) -> str:
    """Words that leave a strength open, with what it was."""
    alike = f"x{number(least)}"
    return words.replace(_ANY, alike if least == greatest else f"{alike} to x{number(greatest)}", 1)


def could_add(
    policy: Policy, scores: Scores, decision: Decision, images: Iterable[Iterable[Intervention]]
) -> bool:
    """Whether `policy`, by its decision, could have drawn what was added to these images.

    Of each attribute by itself: how a draw balances several together is not asked.
    """
    rules = _steering(policy, decision)
    draws = draws_of(rules)
    choices: dict[frozenset[Intervention], list[dict[str, str]]] = {}
    for values in itertools.product(*(fair.target for fair, _ in draws.values())):
        choice = dict(zip(draws, values, strict=True))
        made = frozenset(_interventions(policy, rules, scores, choice))
        choices.setdefault(made, []).append(choice)
    found = [choices.get(frozenset(image), []) for image in images]
    return all(found) and all(
        _meets(fair, [{each[attribute] for each in image} for image in found])
        for attribute, (fair, _) in draws.items()
    )


def _meets(fair: Fair, images: Sequence[AbstractSet[str]]) -> bool:
    """Whether images, of each the values that may have been drawn for it, may be such a draw."""
    if fair.mode == "random":
        return True
    for value, (least, most) in possible_counts(fair.target, len(images)).items():
        certainly = sum(each == {value} for each in images)
        at_most = sum(value in each for each in images)
        if certainly > most or at_most < least:
            return False
    return True


def told(interventions: Iterable[Intervention]) -> list[str]:
    """Interventions in words, each once."""
    return sorted({_told(each) for each in interventions})


def _told(each: Intervention, strength: str = "") -> str:
    unit = "" if each.unit == "learned" else f" per {each.unit}"
    return f"{each.concept} {strength or f'x{number(each.strength)}'} {_window(each)}{unit}"


def _as_given(each: Intervention, rules: Iterable[Rule], scores: Scores) -> str:
    """A steer in words, with the strength and the score that a rule gives, if it follows one."""
    steers = [s for rule in rules for s in rule.then.steer if s.concept == each.concept]
    following = {
        s.strength * scores.values[s.follow] if s.follow else s.strength: s
        for s in sorted(steers, key=lambda s: not s.follow)  # where one follows none, that says all
    }
    steer = following.get(each.strength)
    if steer is None or not steer.follow:
        return _told(each)
    return f"{_told(each, f'x{number(steer.strength)}')}, following {steer.follow}"


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
    target = ", ".join(f"{name} {number(share)}" for name, share in fair.target.items())
    own = "".join(f", {name} x{number(each)}" for name, each in fair.strengths.items())
    follow = f", following {fair.follow}" if fair.follow else ""
    how = f"x{number(fair.strength)}{own} {_window(fair)}{follow}"
    return f"{fair.attribute} {fair.mode} ({target}) {how}"


def _window(window: Window) -> str:
    ways = [way for way in (window.schedule, window.gate) if way not in ("constant", "open")]
    return " ".join([f"from {percent(window.start)} to {percent(window.stop)}", *ways])


def percent(fraction: float) -> str:
    """A fraction in percent, as exactly as it was given."""
    return f"{number(100 * fraction)}%"


def number(value: float) -> str:
    """A number as exactly as it was given."""
    return f"{value + 0.0:.12g}"  # nothing is as much as minus nothing

"""What a change of policy changes: two decisions side by side, counted over many requests."""

from collections.abc import Callable, Iterable
from typing import NamedTuple

from safegen.errors import ClassifierError, PolicyError
from safegen.nouns import Context, Decision, Frozen, Intervention, Outcome, Scores
from safegen.policy.policy import Policy

_EXAMPLES = 3  # told of each kind of change


class Example(Frozen):
    """One request that came out differently. `name` is its prompt, its record's id, or a point."""

    name: str
    source: str
    context: Context
    scores: dict[str, float]
    facts: tuple[str, ...]
    rules_before: tuple[str, ...]
    rules_after: tuple[str, ...]


class Change(Frozen):
    """What became what, how often, with the first examples.

    `before` and `after` tell what only the one and only the other has. `about` is the gravest
    thing that differs: outcome, steering, negative prompt, checks, ladder, or just the rules.
    """

    about: str
    before: str
    after: str
    count: int
    examples: tuple[Example, ...]


class Comparison(Frozen):
    """All changes, the gravest first, of equals the most frequent."""

    before: str
    after: str
    compared: dict[str, int]
    changed: dict[str, int]
    changes: tuple[Change, ...]


class Pair(NamedTuple):
    """One request, and what two policies make of it."""

    name: str
    source: str
    context: Context
    scores: Scores
    before: "Gist"
    after: "Gist"


class Gist(NamedTuple):
    """What is compared of a decision, in words; the gravest first."""

    outcome: tuple[str, ...]
    steering: tuple[str, ...] = ()
    negative_prompt: tuple[str, ...] = ()
    checks: tuple[str, ...] = ()
    ladder: tuple[str, ...] = ()
    rules: tuple[str, ...] = ()


_ABOUT = [field.replace("_", " ") for field in Gist._fields]


def decided(decide: Callable[[], Decision], apart: frozenset[str], policy: Policy | None) -> Gist:
    """The gist of what `decide` gives, or the error that a request would end in."""
    try:
        return gist(decide(), apart, policy)
    except (ClassifierError, PolicyError) as error:
        return Gist(outcome=(f"error: {error.message}",))


def named(policy: Policy) -> str:
    """A policy's name, version and digest."""
    return f"{policy.name} {policy.file.metadata.version} ({policy.digest})"


def drawn_concepts(policy: Policy) -> frozenset[str]:
    """Concepts that a policy's fair rules may draw."""
    fair = (rule.then.fair for rule in policy.file.rules)
    return frozenset(concept for each in fair if each for concept in each.target)


def compare(before: str, after: str, pairs: Iterable[Pair]) -> Comparison:
    """Count the changes of many pairs; `before` and `after` name the policies."""
    compared: dict[str, int] = {}
    changed: dict[str, int] = {}
    counts: dict[tuple[str, str, str], int] = {}
    examples: dict[tuple[str, str, str], list[Example]] = {}
    for pair in pairs:
        compared[pair.source] = compared.get(pair.source, 0) + 1
        if (key := _difference(pair)) is None:
            continue
        changed[pair.source] = changed.get(pair.source, 0) + 1
        counts[key] = counts.get(key, 0) + 1
        if len(examples.setdefault(key, [])) < _EXAMPLES:
            examples[key].append(_example(pair))
    changes = [
        Change(about=key[0], before=key[1], after=key[2], count=n, examples=tuple(examples[key]))
        for key, n in counts.items()
    ]
    changes.sort(key=lambda change: (_ABOUT.index(change.about), -change.count))
    return Comparison(
        before=before, after=after, compared=compared, changed=changed, changes=tuple(changes)
    )


def _difference(pair: Pair) -> tuple[str, str, str] | None:
    """What differs, of the first thing that does: what only one side has, for each side."""
    for about, before, after in zip(_ABOUT, pair.before, pair.after, strict=True):
        if before != after:
            gone = ", ".join(each for each in before if each not in after)
            come = ", ".join(each for each in after if each not in before)
            return about, gone or "nothing", come or "nothing"
    return None


def _example(pair: Pair) -> Example:
    return Example(
        name=pair.name,
        source=pair.source,
        context=pair.context,
        scores={name: value for name, value in pair.scores.values.items() if value > 0},
        facts=tuple(sorted(name for name, holds in pair.scores.facts.items() if holds)),
        rules_before=pair.before.rules,
        rules_after=pair.after.rules,
    )


def gist(decision: Decision, apart: frozenset[str], policy: Policy | None) -> Gist:
    """A decision in words.

    Concepts in `apart` are left out: they are drawn, and another policy draws anew. The draws of
    `policy`, if it is given, are told by their targets instead.
    """
    steers = {
        _steer(each) for image in decision.interventions for each in image
        if each.concept not in apart
    }  # fmt: skip
    rules = (
        f"{rule.id} ({rule.action})" if rule.action.startswith("would_") else rule.id
        for rule in decision.rules
    )
    ladder = [reaction.told for reaction in decision.ladder]
    if decision.early_look is not None:
        ladder.insert(0, f"early look at {decision.early_look:.0%}")
    return Gist(
        outcome=(decision.outcome + (f": {decision.reason}" if decision.reason else ""),),
        steering=(*sorted(steers), *_draws(decision, policy)),
        negative_prompt=(decision.negative_prompt,) if decision.negative_prompt else (),
        checks=tuple(sorted(each.told for each in decision.checks)),
        ladder=("; ".join(ladder),) if ladder else (),
        rules=tuple(sorted(rules)),
    )


def _steer(each: Intervention) -> str:
    ways = [way for way in (each.schedule, each.gate) if way not in ("constant", "open")]
    window = f"{each.start:.0%} to {each.stop:.0%}"
    return " ".join([f"{each.concept} x{each.strength:g} from {window}", *ways])


def _draws(decision: Decision, policy: Policy | None) -> Iterable[str]:
    """The draws of the rules that fired, by attribute: the first rule of each."""
    draws: dict[str, str] = {}
    fired = {rule.id for rule in decision.rules if not rule.action.startswith("would_")}
    stops = decision.outcome in (Outcome.BLOCKED, Outcome.REVIEW)
    for rule in policy.file.rules if policy and not stops else ():
        if rule.id in fired and (fair := rule.then.fair):
            target = ", ".join(f"{name} {share:g}" for name, share in fair.target.items())
            own = "".join(f", {name} x{each:g}" for name, each in fair.strengths.items())
            how = f"x{fair.strength:g}{own} from {fair.start:.0%} to {fair.stop:.0%}"
            draws.setdefault(fair.attribute, f"{fair.attribute} {fair.mode} ({target}) {how}")
    return draws.values()

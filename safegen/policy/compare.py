"""What a change of policy changes: two decisions side by side, counted over many requests."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from pydantic import Field

from safegen.errors import ClassifierError, InputError, PolicyError
from safegen.nouns import Context, Decision, Frozen, Scores
from safegen.policy.added import added, percent, told
from safegen.policy.policy import Policy
from safegen.policy.sections import Setting

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
    settings: tuple[Setting, ...] = Field(
        default=(), description="what differs beside the rules, whether a decision shows it or not"
    )
    unsure: tuple[str, ...] = Field(
        default=(), description="rules that differ and of which the grid has but a sample"
    )


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


def decided(policy: Policy, scores: Scores, context: Context) -> Gist:
    """The gist of what a policy decides, or the error that a request would end in."""
    try:
        decision = policy.decide(scores, context)
    except (ClassifierError, InputError, PolicyError) as error:
        return Gist(outcome=(f"error: {error.message}",))
    return gist(decision, added(policy, scores, decision))


def named(policy: Policy) -> str:
    """A policy's name, version and digest."""
    return f"{policy.name} {policy.file.metadata.version} ({policy.digest})"


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


def gist(decision: Decision, steering: Sequence[str]) -> Gist:
    """A decision in words, with its steering in words that do not depend on what was drawn."""
    rules = (
        f"{rule.id} ({rule.action})" if rule.action.startswith("would_") else rule.id
        for rule in decision.rules
    )
    ladder = ["; ".join([each.told, *told(each.add)]) for each in decision.ladder]
    if decision.early_look is not None:
        ladder.insert(0, f"early look at {percent(decision.early_look)}")
    return Gist(
        outcome=(decision.outcome + (f": {decision.reason}" if decision.reason else ""),),
        steering=tuple(steering),
        negative_prompt=(decision.negative_prompt,) if decision.negative_prompt else (),
        checks=tuple(sorted(each.told for each in decision.checks)),
        ladder=(", then ".join(ladder),) if ladder else (),
        rules=tuple(sorted(rules)),
    )

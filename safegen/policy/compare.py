"""What a change of policy changes: two decisions side by side, counted over many requests."""

from collections.abc import Container, Iterable, Sequence
from typing import NamedTuple

from pydantic import Field

from safegen.errors import ClassifierError, InputError, PolicyError, SafeGenError
from safegen.nouns import Context, Decision, Frozen, Outcome, Scores
from safegen.policy.added import Told, added, percent, told, with_strengths
from safegen.policy.conditions import REQUEST
from safegen.policy.policy import Policy
from safegen.policy.sections import Setting

_EXAMPLES = 3  # told of each kind of change


class Example(Frozen):
    """One request that came out differently. `name` is its prompt, its record's id, or a point."""

    name: str
    source: str
    context: Context = Field(description="of a recorded request all but the user")
    scores: dict[str, float]
    facts: tuple[str, ...]
    rules_before: tuple[str, ...]
    rules_after: tuple[str, ...]


class Change(Frozen):
    """What became what, how often, with the first examples.

    `before` and `after` tell what only the one and only the other has. `about` is the gravest
    thing that differs: outcome, steering, negative prompt, checks, ladder, mark, or just the rules;
    of a mark that differs as well, a change of its own tells.
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
    steering: tuple[Told, ...] = ()
    negative_prompt: tuple[str, ...] = ()
    checks: tuple[str, ...] = ()
    ladder: tuple[str, ...] = ()
    mark: tuple[str, ...] = ()
    rules: tuple[str, ...] = ()


_ABOUT = [field.replace("_", " ") for field in Gist._fields]


def decided(policy: Policy, scores: Scores, context: Context) -> Gist:
    """The gist of what a policy decides, or the error that a request would end in."""
    try:
        decision = policy.decide(scores, context)
    except (ClassifierError, InputError, PolicyError) as error:
        return failed(error, context)
    return gist(decision, added(policy, scores, decision))


def failed(error: SafeGenError, context: Context) -> Gist:
    """The error that a request ends in, without what it quotes of the request."""
    message = error.message
    for name in REQUEST:
        if text := getattr(context, name):
            message = message.replace(repr(text), "…")
    return Gist(outcome=(f"error: {message}",))


def named(policy: Policy) -> str:
    """A policy's name, version and digest."""
    return f"{policy.name} {policy.file.metadata.version} ({policy.digest})"


def compare(before: str, after: str, pairs: Iterable[Pair]) -> Comparison:
    """Count the changes of many pairs; `before` and `after` name the policies."""
    compared: dict[str, int] = {}
    changed: dict[str, int] = {}
    counted: dict[Difference, _Alike] = {}
    for pair in pairs:
        compared[pair.source] = compared.get(pair.source, 0) + 1
        if not (found := differences(pair.before, pair.after)):
            continue
        changed[pair.source] = changed.get(pair.source, 0) + 1
        for each in found:
            counted.setdefault(each, _Alike()).add(pair)
    changes = [alike.change(found) for found, alike in counted.items()]
    changes.sort(key=lambda change: (_ABOUT.index(change.about), -change.count))
    return Comparison(
        before=before, after=after, compared=compared, changed=changed, changes=tuple(changes)
    )


class Difference(NamedTuple):
    """What differs in one thing: what only one side has, for each side."""

    about: str
    before: tuple[str, ...]
    after: tuple[str, ...]


def differences(before: Gist, after: Gist) -> tuple[Difference, ...]:
    """The gravest thing that differs, and the mark, which nothing graver may hide.

    Of a mark nothing is told where one side makes no image.
    """
    if (first := difference(before, after)) is None:
        return ()
    bare = Gist(outcome=(), mark=before.mark), Gist(outcome=(), mark=after.mark)
    mark = difference(*bare) if _makes_images(before) and _makes_images(after) else None
    return (first,) if mark in (None, first) else (first, mark)


def _makes_images(gist: Gist) -> bool:
    return gist.outcome[0] in (Outcome.ALLOWED, Outcome.STEERED)


def difference(before: Gist, after: Gist) -> Difference | None:
    """The gravest thing that differs, in words that are alike for like differences."""
    for about, one, other in zip(_ABOUT, before, after, strict=True):
        if one != other:
            gone, come = _only(one, other), _only(other, one)
            words = [tuple(dict.fromkeys(map(_words, side))) for side in (gone, come)]
            if words[0] == words[1]:  # two rules alike, about scores that are not
                words = [tuple(map(_exactly, side)) for side in (gone, come)]
            return Difference(about, *words)
    return None


def _only(one: Sequence[object], other: Sequence[object]) -> list[object]:
    return [each for each in one if each not in other]


def _words(each: object) -> str:
    return each.words if isinstance(each, Told) else str(each)


def _exactly(each: object) -> str:
    return each.exact if isinstance(each, Told) else str(each)


class _Alike:
    """Changes that are told as one."""

    def __init__(self) -> None:
        self._count = 0
        self._examples: list[Example] = []
        self._strengths: dict[str, list[float]] = {}

    def add(self, pair: Pair) -> None:
        """Count one more."""
        self._count += 1
        if len(self._examples) < _EXAMPLES:
            self._examples.append(_example(pair))
        for each in _only(pair.before.steering, pair.after.steering):
            if isinstance(each, Told) and each.strength is not None:
                seen = self._strengths.get(each.words, [])
                least_and_most = sorted([*seen, each.strength])
                self._strengths[each.words] = [least_and_most[0], least_and_most[-1]]

    def change(self, found: Difference) -> Change:
        """All of them in words."""
        before = [
            with_strengths(words, *self._strengths[words]) if words in self._strengths else words
            for words in found.before
        ]
        return Change(
            about=found.about,
            before=", ".join(before) or "nothing",
            after=", ".join(found.after) or "nothing",
            count=self._count,
            examples=tuple(self._examples),
        )


def _example(pair: Pair) -> Example:
    return Example(
        name=pair.name,
        source=pair.source,
        context=pair.context.model_copy(update={"user": ""}),  # no rule sees it, nor need readers
        scores={name: value for name, value in pair.scores.values.items() if value > 0},
        facts=tuple(sorted(name for name, holds in pair.scores.facts.items() if holds)),
        rules_before=pair.before.rules,
        rules_after=pair.after.rules,
    )


def gist(decision: Decision, steering: Sequence[Told], apart: Container[str] = ()) -> Gist:
    """A decision in words, with its steering in words that do not depend on what was drawn.

    Of rules `apart` nothing is told.
    """
    rules = (
        f"{rule.id} ({rule.action})" if rule.action.startswith("would_") else rule.id
        for rule in decision.rules
        if rule.id not in apart
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
        mark=("marked as generated",) if decision.mark else (),
        rules=tuple(sorted(rules)),
    )

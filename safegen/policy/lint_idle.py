"""Findings about words, tests and settings that cannot do what they seem to say."""

import re
from collections.abc import Callable, Iterator

from safegen.nouns import AnyCheck
from safegen.policy.lint_named import Remark
from safegen.policy.policy import Policy
from safegen.policy.tree import Place
from safegen.risk.lists import WRITTEN, phrase_of

# Between two words; a "*" within a word may well be meant, and so may a comma.
_PARTED = re.compile(r"\w\s*[;|\n]\s*\w|\w\s+/\s+\w")
_WILDCARD = re.compile(r"\w\*(?!\S)|(?<!\S)\*\w")
_OF_PEOPLE_ALONE = ("several", "handlers")


def _odd_term(policy: Policy) -> Iterator[Remark]:
    for name, each in policy.document.file.lists.items():
        for key in WRITTEN:
            for number, term in enumerate(getattr(each, key)):
                why = ""
                if _PARTED.search(term):
                    why = "is one phrase, found where all of it stands, and looks like several"
                elif _WILDCARD.search(term):
                    why = "is found with its *, which stands for no other letters"
                if why:
                    place: Place = ("lists", name, key, number)
                    yield Remark(policy.document, place, f"{term!r} {why}")


def _both_ways(policy: Policy) -> Iterator[Remark]:
    for name, each in policy.document.file.lists.items():
        found = {phrase_of(term.casefold()) for term in each.found} if each.rules_out else set()
        for number, term in enumerate(each.rules_out):
            if phrase_of(term.casefold()) in found:
                yield Remark(
                    policy.document,
                    ("lists", name, "rules_out", number),
                    f"{term!r} is a term of the list {name!r} too, so that it says both that the "
                    "things are there and that they are not",
                )


def _people_alone(policy: Policy) -> Iterator[Remark]:
    for name, each in policy.document.file.lists.items():
        for key in _OF_PEOPLE_ALONE:
            if getattr(each, key) and not each.people:
                yield Remark(
                    policy.document,
                    ("lists", name, key),
                    f"nothing reads `{key}` of the list {name!r}, which is not of people",
                )


def _between_all_and_none(policy: Policy) -> Iterator[Remark]:
    for number, case in enumerate(policy.document.file.tests):
        for name, value in (case.scores or {}).items():
            if f"score.{name}" in policy.all_or_none and 0 < value < 1:
                yield Remark(
                    policy.document,
                    ("tests", number, "scores", name),
                    f"score.{name} is {value:g}, but it is a list's, and so 0 or 1",
                )


def _no_strength(policy: Policy) -> Iterator[Remark]:
    for each in policy.own_rules:
        place: Place = (*each.placed.place, "then")
        idle: list[tuple[Place, str]] = [
            ((*place, "steer", number), f"steers by {steer.concept!r}")
            for number, steer in enumerate(each.rule.then.steer)
            if steer.strength == 0
        ]
        fair = each.rule.then.fair
        if fair and not any(map(fair.strength_of, fair.target)):
            idle.append(((*place, "fair"), f"draws {fair.attribute!r}"))
        for where, does in idle:
            yield Remark(
                policy.document,
                where,
                f"rule {each.rule.id!r} {does} at a strength of 0, which changes no image",
            )


def _flags_all(policy: Policy) -> Iterator[Remark]:
    made: list[tuple[Place, AnyCheck]] = [
        (("checks", number), check) for number, check in enumerate(policy.document.file.checks)
    ]
    for each in policy.own_rules:
        place: Place = (*each.placed.place, "then", "check")
        made += [((*place, number), check) for number, check in enumerate(each.rule.then.check)]
    for place, check in made:
        for part in check.parts:
            if part.threshold == 0:
                yield Remark(
                    policy.document,
                    place,
                    f"{part.detector}/{part.label} flags at a threshold of 0 whatever the score is",
                )


def _nothing_flags(policy: Policy) -> Iterator[Remark]:
    if policy.checks:
        return
    own = policy.document.file
    for name, written in (("ladder", own.ladder), ("early_look", own.early_look)):
        if written:
            yield Remark(
                policy.document,
                (name,),
                f"`{name}` is for images that a check flags, and the policy has no check",
            )


OF_IDLE: dict[str, Callable[[Policy], Iterator[Remark]]] = {
    "odd-term": _odd_term,
    "both-ways": _both_ways,
    "people-alone": _people_alone,
    "score-between": _between_all_and_none,
    "no-strength": _no_strength,
    "flags-all": _flags_all,
    "nothing-flags": _nothing_flags,
}

"""Findings about what a policy names outside of its file: detectors, their labels, and vectors."""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import NamedTuple

from safegen.errors import did_you_mean
from safegen.nouns import Agreement, AnyCheck
from safegen.policy.load import Document
from safegen.policy.names import concepts_of
from safegen.policy.policy import Policy
from safegen.policy.tree import Place

Detectors = Mapping[str, Collection[str] | None]
Verdicts = Mapping[str, str]
NO_EFFECT = "no effect shown"
"""What a vector's card says of one that did nothing that chance does not."""


class Remark(NamedTuple):
    """What is said of a place in a file."""

    document: Document
    place: Place
    message: str


def _asked(policy: Policy) -> Iterator[tuple[Place, str, str]]:
    """Where the policy's own file asks a detector for a label, the detector, and the label."""
    document = policy.document
    yield from _parts(("checks",), document.file.checks)
    for each in policy.own_rules:
        yield from _parts((*each.placed.place, "then", "check"), each.rule.then.check)
    for name, use in document.file.detectors.items():
        if use.when:
            yield ("detectors", name, "when"), use.when.detector, use.when.label


def _parts(place: Place, checks: Sequence[AnyCheck]) -> Iterator[tuple[Place, str, str]]:
    for number, check in enumerate(checks):
        for part, each in enumerate(check.parts):
            inner: Place = ("of", part) if isinstance(check, Agreement) else ()
            yield (*place, number, *inner), each.detector, each.label


def _unknown_detector(policy: Policy, known: Detectors) -> Iterator[Remark]:
    named = [((*place, "detector"), name) for place, name, _ in _asked(policy)]
    named += [(("detectors", name), name) for name in policy.document.file.detectors]
    for place, name in named:
        if name not in known:
            mend = did_you_mean(name, known)
            yield Remark(policy.document, place, f"there is no detector {name!r}: {mend}")


def _unknown_label(policy: Policy, known: Detectors) -> Iterator[Remark]:
    for place, name, label in _asked(policy):
        labels = known.get(name)
        if labels is not None and label not in labels:
            yield Remark(
                policy.document,
                (*place, "label"),
                f"the detector {name!r} never sees {label!r}: {did_you_mean(label, labels)}",
            )


def _no_effect(policy: Policy, verdicts: Verdicts) -> Iterator[Remark]:
    for place, concept in _steered(policy):
        if verdicts.get(concept) == NO_EFFECT:
            yield Remark(
                policy.document,
                place,
                f"the card of the vector {concept!r} says `{NO_EFFECT}`: it may change "
                "nothing of what is meant",
            )


def _steered(policy: Policy) -> Iterator[tuple[Place, str]]:
    """Where the policy's own file names a concept, and which."""
    for each in policy.own_rules:
        for place, concept in concepts_of(each.rule):
            yield (*each.placed.place, *place), concept
    for i, reaction in enumerate(policy.document.file.ladder):
        for j, added in enumerate(reaction.add):
            yield ("ladder", i, "add", j, "concept"), added.concept


OF_DETECTORS: dict[str, Callable[[Policy, Detectors], Iterator[Remark]]] = {
    "unknown-detector": _unknown_detector,
    "unknown-label": _unknown_label,
}
OF_VECTORS: dict[str, Callable[[Policy, Verdicts], Iterator[Remark]]] = {
    "no-effect-shown": _no_effect,
}

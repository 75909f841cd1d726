"""Names that a policy uses must be known, or what it asks for would never come about."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

from safegen.errors import did_you_mean
from safegen.nouns import Reaction, Scores
from safegen.policy.load import Document
from safegen.policy.schema import DetectorUse, Rule, Windowed, use_of
from safegen.policy.tree import Place
from safegen.policy.whole import PlacedRule


def check_followed(rules: Iterable[PlacedRule], known: Scores) -> set[str]:
    """The scores that strengths follow.

    Raises:
        PolicyError: one does not exist.
    """
    followed = set()
    for placed in rules:
        for place, how in _windowed(placed.rule):
            if how.follow and how.follow not in known.values:
                raise placed.error(
                    (*place, "follow"),
                    f"it follows the score {how.follow!r}, which does not exist",
                    did_you_mean(how.follow, known.values),
                )
            followed |= {how.follow} if how.follow else set()
    return followed


def check_concepts(rules: Iterable[PlacedRule], known: Collection[str]) -> None:
    """Check the concepts of rules against those that there are vectors for.

    Raises:
        PolicyError: a concept is unknown.
    """
    for placed in rules:
        for place, concept in concepts_of(placed.rule):
            if concept not in known:
                raise placed.error(
                    place,
                    f"no vector for the concept {concept!r}",
                    did_you_mean(concept, known),
                )


def check_ladder(document: Document, ladder: Sequence[Reaction], known: Collection[str]) -> None:
    """Check the concepts that a ladder adds against those that there are vectors for.

    Raises:
        PolicyError: a concept is unknown.
    """
    for i, reaction in enumerate(ladder):
        for j, added in enumerate(reaction.add):
            if added.concept not in known:
                own = document.file.ladder
                place: Place = ("ladder", i, "add", j, "concept") if own else ("imports",)
                raise document.error(
                    place,
                    f"no vector for the concept {added.concept!r}, which the ladder adds",
                    did_you_mean(added.concept, known),
                )


def check_cases(document: Document, rules: Collection[str], known: Scores) -> None:
    """Check the rules, scores and facts that test cases name.

    Raises:
        PolicyError: one does not exist, so the case could never hold, or holds whatever happens.
    """
    for i, case in enumerate(document.file.tests):
        for key, named, names in (
            ("rules", case.rules or (), rules),
            ("scores", case.scores or (), known.values),
            ("facts", case.facts, known.facts),
        ):
            if unknown := sorted(set(named) - set(names)):
                raise document.error(
                    ("tests", i, key, unknown[0]),
                    f"the test names {key[:-1]} {unknown[0]!r}, which does not exist",
                    did_you_mean(unknown[0], names),
                )


def check_bands(document: Document, detectors: Mapping[str, DetectorUse]) -> None:
    """Check that no detector waits, through others, for itself.

    Raises:
        PolicyError: one does, so that none of them could ever look.
    """
    for name, use in document.file.detectors.items():
        seen = [name]
        band = use.when
        while band and band.detector not in seen:
            seen.append(band.detector)
            band = use_of(detectors, band.detector).when
        if band:
            raise document.error(
                ("detectors", name, "when", "detector"),
                f"the detector {name!r} can never look: {', which waits for '.join(seen)}, which "
                f"waits for {band.detector}",
                "let one of them look at every image",
            )


def _windowed(rule: Rule) -> Iterator[tuple[Place, Windowed]]:
    for i, steer in enumerate(rule.then.steer):
        yield ("then", "steer", i), steer
    if rule.then.fair:
        yield ("then", "fair"), rule.then.fair


def concepts_of(rule: Rule) -> Iterator[tuple[Place, str]]:
    """The concepts that a rule names, and where in it."""
    for i, steer in enumerate(rule.then.steer):
        yield ("then", "steer", i, "concept"), steer.concept
    if rule.then.fair:
        for concept in rule.then.fair.target:
            yield ("then", "fair", "target", concept), concept

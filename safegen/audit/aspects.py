"""What readers ask of a record: whether a person should look, which rules it fired, its scores."""

from collections.abc import Iterator, Mapping

from safegen.audit.ladder import flagged
from safegen.nouns import Outcome, Record


def needs_review(record: Record) -> bool:
    """Whether a person should look: it was stopped, or an image was flagged."""
    stopped = (Outcome.REVIEW, Outcome.BLOCKED)
    outcomes = (record.outcome, *(image.outcome for image in record.images))
    return any(outcome in stopped for outcome in outcomes) or any(_flags(record))


def rules_of(record: Record) -> Mapping[str, bool]:
    """The rules that fired, and the checks that flagged an image -> whether they stop an image."""
    fired = record.decision.rules if record.decision else ()
    rules = {rule.id: rule.action in ("block", "review") for rule in fired}
    return rules | dict.fromkeys(_flags(record), True)


def scores_of(record: Record) -> Mapping[str, float]:
    """The scores of the prompt, and for each detector and label the highest over the images."""
    found = dict(record.scores.values)
    for finding in (finding for image in record.images for finding in image.findings):
        name = f"{finding.detector}/{finding.label}"
        found[name] = max(finding.score, found.get(name, 0.0))
    return found


def _flags(record: Record) -> Iterator[str]:
    checks = record.decision.checks if record.decision else ()
    for image in record.images:
        for finding in flagged(image.findings, checks):
            yield f"check:{finding.detector}/{finding.label}"

"""What readers ask of a record: whether a person should look, which rules it fired, its scores."""

from collections.abc import Mapping, Sequence

from safegen.audit.ladder import flagged
from safegen.nouns import Record


def needs_review(record: Record) -> bool:
    """Whether a person should look: it was stopped, or an image was flagged."""
    return record.outcome.stops or bool(stopped_images(record))


def stopped_images(record: Record) -> Mapping[int, Sequence[str]]:
    """The images that were flagged or withheld, by number -> the checks that flagged each."""
    checks = record.decision.checks if record.decision else ()
    found = {}
    for number, image in enumerate(record.images):
        saw = flagged(image.findings, checks)
        names = dict.fromkeys(f"check:{each.detector}/{each.label}" for each in saw)
        if names or image.outcome.stops:
            found[number] = tuple(names)
    return found


def rules_of(record: Record) -> Mapping[str, bool]:
    """The rules that fired, and the checks that flagged an image -> whether they stop an image."""
    fired = record.decision.rules if record.decision else ()
    rules = {rule.id: rule.action in ("block", "review") for rule in fired}
    return rules | {check: True for by in stopped_images(record).values() for check in by}


def scores_of(record: Record) -> Mapping[str, float]:
    """The scores of the prompt, and for each detector and label the highest over the images."""
    found = dict(record.scores.values)
    for finding in (finding for image in record.images for finding in image.findings):
        name = f"{finding.detector}/{finding.label}"
        found[name] = max(finding.score, found.get(name, 0.0))
    return found

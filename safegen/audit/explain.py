"""A record in words, in the order in which it came about: for terminal, web page and evidence."""

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from safegen.audit.ladder import flagged
from safegen.audit.ledger.erasures import ERASED
from safegen.audit.ledger.masking import PROMPT, USER, key_of
from safegen.nouns import Decision, Event, Finding, FiredRule, ImageRecord, Intervention, Record

_ACTED = {"upheld": "upheld it", "overturned": "overturned it", "escalated": "passed it on"}


class Section(NamedTuple):
    """What is said under one heading."""

    title: str
    lines: tuple[str, ...]


def explained(record: Record, events: Sequence[Event] = ()) -> list[Section]:
    """Everything that the record says, and what was done about it since."""
    # A subject may have had other keys since; their erasing is none of this record's.
    gone = erased_fields(record, events)
    events = [each for each in events if each.what != ERASED or each.time in gone.values()]
    return [
        Section("What was asked", tuple(_asked(record, gone))),
        Section("What the classifiers said", tuple(_scores(record)) or ("nothing",)),
        Section("What the rules saw", tuple(_rules(record))),
        Section("What was decided", tuple(_decided(record))),
        Section("What was done", tuple(_done(record))),
        *(
            Section(f"Image {number}", tuple(_image(image, record.decision)))
            for number, image in enumerate(record.images)
        ),
        Section("What reviewers did", tuple(map(event_in_words, events)) or ("nothing yet",)),
    ]


def erased_fields(record: Record, events: Sequence[Event]) -> dict[str, str]:
    """The fields that cannot be read any more -> when their key was erased."""
    key = key_of(record)
    times = [e.time for e in events if e.what == ERASED and e.details.get("key") == key]
    return {f: times[0] for f, how in record.masked.items() if how == "encrypted" and times}


def event_in_words(event: Event) -> str:
    """One line: when, who, what, why."""
    image = f" (image {event.details['image']})" if "image" in event.details else ""
    reason = f": {event.reason}" if event.reason else ""
    acted = _ACTED.get(event.what, event.what.replace("_", " "))
    return f"{event.time} {event.actor or 'SafeGen'} {acted}{image}{reason}"


def finding_in_words(finding: Finding) -> str:
    """What a detector saw, where, and which detector exactly."""
    if finding.error:
        return f"{finding.detector} failed: {finding.error} ({finding.detector_digest})"
    where = f" in {', '.join(f'{side:g}' for side in finding.box)}" if finding.box else ""
    return (
        f"{finding.detector} saw {finding.label}: {finding.score:.3f}{where} "
        f"({finding.detector_digest})"
    )


def rule_in_words(rule: FiredRule) -> str:
    """The rule, what it does, and the values that it saw."""
    saw = ", ".join(f"{name} = {value}" for name, value in rule.values.items())
    reason = f" ({rule.reason})" if rule.reason else ""
    return f"{rule.id}: {rule.action}{reason}, saw {saw or 'nothing'}"


def _asked(record: Record, gone: Mapping[str, str]) -> Iterator[str]:
    context = record.context
    who = f" by {context.tenant}" if context.tenant else ""
    images = f"{context.images} image{'s' if context.images != 1 else ''}"
    yield f"{images}{who} at {record.time}, seed {context.seed}"
    told = context.model_dump(exclude={"tenant", "user", "images", "seed"}, exclude_defaults=True)
    yield from _pairs(told)
    yield from _kept(record, gone)
    yield f"record {record.id}, written by SafeGen {record.safegen}"


def _kept(record: Record, gone: Mapping[str, str]) -> Iterator[str]:
    """What the record knows of prompt and user, and what of it can still be read."""
    for field, name, text, hmac in (
        (PROMPT, "prompt", record.prompt, record.prompt_commitment),
        (USER, "user", record.context.user, record.subject),
    ):
        how = record.masked.get(field)
        if how == "encrypted":
            state = f"erased on {gone[field][:10]}" if field in gone else "kept encrypted"
            yield f"the {name} is {state}, under the key {key_of(record)}"
        elif text:
            yield f"the {name}: {text}"
        elif hmac:
            yield f"the {name} is not kept; {hmac}"
        elif field == PROMPT or how:
            yield f"the {name} is not kept, nor is a commitment to it"
    if record.subject and record.masked.get(USER) != "hmac":
        yield f"records of this user have the subject {record.subject}"


def _scores(record: Record) -> Iterator[str]:
    scores = record.scores
    for name, value in scores.values.items():
        by = f" (by {scores.made_by[name]})" if name in scores.made_by else ""
        yield f"{name} = {value:g}{by}"
    yield from _pairs(scores.facts)
    for span in scores.spans:
        yield f"{span.name}: characters {span.start}-{span.end} of the prompt"
    for name, digest in scores.classifiers.items():
        yield f"{name} is {digest or 'a plain function'}"


def _rules(record: Record) -> Iterator[str]:
    if record.decision is None:
        yield "no rule was asked"
        return
    fired = record.decision.rules
    yield from map(rule_in_words, fired) if fired else ("no rule fired",)
    yield f"by the policy {record.decision.policy}, {record.decision.policy_digest}"


def _decided(record: Record) -> Iterator[str]:
    decision = record.decision
    if decision is None:
        yield "none was reached"
        return
    yield decision.outcome + (f": {decision.reason}" if decision.reason else "")
    for number, steers in enumerate(decision.interventions):
        yield f"image {number}: {', '.join(map(_intervention, steers)) or 'no steering'}"
    if decision.negative_prompt:
        yield f"steer away from: {decision.negative_prompt}"
    for check in decision.checks:
        yield f"flag images with {check.told}"
    for reaction in decision.ladder:
        yield f"then {reaction.told}"
    if decision.mark:
        yield "mark the images as generated"


def _done(record: Record) -> Iterator[str]:
    yield f"the request ended as {record.outcome}"
    if record.error:
        yield f"error: {record.error}"
    steering = record.steering
    reason = f": {steering.reason}" if steering.reason else ""
    yield f"steering {steering.status} at {', '.join(steering.sites) or 'no site'}{reason}"
    for name, digest in steering.vectors.items():
        yield f"vector {name} = {digest}"
    if record.model_digest:
        yield f"model {record.model_digest}"
    yield from _pairs(record.sampler)


def _image(image: ImageRecord, decision: Decision | None) -> Iterator[str]:
    yield image.outcome + (f": {image.reason}" if image.reason else "")
    yield f"returned, sha256 {image.sha256}" if image.sha256 else "not returned"
    if image.marked_by:
        file = f", as a file with the sha256 {image.marked}" if image.marked else ""
        yield f"marked as generated by {image.marked_by}{file}"
    yield f"seed {image.seed}, generated {image.attempts} time{'s' if image.attempts != 1 else ''}"
    if image.interventions:
        yield f"steered: {', '.join(map(_intervention, image.interventions))}"
    if image.actions:
        yield f"reactions: {', '.join(image.actions)}"
    over = flagged(image.findings, decision.checks if decision else ())
    for finding in image.findings:
        yield finding_in_words(finding) + (", which a check flags" if finding in over else "")
    if image.detectors:
        yield f"looked at by {', '.join(image.detectors)}"
    if not image.findings:
        yield "no detector saw anything in it" if image.attempts else "it was never generated"


def _intervention(intervention: Intervention) -> str:
    return (
        f"{intervention.concept} x{intervention.strength:g} "
        f"from {intervention.start:.0%} to {intervention.stop:.0%}"
    )


def _pairs(values: Mapping[str, object]) -> Iterator[str]:
    return (f"{name} = {value}" for name, value in values.items())

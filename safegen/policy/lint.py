"""What is not wrong in a policy, but hardly meant: findings with an id each, told in the docs.

What a rule can do is found out by trying it on every combination of the values that matter to its
condition; where there are too many, or a condition calculates, nothing is claimed.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Sequence

from safegen.errors import PolicyError
from safegen.nouns import Check, Frozen, Value
from safegen.policy.evaluate import outcome_of
from safegen.policy.explain import would_fire
from safegen.policy.grid import is_whole, points, values_of
from safegen.policy.lint_idle import OF_IDLE
from safegen.policy.lint_named import OF_DETECTORS, OF_VECTORS, Detectors, Remark, Verdicts
from safegen.policy.operands import operands
from safegen.policy.policy import CompiledRule, Policy
from safegen.policy.tree import position

_DOCS = "safegen docs policy-lint"
_CODE = re.compile(r"(?=.{3})[a-z][a-z0-9_-]*(\.[a-z0-9_-]+)*")
_VACUOUS = {(">=", 0.0), ("<", 0.0), ("<=", 1.0), (">", 1.0)}


class LintFinding(Frozen):
    """One thing to look at; `lint` is its id."""

    lint: str
    message: str
    source: str
    line: int
    column: int

    @property
    def docs(self) -> str:
        """The command that explains it."""
        return f"{_DOCS}#{self.lint}"


def lint(
    policy: Policy, detectors: Detectors | None = None, verdicts: Verdicts | None = None
) -> list[LintFinding]:
    """All findings about a policy's own file, in the order of the file.

    Args:
        policy: the policy.
        detectors: those that there are, by name, and the labels of each, None where these are not
            known; without it, nothing is said of detectors and labels.
        verdicts: what the cards of the vectors say, by concept, of those that have a card; without
            it, nothing is said of vectors.

    Raises:
        ClassifierError: a classifier failed.
    """
    found = []
    looks: dict[str, Iterable[Remark]] = {name: look(policy) for name, look in LINTS.items()}
    if detectors is not None:
        looks |= {name: look(policy, detectors) for name, look in OF_DETECTORS.items()}
    if verdicts is not None:
        looks |= {name: look(policy, verdicts) for name, look in OF_VECTORS.items()}
    for name, remarks in looks.items():
        for remark in remarks:
            line, column = position(remark.document.tree, remark.place)
            found.append(
                LintFinding(
                    lint=name,
                    message=remark.message,
                    source=remark.document.source,
                    line=line,
                    column=column,
                )
            )
    return sorted(found, key=lambda finding: (finding.line, finding.column, finding.lint))


def _remark(each: CompiledRule, part: str, message: str) -> Remark:
    placed = each.placed
    return Remark(placed.document, (*placed.place, part), f"rule {each.rule.id!r} {message}")


# --- what a condition can do ------------------------------------------------------------------


def _unreachable(policy: Policy) -> Iterator[Remark]:
    for each in policy.own_rules:
        if (fires := _fires(policy, each)) is not None and not any(fires):
            yield _remark(each, "when", "can never fire")


def _always(policy: Policy) -> Iterator[Remark]:
    for each in policy.own_rules:
        fires = _fires(policy, each) if each.condition.variables else None  # 'true' is meant
        if fires and all(fires):
            yield _remark(each, "when", "fires on every prompt")


def _failing(policy: Policy) -> Iterator[Remark]:
    for each in policy.own_rules:
        for point in points(_values(policy, [each.rule.when], each.condition.variables)):
            try:
                policy.firing(point, [each])
            except PolicyError:
                saw = ", ".join(f"{name} = {value}" for name, value in point.items()) or "nothing"
                yield _remark(each, "when", f"cannot be evaluated at {saw}")
                break


def _values(
    policy: Policy, conditions: Sequence[str], names: Iterable[str]
) -> dict[str, list[Value]]:
    return values_of(conditions, names, policy.all_or_none)


def _fires(policy: Policy, each: CompiledRule) -> list[bool] | None:
    """Whether it fires at each combination of values; None if that cannot be told for all."""
    values = _values(policy, [each.rule.when], each.condition.variables)
    if operands(each.rule.when).calculated or not is_whole(values):
        return None
    return [would_fire(policy, each, point) for point in points(values)]


def _shadowed(policy: Policy) -> Iterator[Remark]:
    order = {each.rule.id: number for number, each in enumerate(policy.rules)}
    calm = _calm(policy)
    for each in policy.own_rules:
        if each.rule.enforce == "shadow" or (firing := _example(policy, each)) is None:
            continue
        # Most rules do not fire beside another on a prompt that only the other is about.
        point = calm | firing
        for other in _firing(policy, point):
            earlier = order[other.rule.id] < order[each.rule.id]
            if _hides(other, each, earlier=earlier) and _implies(policy, each, other):
                yield _remark(
                    each, "when", f"never counts: {other.rule.id!r} fires wherever it does"
                )
                break


def _firing(policy: Policy, point: dict[str, Value]) -> list[CompiledRule]:
    """The rules that fire; all at once, for one by one they take a call of CEL each."""
    try:
        return policy.firing(point)
    except PolicyError:
        return [each for each in policy.rules if would_fire(policy, each, point)]


def _calm(policy: Policy) -> dict[str, Value]:
    """What every variable is on a harmless request."""
    names = {name for each in policy.rules for name in each.condition.variables}
    return {name: each[0] for name, each in _values(policy, [], names).items()}


def _example(policy: Policy, each: CompiledRule) -> dict[str, Value] | None:
    """Values at which a rule fires, if there are any among those tried."""
    tried = points(_values(policy, [each.rule.when], each.condition.variables))
    return next((point for point in tried if would_fire(policy, each, point)), None)


def _hides(other: CompiledRule, each: CompiledRule, *, earlier: bool) -> bool:
    """Whether a rule leaves nothing to do for another where both fire."""
    if other is each or other.rule.enforce == "shadow":
        return False
    theirs, mine = other.rule.then, each.rule.then
    gravity = outcome_of(other.rule).gravity - outcome_of(each.rule).gravity
    if theirs.block or theirs.review:
        return gravity > 0 or (gravity == 0 and earlier)
    if not earlier:
        return False
    draws = mine.fair is not None and mine == type(mine)(fair=mine.fair)
    same_draw = draws and theirs.fair and mine.fair and theirs.fair.attribute == mine.fair.attribute
    return theirs == mine or bool(same_draw)


def _implies(policy: Policy, one: CompiledRule, other: CompiledRule) -> bool:
    """Whether `other` fires wherever `one` does, and `one` does somewhere."""
    conditions = [one.rule.when, other.rule.when]
    names = dict.fromkeys([*one.condition.variables, *other.condition.variables])
    values = _values(policy, conditions, names)
    if any(operands(text).calculated for text in conditions) or not is_whole(values):
        return False
    fires = False
    for point in points(values):
        if would_fire(policy, one, point):
            fires = True
            if not would_fire(policy, other, point):
                return False
    return fires


def _idle_priority(policy: Policy) -> Iterator[Remark]:
    for each in policy.own_rules:
        if each.rule.priority and not any(_meet(each, other) for other in policy.rules):
            yield _remark(
                each,
                "priority",
                f"has the priority {each.rule.priority}, but no rule that it could go before or "
                "after with another result",
            )


def _meet(one: CompiledRule, other: CompiledRule) -> bool:
    """Whether priorities decide between two rules: both want what only one of them can have."""
    if one is other or "shadow" in (one.rule.enforce, other.rule.enforce):
        return False
    locked = one.rule.locked, other.rule.locked
    if locked[0] != locked[1] or (all(locked) and one.placed.document is not other.placed.document):
        return False  # which of them comes first is settled before
    mine, theirs = one.rule.then, other.rule.then
    if mine.reason or theirs.reason:
        return mine.action == theirs.action and mine.reason != theirs.reason
    draws = [each.fair.attribute for each in (mine, theirs) if each.fair]
    steers = [{steer.concept for steer in each.steer} for each in (mine, theirs)]
    texts = {each.negative_prompt for each in (mine, theirs) if each.negative_prompt}
    return len(draws) > len(set(draws)) or bool(steers[0] & steers[1]) or len(texts) == 2


def _threshold(policy: Policy) -> Iterator[Remark]:
    for each in policy.own_rules:
        for variable, sign, number in operands(each.rule.when).comparisons:
            if not 0 <= number <= 1 or (sign, number) in _VACUOUS:
                yield _remark(
                    each,
                    "when",
                    f"compares {variable} {sign} {number:g}, but scores are from 0 to 1: the "
                    "comparison comes out the same for all",
                )


# --- what is missing --------------------------------------------------------------------------


def _untested(policy: Policy) -> Iterator[Remark]:
    if not policy.file.tests:
        return
    fired = {rule.id for result in policy.test() for rule in result.decision.rules}
    for each in policy.own_rules:
        if each.rule.id not in fired:
            yield _remark(each, "id", "fires in no test")


def _no_tests(policy: Policy) -> Iterator[Remark]:
    if not policy.file.tests:
        yield Remark(policy.document, (), "the policy has no tests")


def _no_owner(policy: Policy) -> Iterator[Remark]:
    if not policy.file.metadata.owner:
        yield Remark(policy.document, ("metadata",), "nobody is named as the policy's owner")


def _reason(policy: Policy) -> Iterator[Remark]:
    for each in policy.own_rules:
        reason = each.rule.then.reason
        if reason and not _CODE.fullmatch(reason):
            yield _remark(
                each,
                "then",
                f"gives the reason {reason!r}, expected a code such as weapon.explosive",
            )


def _unused(policy: Policy) -> Iterator[Remark]:
    used = policy.used_lists
    for name in policy.document.file.lists:
        if name not in used:
            yield Remark(policy.document, ("lists", name), f"no rule reads the list {name!r}")


def _locked_shadow(policy: Policy) -> Iterator[Remark]:
    for each in policy.own_rules:
        if each.rule.locked and each.rule.enforce == "shadow":
            yield _remark(each, "enforce", "is locked, but as a shadow it does nothing")


def _open_band(policy: Policy) -> Iterator[Remark]:
    file = policy.file
    for name, use in policy.document.file.detectors.items():
        if not (band := use.when) or band.between[1] == 1:
            continue
        high = band.between[1]
        wanted = (band.detector, band.label)
        if not any(
            isinstance(check, Check)
            and (check.detector, check.label) == wanted
            and check.threshold <= high
            for check in file.checks
        ):
            yield Remark(
                policy.document,
                ("detectors", name, "when"),
                f"an image that {band.detector} scores above {high:g} as {band.label} is neither "
                f"flagged for it nor looked at by {name}",
            )


def _plain_text(policy: Policy) -> Iterator[Remark]:
    record = policy.document.file.record
    for part, kept in (("prompt", record.prompt), ("user", record.user)):
        if kept == "plain":
            yield Remark(
                policy.document, ("record", part), f"the ledger keeps every {part} in plain text"
            )


def _nobody_to_erase(policy: Policy) -> Iterator[Remark]:
    record = policy.document.file.record
    if record.prompt == "encrypted" and record.user == "none":
        yield Remark(
            policy.document,
            ("record", "user"),
            "prompts are encrypted, but nobody can erase those of one user, since users are not "
            "kept",
        )


def _faces_of_users(policy: Policy) -> Iterator[Remark]:
    if "faces" in policy.file.detectors and policy.file.record.user != "none":
        own = policy.document.file  # which may import the detector, the users, or both
        users = ("record", "user") if "record" in own.model_fields_set else ("imports",)
        yield Remark(
            policy.document,
            ("detectors", "faces") if "faces" in own.detectors else users,
            "age bands and genders are recorded beside who asked, and no erasing takes them away",
        )


def _unreachable_rung(policy: Policy) -> Iterator[Remark]:
    ladder = policy.document.file.ladder
    for number, rung in enumerate(ladder[:-1]):
        if rung.action != "regenerate":
            yield Remark(
                policy.document,
                ("ladder", number + 1),
                f"nothing comes after {rung.action}: it ends the ladder whatever the image is",
            )
            break


LINTS: dict[str, Callable[[Policy], Iterator[Remark]]] = {
    "unreachable-rule": _unreachable,
    "always-fires": _always,
    "failing-condition": _failing,
    "shadowed-rule": _shadowed,
    "idle-priority": _idle_priority,
    "threshold-out-of-range": _threshold,
    "untested-rule": _untested,
    "no-tests": _no_tests,
    "no-owner": _no_owner,
    "unclear-reason": _reason,
    "unused-list": _unused,
    "locked-shadow": _locked_shadow,
    "open-band": _open_band,
    "plain-text-kept": _plain_text,
    "nobody-to-erase": _nobody_to_erase,
    "faces-of-users": _faces_of_users,
    "unreachable-rung": _unreachable_rung,
    **OF_IDLE,
}

"""What stands in force in place of something of the same name that an import wrote."""

from collections.abc import Mapping

from safegen.policy.policy import Policy
from safegen.policy.whole import lists_of


def replaced(policy: Policy) -> dict[str, str]:
    """By list and rule in force, whose they are in place of.

    Beside it which file wrote them, unless it is the policy's own, and which rules of other files
    read such a list. What other imported lists name by {its name} stays what it was there.
    """
    files = {each.source: each.file for each in (policy.document, *policy.imported)}
    lists = {source: file.lists for source, file in files.items()}
    rules = {source: {rule.id: rule for rule in file.rules} for source, file in files.items()}
    found = {}
    for name, each in policy.file.lists.items():
        if whose := _replaces(policy, name, each, lists):
            writer, told = whose
            others = (r.rule for r in policy.rules if r.placed.document.source != writer)
            readers = [other.id for other in others if name in lists_of(other)]
            found[f"list {name}"] = told + (f", read by {', '.join(readers)}" if readers else "")
    for rule in policy.file.rules:
        if whose := _replaces(policy, rule.id, rule, rules):
            found[f"rule {rule.id}"] = whose[1]
    return found


def _replaces(
    policy: Policy, name: str, part: object, named: Mapping[str, Mapping[str, object]]
) -> tuple[str, str] | None:
    """The source of the file that wrote what is in force, and in words whose it replaces."""
    writer = next(source for source, parts in named.items() if parts.get(name) is part)
    others = [source for source, parts in named.items() if name in parts and source != writer]
    if not others:
        return None
    by = "" if writer == policy.document.source else f", by {writer}"
    return writer, f"of {' and '.join(others)}{by}"

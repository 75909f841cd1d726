"""What a policy takes the place of in its imports, by writing the same name."""

from collections.abc import Iterable, Mapping

from safegen.policy.policy import Policy
from safegen.policy.whole import lists_of


def replaced(policy: Policy) -> dict[str, str]:
    """By list and rule of the policy's own file, whose it replaces, and which rules read that.

    What other imported lists name by {its name} stays what it was there.
    """
    own = policy.document.file
    lists = {each.source: each.file.lists for each in policy.imported}
    rules = {each.source: {r.id for r in each.file.rules} for each in policy.imported}
    found = {}
    for name in own.lists:
        if sources := _with(name, lists):
            kept = (each for each in policy.rules if each.placed.document is not policy.document)
            readers = [each.rule.id for each in kept if name in lists_of(each.rule)]
            read = f", read by {', '.join(readers)}" if readers else ""
            found[f"list {name}"] = f"of {sources}{read}"
    for rule in own.rules:
        if sources := _with(rule.id, rules):
            found[f"rule {rule.id}"] = f"of {sources}"
    return found


def _with(name: str, named: Mapping[str, Iterable[str]]) -> str:
    return " and ".join(source for source, names in named.items() if name in names)

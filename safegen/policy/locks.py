"""What a policy locks and guards holds in every policy that it becomes part of.

Of each import, the whole must have, as the import has it,

- its locked rules,
- all that these read: lists, those that they name, the classifiers that give a score, and texts
  of the request, which no further value of a section `context` spells in another way,
- its section `record`, if that is locked,
- an eye on every image that its checks saw: `when` keeps none of their detectors from looking, nor
  one that these wait for,
- one meaning of what is checked on every image or by a locked rule: no setting of these detectors
  changes what a label scores,
- at every attempt, what a locked rule steers by and draws: no rung of a ladder of others takes from
  it.

That is asked of the whole once everything is merged, so it makes no difference which file would
have it otherwise: the importing one, another import, or an import of an import.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from safegen.errors import PolicyError
from safegen.nouns import Intervention
from safegen.policy.conditions import variables_in
from safegen.policy.evaluate import at_strength, does_no_less
from safegen.policy.schema import ContextName, DetectorUse, Rule, folded, use_of
from safegen.policy.tree import Place
from safegen.policy.whole import Whole, lists_of, with_named
from safegen.risk.build import scores_of

_HOW_IT_RUNS = frozenset({"batch_size", "device", "providers", "threads"})
_OPEN_UNTIL_SAID = frozenset({"model", "pretrained", "probes"})


def refuse_broken_locks(whole: Whole, imported: Sequence[Whole]) -> None:
    """Check that a whole leaves its direct imports what they lock and guard.

    Raises:
        PolicyError: it does not, with the place of what is in the way.
    """
    for held in imported:
        lock = _Lock(whole, imported, held)
        lock.keep_rules()
        lock.keep_what_they_read()
        lock.keep_context()
        lock.keep_record()
        lock.keep_steering()
        lock.keep_attempts()
        lock.keep_looking()
        lock.keep_settings()


@dataclass(frozen=True)
class _Lock:
    """What one import holds against the whole, and who broke it."""

    whole: Whole
    imported: Sequence[Whole]
    held: Whole

    def keep_rules(self) -> None:
        for name, placed in self.held.rules.items():
            if not placed.rule.locked or self.whole.rules.get(name) is placed:
                continue
            place, done = self._rule_place(name)
            raise self.whole.document.error(
                place,
                f"the rule {name!r} is locked by {placed.document.source} and cannot be {done}",
                "give your rule another id: it can add to a locked rule, not take from it",
            )

    def keep_what_they_read(self) -> None:
        whole, held = self.whole, self.held
        for name, rule in self._read_by_locked().items():
            if whole.lists.get(name) is not held.lists.get(name):
                raise self._error(
                    "lists",
                    name,
                    f"the list {name!r} is read by the locked rule {rule!r}, so no other file can "
                    "write it",
                    "put your words into a list of another name, and write a rule for it",
                )
            for classifier, settings in whole.classifiers.items():
                known = held.classifiers.get(classifier)
                given = {*scores_of(settings), *(scores_of(known) if known else ())}
                if settings is not known and name in given:
                    raise self._error(
                        "classifiers",
                        classifier,
                        f"the score {name!r} is read by the locked rule {rule!r}, so no other "
                        "classifier can give it or take its place",
                        "give your scores other names, and write a rule for them",
                    )

    def keep_context(self) -> None:
        """Rules see a text as it is declared: what the import lets through as it is, stays so.

        Values of a text whose others the import refuses are new to it, and change none of its own.
        """
        for name, now in self.whole.context.items():
            before, rule = self.held.context.get(name), self._locked_that_asks(name)
            if rule is None:
                continue
            known = before.values if before else ()
            is_open = before is None or before.others == "allow"
            mine = {folded(value) for value in known}
            for value in now.values:
                if value not in known and (is_open or folded(value) in mine):
                    raise self.whole.document.error(
                        self._context_place(name, value),
                        f"request.{name} is read by the rule {rule!r}, which is locked by "
                        f"{self.held.document.source!r} and would see it as {value!r}, however a "
                        "request spells it",
                        f"leave the value out here, or declare it in {self.held.document.source!r}",
                    )

    def keep_record(self) -> None:
        record = self.held.record
        if record and record.locked and self.whole.record is not record:
            raise self.whole.document.error(
                ("record",),
                "an imported policy has locked its section `record`, which cannot be written anew",
                "leave the section out, or do not import that policy",
            )

    def keep_steering(self) -> None:
        """A locked rule that steers would do nothing on a model that cannot be steered."""
        for placed in self.held.rules.values():
            then = placed.rule.then
            steers = then.steer or then.fair or then.negative_prompt
            optional = self.whole.document.file.steering == "optional"
            if optional and placed.rule.locked and steers:
                raise self.whole.document.error(
                    ("steering",),
                    f"the rule {placed.rule.id!r} is locked by {placed.document.source} and "
                    "steers, so steering cannot be optional",
                    "leave steering required",
                )

    def keep_attempts(self) -> None:
        """A new attempt is steered by what its rung adds, in the place of what a rule asked for."""
        ladder = self.whole.ladder
        steering = [
            placed.rule
            for placed in self.held.rules.values()
            if placed.rule.locked
            and placed.rule.enforce == "on"
            and placed.rule.then.action == "steer"
            and (placed.rule.then.steer or placed.rule.then.fair)
        ]
        if not steering or ladder == self.held.ladder:
            return
        for number, rung in enumerate(ladder):
            if rung.action == "regenerate" and rung.strength < 1:
                raise self._rung_error(
                    (number, "strength"),
                    f"the rule {steering[0].id!r} is locked by {self.held.document.source!r} and "
                    f"steers, so no attempt can do so {rung.strength:g} times as strongly",
                    "write 1 or more",
                )
            for place, each in enumerate(rung.add):
                self._keep_steer((number, "add", place), each, steering)

    def _keep_steer(self, place: Place, added: Intervention, rules: Iterable[Rule]) -> None:
        for rule in rules:
            by = f"is locked by {self.held.document.source!r}"
            if rule.then.fair and added.concept in rule.then.fair.target:
                raise self._rung_error(
                    place,
                    f"the rule {rule.id!r} {by} and draws {added.concept!r}, so no rung can add it",
                    "let the rung add other concepts",
                )
            for steer in rule.then.steer:
                least = at_strength(steer.concept, steer.strength, steer)
                if steer.concept == added.concept and not does_no_less(added, least):
                    raise self._rung_error(
                        place,
                        f"the rule {rule.id!r} {by} and steers by {added.concept!r}, which the "
                        "rung would weaken or turn round",
                        f"give it a strength of {steer.strength:g} or more that way, and a window, "
                        "schedule and gate that act wherever the rule's do",
                    )

    def keep_looking(self) -> None:
        kept = [
            placed.rule
            for name, placed in self.held.rules.items()
            if self.whole.rules.get(name) is placed
        ]
        for name in self._detectors_of(kept):
            before, now = self._uses(name)
            if now.when and now.when != before.when:
                raise self._error(
                    "detectors",
                    name,
                    f"{self.held.document.source!r} checks what {name!r} sees, so it cannot be "
                    "kept from looking",
                    f"let it look at every image, with `{name}: {{}}` under `detectors` here, or "
                    "leave out the rules that check it",
                    "when",
                )

    def keep_settings(self) -> None:
        """Rules that are not locked do not count: who may leave them out may redefine them."""
        locked = [placed.rule for placed in self.held.rules.values() if placed.rule.locked]
        for name in self._detectors_of(locked):
            before, now = (use.settings for use in self._uses(name))
            for key in sorted(before.keys() | now.keys()):
                if not _same_scores(key, before, now):
                    raise self._error(
                        "detectors",
                        name,
                        f"{self.held.document.source!r} checks what {name!r} sees, so its setting "
                        f"{key!r} must stay as it is there",
                        "repeat it as it is there; further labels of `clip` can go under "
                        "`concepts`",
                        "settings",
                        key,
                    )

    def _uses(self, name: str) -> tuple[DetectorUse, DetectorUse]:
        """How the import uses a detector, and how the whole does."""
        return use_of(self.held.detectors, name), use_of(self.whole.detectors, name)

    def _read_by_locked(self) -> dict[str, str]:
        """What locked rules read, through lists that name others too -> such a rule's id."""
        return {
            name: placed.rule.id
            for placed in self.held.rules.values()
            if placed.rule.locked
            for read in [lists_of(placed.rule)]
            for name in (*read, *with_named(read, self.held.lists))
        }

    def _locked_that_asks(self, name: ContextName) -> str | None:
        """The id of a locked rule that reads a text of the request."""
        rules = (placed.rule for placed in self.held.rules.values() if placed.rule.locked)
        return next((r.id for r in rules if f"request.{name}" in variables_in(r.when)), None)

    def _detectors_of(self, rules: Iterable[Rule]) -> dict[str, None]:
        """Those of the import's checks of every image and of these rules, and all they wait for."""
        made = [*self.held.checks, *(check for rule in rules for check in rule.then.check)]
        names = dict.fromkeys(part.detector for check in made for part in check.parts)
        waiting = list(names)
        while waiting:
            use = use_of(self.held.detectors, waiting.pop())
            if use.when and use.when.detector not in names:
                names[use.when.detector] = None
                waiting.append(use.when.detector)
        return names

    def _error(self, section: str, name: str, reason: str, mend: str, *part: str) -> PolicyError:
        """An error at what the importing file writes under a name, or at the import that does."""
        document = self.whole.document
        place: Place = (section, name, *part)
        if name not in getattr(document.file, section):
            found = getattr(self.whole, section)[name]
            numbers = range(len(self.imported))
            place = (
                "imports",
                next(n for n in numbers if getattr(self.imported[n], section).get(name) is found),
            )
        return document.error(place, reason, mend)

    def _context_place(self, name: ContextName, value: str) -> Place:
        """Where the importing file declares a value of a text, or the first import that does."""
        own = self.whole.document.file.context.get(name)
        if own and value in own.values:
            return "context", name, "values", own.values.index(value)
        known = (each.context.get(name) for each in self.imported)
        return "imports", next(n for n, each in enumerate(known) if each and value in each.values)

    def _rung_error(self, part: Place, reason: str, mend: str) -> PolicyError:
        """An error at a rung of the importing file, or at the import whose ladder it is."""
        document = self.whole.document
        if document.file.ladder:
            return document.error(("ladder", *part), reason, mend)
        number = max(n for n, each in enumerate(self.imported) if each.ladder)
        return document.error(("imports", number), reason, f"{mend}; or write a ladder here")

    def _rule_place(self, name: str) -> tuple[Place, str]:
        """Where the importing file leaves out a rule or replaces it, and which; no other can."""
        file = self.whole.document.file
        if name in file.without:
            return ("without", file.without.index(name)), "left out"
        number = next(n for n, rule in enumerate(file.rules) if rule.id == name)
        return ("rules", number, "id"), "written anew"


def _same_scores(key: str, before: Mapping[str, Any], now: Mapping[str, Any]) -> bool:
    """Whether the labels of a detector score as before, as far as one setting goes.

    Labels of `clip` are weighed against each other, so that a further one changes the others;
    concepts are not. By what model it looks is open until an import says it, for the shipped one
    knows only the reference world.
    """
    if key in _HOW_IT_RUNS or (key in _OPEN_UNTIL_SAID and key not in before):
        return True
    old, new = before.get(key, {}), now.get(key)
    if key == "concepts" and isinstance(old, dict) and isinstance(new, dict):
        return old.items() <= new.items()
    return key in before and old == new

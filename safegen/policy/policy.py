"""`Policy`: a loaded policy file. Its text is its identity; deciding is a pure function of it."""

import copy
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Self

from safegen.arguments import demand
from safegen.errors import ClassifierError, InputError, PolicyError
from safegen.nouns import AnyCheck, Check, Context, Decision, Scores, Values
from safegen.policy.bundle import open_policy
from safegen.policy.classifiers import made, read_elsewhere
from safegen.policy.conditions import REQUEST, Condition, ConditionError, Conditions
from safegen.policy.context import check_compared, check_contexts, settled
from safegen.policy.evaluate import decide, strictest
from safegen.policy.imports import Fetch, read_whole
from safegen.policy.index import Index
from safegen.policy.load import Document, find_policy
from safegen.policy.names import (
    check_bands,
    check_cases,
    check_concepts,
    check_followed,
    check_ladder,
)
from safegen.policy.schema import Case, Rule
from safegen.policy.whole import PlacedRule, lists_of, with_named
from safegen.risk import Classifier, TermClassifier, classify
from safegen.risk.build import attached

_UNFIT = re.compile(r"[\0\ud800-\udfff]")


@dataclass(frozen=True)
class CaseResult:
    """How one of the policy's own test cases went.

    `wrong` says what was not as expected, and `saw` which values the conditions of the rules saw
    that fired or should have.
    """

    case: Case
    decision: Decision
    wrong: tuple[str, ...]
    saw: Mapping[str, Values]


@dataclass(frozen=True)
class CompiledRule:
    """A rule, where it stands, and its condition."""

    placed: PlacedRule
    condition: Condition

    @property
    def rule(self) -> Rule:
        """The rule itself."""
        return self.placed.rule


class Policy:
    """Rules in force. Load with `Policy.load`; then `assess` prompts."""

    def __init__(
        self,
        text: str,
        source: str = "<policy>",
        *,
        classifiers: Sequence[Classifier] = (),
        fetch: Fetch = find_policy,
    ) -> None:
        """Compile a policy.

        Args:
            text: the YAML.
            source: what to call it in errors; imports and files are looked for in its folder.
            classifiers: further risk classifiers beside those that the policy names.
            fetch: gives text and source of an imported policy.

        Raises:
            PolicyError: it is wrong, with file:line:column.
            MissingExtraError: a package that one of its classifiers needs is not installed.
            ClassifierError: a classifier cannot be made, or failed on the empty prompt.
        """
        demand("text", text, str, "give the YAML itself; `Policy.load` reads a file")
        self._whole = read_whole(text, source, fetch)
        self.file = self._whole.file
        self.digest = self._whole.digest
        # When its bundle was signed; empty for plain files, and where that is not told.
        self.created = ""
        lists = [
            TermClassifier(group.lists, group.kept, self._whole.terms_name(key))
            for key, group in self._whole.groups.items()
        ]
        others = [*made(self._whole), *classifiers]
        self.classifiers: list[Classifier] = [*lists, *others]
        listed, scored = (classify(each, [""])[0] for each in (lists, others))
        known = Scores(values=listed.values | scored.values, facts=listed.facts | scored.facts)
        # The variables of scores that are 0 or 1, since no classifier gives them but lists.
        self.all_or_none = frozenset(f"score.{n}" for n in listed.values.keys() - scored.values)
        self._conditions = Conditions(known.values, known.facts)
        placed = self._whole.rules.values()
        # Every rule with its condition, and the names of all variables that deciding needs.
        self.rules = tuple(CompiledRule(each, self._compile(each)) for each in placed)
        self._index = Index([each.condition for each in self.rules], self._conditions.together)
        check_compared(placed, self.file.context)
        self.needed = {name for each in self.rules for name in each.condition.variables}
        self.needed |= {f"score.{name}" for name in check_followed(placed, known)}
        check_cases(self._whole.document, self._whole.rules, known)
        check_contexts(self._whole.document, self.file.context)
        check_bands(self._whole.document, self.file.detectors)

    @classmethod
    def load(
        cls,
        name: str | Path,
        *,
        classifiers: Sequence[Classifier] = (),
        public_key: str | Path | None = None,
    ) -> Self:
        """Load a file, a bundle, or a shipped pack by its name, e.g. "default".

        Args:
            name: path of the file or bundle, or name of the pack.
            classifiers: further risk classifiers beside the policy's own term lists.
            public_key: Ed25519 key (PEM); nothing but a bundle signed by its owner is loaded then.

        Raises:
            PolicyError: it cannot be read, is wrong, or is not signed as it must be.
            MissingExtraError: a package that one of its classifiers needs is not installed.
            ClassifierError: a classifier cannot be made, or failed on the empty prompt.
            InputError: the public key cannot be read.
        """
        demand("name", name, (str, Path), "give the path of a file, or the name of a shipped pack")
        found = open_policy(name, public_key)
        policy = cls(found.text, found.source, classifiers=classifiers, fetch=found.fetch)
        if found.digest not in (None, policy.digest):
            raise PolicyError(
                f"the bundle holds {policy.digest}, but says {found.digest}", source=str(name)
            )
        found.require_files(policy._whole)
        policy.created = found.created
        return policy

    def attached(self, model: Any) -> "Policy":
        """This policy for one model, whose text encoder its classifiers of kind `encoder` read by.

        Args:
            model: a diffusers pipeline, or the folder or hub name of one.

        Raises:
            MissingExtraError: the model is to be loaded, and transformers is not installed.
            ClassifierError: the model has no text encoder as a classifier needs it.
        """
        policy = copy.copy(self)
        policy.classifiers = attached(self.classifiers, model)
        return policy

    @property
    def name(self) -> str:
        """Its name, from the metadata."""
        return self.file.metadata.name

    @property
    def document(self) -> Document:
        """The policy's own file, without what it imports."""
        return self._whole.document

    @property
    def sources(self) -> tuple[str, ...]:
        """Where its text and those of its imports come from."""
        return tuple(document.source for document in self._whole.documents.values())

    @property
    def not_covered(self) -> tuple[str, ...]:
        """The settings that name what the signature of a bundle does not cover."""
        return read_elsewhere(self._whole)

    @property
    def imported(self) -> tuple[Document, ...]:
        """The files that it imports, and those that they import."""
        every = self._whole.documents.values()
        return tuple(each for each in every if each is not self.document)

    @property
    def imported_tests(self) -> tuple[Case, ...]:
        """The tests of what it imports; they need not hold for it."""
        return tuple(case for document in self.imported for case in document.file.tests)

    @property
    def own_rules(self) -> tuple[CompiledRule, ...]:
        """The rules that stand in the policy's own file."""
        return tuple(each for each in self.rules if each.placed.document is self.document)

    @cached_property
    def used_lists(self) -> frozenset[str]:
        """The lists that a rule reads, itself or through other lists."""
        read = set().union(*(lists_of(each.rule) for each in self.rules))
        return frozenset(with_named(read, self.file.lists))

    @cached_property
    def concepts(self) -> frozenset[str]:
        """Every concept that a decision of this policy may ask for."""
        steered = {steer.concept for rule in self.file.rules for steer in rule.then.steer}
        drawn = {c for rule in self.file.rules if rule.then.fair for c in rule.then.fair.target}
        added = {each.concept for reaction in self.file.ladder for each in reaction.add}
        return frozenset(steered | drawn | added)

    @cached_property
    def negative_rules(self) -> tuple[str, ...]:
        """The rules whose negative prompts a decision of this policy may ask for."""
        rules = (rule for rule in self.file.rules if rule.enforce == "on")
        return tuple(rule.id for rule in rules if rule.then.negative_prompt)

    @property
    def marking_rules(self) -> tuple[str, ...]:
        """The rules in force that want images marked as generated."""
        return tuple(rule.id for rule in self.file.rules if rule.then.mark and rule.enforce == "on")

    @cached_property
    def checks_of_any_prompt(self) -> tuple[AnyCheck, ...]:
        """What an image is judged by whose prompt nobody knows: all that any prompt may ask for."""
        rules = (rule for rule in self.file.rules if rule.enforce == "on")
        asked = (check for rule in rules for check in rule.then.check)
        return strictest([*self.file.checks, *asked])

    @cached_property
    def checks(self) -> frozenset[Check]:
        """Every check that a decision of this policy may ask for, those within agreements too."""
        made = [*self.file.checks, *(each for rule in self.file.rules for each in rule.then.check)]
        return frozenset(check for each in made for check in each.parts)

    @cached_property
    def detectors(self) -> frozenset[str]:
        """Every detector that this policy names."""
        bands = (use.when for use in self.file.detectors.values())
        return frozenset(
            [
                *(check.detector for check in self.checks),
                *(band.detector for band in bands if band),
                *self.file.detectors,
            ]
        )

    def __repr__(self) -> str:
        return f"<Policy {self.name!r} {self.digest[:19]}…>"

    def require_concepts(self, known: Collection[str]) -> None:
        """Check that there is a vector for every concept that rules and ladder name.

        Raises:
            PolicyError: there is none for one, with file:line:column.
        """
        check_concepts(self._whole.rules.values(), known)
        check_ladder(self._whole.document, self.file.ladder, known)

    def settled(self, context: Context) -> Context:
        """What a caller says of a request, in the spelling of the section `context`.

        Raises:
            InputError: a value is not known, and the policy refuses others.
        """
        return settled(context, self.file.context)

    def classify(self, prompts: Sequence[str]) -> list[Scores]:
        """Scores and facts of prompts.

        Raises:
            InputError: `prompts` is one text, or holds anything but texts.
            ClassifierError: a classifier failed.
        """
        return classify(self.classifiers, prompts)

    def assess(self, prompt: str, context: Context) -> tuple[Scores, Decision]:
        """Classify one prompt and decide.

        Raises:
            ClassifierError: a classifier failed.
            InputError: an argument is of another type, or the policy does not know a value of the
                context.
            PolicyError: a condition cannot be evaluated.
        """
        scores = self.classify([prompt])[0]
        return scores, self.decide(scores, context)

    def decide(self, scores: Scores, context: Context) -> Decision:
        """What must happen. Pure: same policy text, scores and context, same decision for ever.

        Raises:
            ClassifierError: the scores lack one that the policy needs.
            InputError: an argument is of another type, or the policy does not know a value of the
                context.
            PolicyError: a condition cannot be evaluated.
        """
        values = self.values(scores, context)
        fired = [
            (each.rule, {name: values[name] for name in each.condition.variables})
            for each in self.firing(values)
        ]
        return decide(self.file, self.digest, fired, scores, context)

    def firing(
        self, values: Values, among: Iterable[CompiledRule] | None = None
    ) -> list[CompiledRule]:
        """The rules, of all or of those given, whose condition holds for these values.

        Raises:
            PolicyError: a condition cannot be evaluated.
        """
        activation = self._conditions.activation(values)
        if among is None and (holding := self._index.holding(values, activation)) is not None:
            return [self.rules[at] for at in holding]
        firing = []
        for each in self.rules if among is None else among:
            try:
                holds = each.condition.holds(activation)
            except ConditionError as error:
                raise each.placed.error(("when",), str(error)) from error
            if holds:
                firing.append(each)
        return firing

    def test(self) -> list[CaseResult]:
        """Run the policy's own test cases.

        Raises:
            ClassifierError: a classifier failed.
            PolicyError: a condition cannot be evaluated.
        """
        return [self._test(case) for case in self.file.tests]

    def _test(self, case: Case) -> CaseResult:
        scores = self._scores(case)
        decision = self.decide(scores, case.context)
        wrong = []
        if decision.outcome != case.expect:
            wrong.append(f"outcome: expected {case.expect}, got {decision.outcome}")
        fired = [rule.id for rule in decision.rules]
        if case.rules is not None and set(fired) != set(case.rules):
            wrong.append(
                f"rules: expected {', '.join(case.rules) or 'none'}, "
                f"got {', '.join(fired) or 'none'}"
            )
        wrong += [
            f"fact {name}: expected {expected}, got {not expected}"
            for name, expected in case.facts.items()
            if scores.facts.get(name) is not expected
        ]
        values = self.values(scores, case.context)
        saw = {
            each.rule.id: {name: values[name] for name in each.condition.variables}
            for each in self.rules
            if each.rule.id in {*fired, *(case.rules or ())}
        }
        return CaseResult(case, decision, tuple(wrong), saw)

    def _scores(self, case: Case) -> Scores:
        if case.prompt is not None:
            return self.classify([case.prompt])[0]
        names: dict[str, list[str]] = {"score": [], "fact": [], "request": []}
        for kind, _, name in (each.partition(".") for each in self.needed):
            names[kind].append(name)
        return Scores(
            values=dict.fromkeys(names["score"], 0.0) | (case.scores or {}),
            facts=dict.fromkeys(names["fact"], False) | case.facts,
        )

    def values(self, scores: Scores, context: Context) -> Values:
        """What conditions see, by the names of their variables.

        Raises:
            ClassifierError: the scores lack one that the policy needs.
            InputError: a text of the context is none that conditions can be asked about, or that
                the policy knows.
        """
        values = self.given(scores, context)
        if missing := sorted(self.needed - values.keys()):
            raise ClassifierError(
                f"the policy {self.name!r} needs {missing[0]}, but no classifier gave it",
                "decide on scores that this policy's own classifiers made",
            )
        return values

    def given(self, scores: Scores, context: Context) -> Values:
        """What there is of the values that conditions see; nothing may be decided by it alone.

        Raises:
            InputError: a text of the context is none that conditions can be asked about, or that
                the policy knows.
        """
        demand("scores", scores, Scores, "give what `Policy.classify` says of a prompt")
        context = self.settled(context)
        for name in REQUEST:
            if _UNFIT.search(text := getattr(context, name)):
                raise InputError(
                    f"expected text without U+0000 and half surrogates as {name}, got {text!r}",
                    "CEL would cut it off there, and take it for another name",
                )
        return {
            **{f"score.{name}": value for name, value in scores.values.items()},
            **{f"fact.{name}": value for name, value in scores.facts.items()},
            **{f"request.{name}": getattr(context, name) for name in REQUEST},
        }

    def _compile(self, placed: PlacedRule) -> Condition:
        try:
            return self._conditions.compile(placed.rule.when)
        except ConditionError as error:
            line, column = placed.in_condition(error.line, error.column)
            raise PolicyError(
                f"rule {placed.rule.id!r}: {error}",
                source=placed.document.source,
                line=line,
                column=column,
                mend=error.mend,
            ) from error

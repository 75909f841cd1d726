"""`Policy`: a loaded policy file. Its text is its identity; deciding is a pure function of it."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Self

from safegen.errors import ClassifierError, PolicyError
from safegen.nouns import Check, Context, Decision, Scores
from safegen.policy.conditions import REQUEST, Condition, ConditionError, Conditions
from safegen.policy.evaluate import Values, decide
from safegen.policy.load import did_you_mean, find_policy, parse_policy, position
from safegen.policy.schema import Case, Rule, Windowed
from safegen.risk import Classifier, TermClassifier, classify
from safegen.risk.build import build


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


class Policy:
    """Rules in force. Load with `Policy.load`; then `assess` prompts."""

    def __init__(
        self, text: str, source: str = "<policy>", classifiers: Sequence[Classifier] = ()
    ) -> None:
        """Compile a policy.

        Args:
            text: the YAML.
            source: what to call it in errors.
            classifiers: further risk classifiers beside those that the policy names.

        Raises:
            PolicyError: it is wrong, with file:line:column.
            MissingExtraError: a package that one of its classifiers needs is not installed.
            ClassifierError: a classifier cannot be made, or failed on the empty prompt.
        """
        self._source = source
        self.file, tree = parse_policy(text, source)
        self.digest = f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"
        self.classifiers: list[Classifier] = [
            TermClassifier(self.file.lists),
            *build(self.file.classifiers),
            *classifiers,
        ]
        known = self.classify([""])[0]
        self._conditions = Conditions(known.values, known.facts)
        self._compiled = [
            self._compile(rule, position(tree, ("rules", i, "when")), text)
            for i, rule in enumerate(self.file.rules)
        ]
        self._needed = {name for condition in self._compiled for name in condition.variables}
        self._needed |= {f"score.{name}" for name in self._followed(tree, known)}
        self._check_cases(tree, known)

    @classmethod
    def load(cls, name: str | Path, classifiers: Sequence[Classifier] = ()) -> Self:
        """Load a file, or a shipped pack by its name, e.g. "default".

        Raises:
            PolicyError: it cannot be read or is wrong.
            MissingExtraError: a package that one of its classifiers needs is not installed.
            ClassifierError: a classifier cannot be made, or failed on the empty prompt.
        """
        return cls(*find_policy(name), classifiers)

    @property
    def name(self) -> str:
        """Its name, from the metadata."""
        return self.file.metadata.name

    @cached_property
    def concepts(self) -> frozenset[str]:
        """Every concept that a decision of this policy may ask for."""
        steered = {steer.concept for rule in self.file.rules for steer in rule.then.steer}
        drawn = {c for rule in self.file.rules if rule.then.fair for c in rule.then.fair.target}
        return frozenset(steered | drawn)

    @cached_property
    def checks(self) -> frozenset[Check]:
        """Every check that a decision of this policy may ask for."""
        return frozenset(self.file.checks).union(*(rule.then.check for rule in self.file.rules))

    def classify(self, prompts: Sequence[str]) -> list[Scores]:
        """Scores and facts of prompts.

        Raises:
            ClassifierError: a classifier failed.
        """
        return classify(self.classifiers, prompts)

    def assess(self, prompt: str, context: Context) -> tuple[Scores, Decision]:
        """Classify one prompt and decide.

        Raises:
            ClassifierError: a classifier failed.
            PolicyError: a condition cannot be evaluated.
        """
        scores = self.classify([prompt])[0]
        return scores, self.decide(scores, context)

    def decide(self, scores: Scores, context: Context) -> Decision:
        """What must happen. Pure: same policy text, scores and context, same decision for ever.

        Raises:
            ClassifierError: the scores lack one that the policy needs.
            PolicyError: a condition cannot be evaluated.
        """
        values = self._values(scores, context)
        activation = self._conditions.activation(values)
        fired: list[tuple[Rule, Values]] = []
        for rule, condition in zip(self.file.rules, self._compiled, strict=True):
            try:
                holds = condition.holds(activation)
            except ConditionError as error:
                raise PolicyError(f"rule {rule.id!r}: {error}", source=self._source) from error
            if holds:
                fired.append((rule, {name: values[name] for name in condition.variables}))
        return decide(self.file, self.digest, fired, scores, context)

    def test(self) -> list[CaseResult]:
        """Run the policy's own test cases.

        Raises:
            ClassifierError: a classifier failed.
            PolicyError: a condition cannot be evaluated.
        """
        return [self._test(case) for case in self.file.tests]

    def _test(self, case: Case) -> CaseResult:
        scores, decision = self.assess(case.prompt, case.context)
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
        values = self._values(scores, case.context)
        saw = {
            rule.id: {name: values[name] for name in condition.variables}
            for rule, condition in zip(self.file.rules, self._compiled, strict=True)
            if rule.id in {*fired, *(case.rules or ())}
        }
        return CaseResult(case, decision, tuple(wrong), saw)

    def _values(self, scores: Scores, context: Context) -> dict[str, float | bool | str]:
        values: dict[str, float | bool | str] = {
            **{f"score.{name}": value for name, value in scores.values.items()},
            **{f"fact.{name}": value for name, value in scores.facts.items()},
            **{f"request.{name}": getattr(context, name) for name in REQUEST},
        }
        if missing := sorted(self._needed - values.keys()):
            raise ClassifierError(
                f"the policy {self.name!r} needs {missing[0]}, but no classifier gave it",
                "decide on scores that this policy's own classifiers made",
            )
        return values

    def _compile(self, rule: Rule, where: tuple[int, int], text: str) -> Condition:
        try:
            return self._conditions.compile(rule.when)
        except ConditionError as error:
            line, column = where
            # A condition that stands in the file as it is: point into it, else at its start.
            at = text.splitlines()[line - 1].find(rule.when, column - 1)
            raise PolicyError(
                f"rule {rule.id!r}: {error}",
                source=self._source,
                line=line,
                column=at + error.column if at >= 0 else column,
                mend=error.mend,
            ) from error

    def _followed(self, tree: Any, known: Scores) -> set[str]:
        """The scores that strengths follow; one that does not exist is an error."""
        followed = set()
        for i, rule in enumerate(self.file.rules):
            places: dict[tuple[str | int, ...], Windowed] = {
                ("steer", k): steer for k, steer in enumerate(rule.then.steer)
            }
            places |= {("fair",): rule.then.fair} if rule.then.fair else {}
            for place, how in places.items():
                if how.follow and how.follow not in known.values:
                    line, column = position(tree, ("rules", i, "then", *place, "follow"))
                    raise PolicyError(
                        f"rule {rule.id!r} follows the score {how.follow!r}, which does not exist",
                        source=self._source,
                        line=line,
                        column=column,
                        mend=did_you_mean(how.follow, known.values),
                    )
                followed |= {how.follow} if how.follow else set()
        return followed

    def _check_cases(self, tree: Any, known: Scores) -> None:
        """Names in test cases that do not exist would never be met."""
        ids = {rule.id for rule in self.file.rules}
        for i, case in enumerate(self.file.tests):
            for key, named, names in (
                ("rules", case.rules or (), ids),
                ("facts", case.facts, known.facts),
            ):
                if unknown := sorted(set(named) - set(names)):
                    line, column = position(tree, ("tests", i, key))
                    raise PolicyError(
                        f"the test names {key[:-1]} {unknown[0]!r}, which does not exist",
                        source=self._source,
                        line=line,
                        column=column,
                        mend=did_you_mean(unknown[0], names),
                    )

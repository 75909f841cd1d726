"""`Policy`: a loaded policy file. Its text is its identity; deciding is a pure function of it."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Self

from safegen.errors import ClassifierError, PolicyError
from safegen.nouns import Check, Context, Decision, FiredRule, Intervention, Outcome, Scores
from safegen.policy.conditions import REQUEST, Condition, ConditionError, Conditions
from safegen.policy.draw import draw
from safegen.policy.load import find_policy, parse_policy, position
from safegen.policy.schema import Case, Rule
from safegen.risk import Classifier, TermClassifier, classify

_OUTCOMES = {"block": Outcome.BLOCKED, "review": Outcome.REVIEW, "steer": Outcome.STEERED}
_SEVERITY = (Outcome.ALLOWED, Outcome.STEERED, Outcome.REVIEW, Outcome.BLOCKED)


@dataclass(frozen=True)
class CaseResult:
    """How one of the policy's own test cases went."""

    case: Case
    decision: Decision

    @property
    def fired(self) -> tuple[str, ...]:
        """Ids of the rules that fired, shadow rules included."""
        return tuple(rule.id for rule in self.decision.rules)

    @property
    def passed(self) -> bool:
        """Whether the outcome, and the rules where the case names them, are as expected."""
        if self.decision.outcome != self.case.expect:
            return False
        return self.case.rules is None or set(self.fired) == set(self.case.rules)


class Policy:
    """Rules in force. Load with `Policy.load`; then `assess` prompts."""

    def __init__(self, text: str, source: str, classifiers: Sequence[Classifier] = ()) -> None:
        """Compile a policy.

        Args:
            text: the YAML.
            source: what to call it in errors.
            classifiers: further risk classifiers beside the policy's own term lists.

        Raises:
            PolicyError: it is wrong, with file:line:column.
        """
        self.file, tree = parse_policy(text, source)
        self.digest = f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"
        self._classifiers = (TermClassifier(self.file.lists), *classifiers)
        self._conditions = Conditions(*self._variables())
        self._compiled = self._compile(tree, source)

    @classmethod
    def load(cls, name: str | Path) -> Self:
        """Load a file, or a shipped pack by its name, e.g. "default".

        Raises:
            PolicyError: it cannot be read or is wrong.
        """
        return cls(*find_policy(name))

    @property
    def name(self) -> str:
        """Its name, from the metadata."""
        return self.file.metadata.name

    @cached_property
    def concepts(self) -> frozenset[str]:
        """Every concept a decision of this policy may ask for."""
        steered = {steer.concept for rule in self.file.rules for steer in rule.then.steer}
        drawn = {c for rule in self.file.rules if rule.then.fair for c in rule.then.fair.target}
        return frozenset(steered | drawn)

    @cached_property
    def checks(self) -> frozenset[Check]:
        """Every check a decision of this policy may ask for."""
        return frozenset(
            check for rule in self.file.rules for check in rule.then.check
        ) | frozenset(self.file.checks)

    def classify(self, prompts: Sequence[str]) -> list[Scores]:
        """Scores and facts of prompts.

        Raises:
            ClassifierError: a classifier failed.
        """
        return classify(self._classifiers, prompts)

    def assess(self, prompt: str, context: Context) -> tuple[Scores, Decision]:
        """Classify one prompt and decide.

        Raises:
            ClassifierError: a classifier failed.
        """
        scores = self.classify([prompt])[0]
        return scores, self.decide(scores, context)

    def decide(self, scores: Scores, context: Context) -> Decision:
        """What must happen. Pure: the same policy text, scores and context decide the same for ever.

        The gravest outcome of the rules that fire wins (block > review > steered > allowed), its
        reason is that of the first such rule; steers compose (of one concept, the strongest);
        negative prompts and checks join; shadow rules only leave their mark in `rules`.

        Raises:
            ClassifierError: the scores lack one that the policy needs.
        """
        values = self._values(scores, context)
        activation = self._conditions.activation(values)
        fired = [
            (rule, condition)
            for rule, condition in zip(self.file.rules, self._compiled, strict=True)
            if condition.holds(activation)
        ]
        rules = [rule for rule, _ in fired if rule.enforce == "on"]
        outcome, reason = _gravest(rules)
        stopped = outcome in (Outcome.BLOCKED, Outcome.REVIEW)
        negative = dict.fromkeys(r.then.negative_prompt for r in rules if r.then.negative_prompt)
        checks = dict.fromkeys((*self.file.checks, *(c for r in rules for c in r.then.check)))
        return Decision(
            outcome=outcome,
            reason=reason,
            rules=tuple(_fired(rule, condition, values) for rule, condition in fired),
            interventions=() if stopped else self._interventions(rules, context),
            negative_prompt="" if stopped else ", ".join(negative),
            checks=() if stopped else tuple(checks),
            ladder=() if stopped else self.file.ladder,
            policy=self.name,
            policy_digest=self.digest,
        )

    def test(self) -> list[CaseResult]:
        """Run the policy's own test cases."""
        results = []
        for case in self.file.tests:
            _, decision = self.assess(case.prompt, case.context)
            results.append(CaseResult(case, decision))
        return results

    def _variables(self) -> tuple[list[str], list[str]]:
        empty = classify(self._classifiers, [""])[0]
        return list(empty.values), list(empty.facts)

    def _compile(self, tree: Any, source: str) -> list[Condition]:
        compiled = []
        for i, rule in enumerate(self.file.rules):
            try:
                compiled.append(self._conditions.compile(rule.when))
            except ConditionError as error:
                line, column = position(tree, ("rules", i, "when"))
                raise PolicyError(
                    f"rule {rule.id!r}: {error}",
                    source=source,
                    line=line,
                    column=column + error.column - 1,
                    mend=error.mend,
                ) from error
        return compiled

    def _values(self, scores: Scores, context: Context) -> dict[str, float | bool | str]:
        values: dict[str, float | bool | str] = {}
        values |= {f"score.{name}": value for name, value in scores.values.items()}
        values |= {f"fact.{name}": value for name, value in scores.facts.items()}
        values |= {f"request.{name}": getattr(context, name) for name in REQUEST}
        for condition in self._compiled:
            for variable in condition.variables:
                if variable not in values:
                    raise ClassifierError(
                        f"the policy {self.name!r} needs {variable}, no classifier gave it",
                        "decide on scores that this policy's own classifiers made",
                    )
        return values

    def _interventions(
        self, rules: Sequence[Rule], context: Context
    ) -> tuple[tuple[Intervention, ...], ...]:
        steers: dict[str, Intervention] = {}
        for steer in (steer for rule in rules for steer in rule.then.steer):
            known = steers.get(steer.concept)
            if known is None or steer.strength > known.strength:
                steers[steer.concept] = Intervention(**steer.model_dump())
        fair = {rule.id: rule.then.fair for rule in rules if rule.then.fair is not None}
        drawn = draw(
            {id_: (each.target, each.mode) for id_, each in fair.items()},
            context.images,
            f"{self.digest}/{context.seed}",
        )
        common = tuple(steers.values())
        per_image = tuple(
            tuple(
                Intervention(
                    concept=value,
                    strength=fair[id_].strength,
                    start=fair[id_].start,
                    stop=fair[id_].stop,
                )
                for id_, value in image.items()
            )
            + common
            for image in drawn
        )
        return per_image if any(per_image) else ()


def _gravest(rules: Sequence[Rule]) -> tuple[Outcome, str]:
    outcome, reason = Outcome.ALLOWED, ""
    for rule in rules:
        candidate = _OUTCOMES.get(rule.then.action, Outcome.ALLOWED)
        if _SEVERITY.index(candidate) > _SEVERITY.index(outcome):
            stop = rule.then.block or rule.then.review
            outcome, reason = candidate, stop.reason if stop else ""
    return outcome, reason


def _fired(
    rule: Rule, condition: Condition, values: Mapping[str, float | bool | str]
) -> FiredRule:
    action = rule.then.action
    stop = rule.then.block or rule.then.review
    return FiredRule(
        id=rule.id,
        action=action if rule.enforce == "on" else f"would_{action}",
        reason=stop.reason if stop else "",
        values={name: values[name] for name in condition.variables},
    )



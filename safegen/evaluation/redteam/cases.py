"""What a policy guards against, case by case, and whether another decision guards less."""

import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from safegen.evaluation.mutations.prompt import Prompt
from safegen.nouns import Context, Decision, Outcome, Scores, Value
from safegen.policy import Policy
from safegen.policy.policy import CompiledRule
from safegen.policy.schema import Rule


@dataclass(frozen=True)
class Guarded:
    """A prompt that the policy stops, or steers or checks for what must not be shown.

    `expected` is what must come of it at least: what its test says, or what comes of it.
    """

    prompt: str
    context: Context
    expected: Outcome
    scores: Scores
    decision: Decision


class Yardstick:
    """A policy's own order of severity: block, then review, then what it steers away and checks."""

    def __init__(self, policy: Policy) -> None:
        """Measure by this policy."""
        self.policy = policy
        self._rules: dict[str, CompiledRule] = {each.rule.id: each for each in policy.rules}

    def guarded(self, prompts: Iterable[str]) -> tuple[list[Guarded], list[str]]:
        """The cases of the policy and its imports, and further prompts: which of them it guards.

        Second are the further prompts that it does not guard. Of the policy's own cases those are
        left out that neither it guards nor their test says it must; of its imports', which need not
        hold for it, those that it does not guard.

        Raises:
            ClassifierError: a classifier failed.
            PolicyError: a condition cannot be evaluated.
        """
        found: dict[tuple[str, Context], Guarded] = {}
        for case in self.policy.file.tests:
            if case.prompt is not None:
                each = self._assessed(case.prompt, case.context, case.expect)
                if self.guards(each.decision) or case.expect.stops:
                    found[each.prompt, each.context] = each
        for case in self.policy.imported_tests:
            if case.prompt is not None:
                each = self._assessed(case.prompt, case.context, Outcome.ALLOWED)
                if self.guards(each.decision):
                    found.setdefault((each.prompt, each.context), each)
        unguarded = []
        for prompt in dict.fromkeys(prompts):
            each = self._assessed(prompt, Context(), Outcome.ALLOWED)
            if self.guards(each.decision):
                found.setdefault((each.prompt, each.context), each)
            else:
                unguarded.append(prompt)
        return list(found.values()), unguarded

    def marked(self, case: Guarded, phrases: Iterable[str]) -> Prompt:
        """The prompt with the words marked that its guarding rules saw, or else known phrases."""
        names = {
            name.partition(".")[2]
            for rule in self._guarding(case.decision)
            for name in self._rules[rule.id].condition.variables
        }
        spans = [(span.start, span.end) for span in case.scores.spans if span.name in names]
        if spans:
            return Prompt.marked(case.prompt, spans)
        return Prompt.noticing(case.prompt, phrases)

    def weaker(self, case: Guarded, decision: Decision) -> bool:
        """Whether a decision guards less than what is expected of the case."""
        if decision.outcome.gravity != case.expected.gravity:
            return decision.outcome.gravity < case.expected.gravity
        return not decision.outcome.stops and bool(self.lost(case, decision))

    def guards(self, decision: Decision) -> frozenset[str]:
        """What a decision keeps out of the images: everything, or what it steers away and checks.

        Fair draws are no guard. A negative prompt is one where its rule does nothing else.
        """
        if decision.outcome.stops:
            return frozenset(["everything"])
        return frozenset(guard for rule in self._guarding(decision) for guard in _guards_of(rule))

    def lost(self, case: Guarded, decision: Decision) -> list[str]:
        """The guarding rules of a case that no longer fire and that no other stands in for."""
        fired = {rule.id for rule in decision.rules}
        kept = self.guards(decision)
        return [
            rule.id
            for rule in self._guarding(case.decision)
            if rule.id not in fired and (_stops_by_itself(rule) or not {*_guards_of(rule)} <= kept)
        ]

    def unseen(self, rule: str, case: Guarded, scores: Scores) -> dict[str, Value]:
        """The fewest values that, seen as in the case, would have made the rule fire."""
        before = self.policy.values(case.scores, case.context)
        after = self.policy.values(scores, case.context)
        each = self._rules[rule]
        changed = sorted(n for n in each.condition.variables if before[n] != after[n])
        for count in range(1, len(changed) + 1):
            for names in itertools.combinations(changed, count):
                restored = {name: before[name] for name in names}
                if self.policy.firing({**after, **restored}, [each]):
                    return restored
        return {}

    def mended(self, case: Guarded, scores: Scores, restored: Mapping[str, Value]) -> Decision:
        """What would be decided, had these values been seen."""
        parts: dict[str, dict[str, Value]] = {"score": {}, "fact": {}}
        for name, value in restored.items():
            kind, _, key = name.partition(".")
            parts[kind][key] = value
        seen = Scores.model_validate(
            {"values": scores.values | parts["score"], "facts": scores.facts | parts["fact"]}
        )
        return self.policy.decide(seen, case.context)

    def _assessed(self, prompt: str, context: Context, least: Outcome) -> Guarded:
        scores, decision = self.policy.assess(prompt, context)
        expected = max(decision.outcome, least, key=lambda outcome: outcome.gravity)
        return Guarded(prompt, context, expected, scores, decision)

    def _guarding(self, decision: Decision) -> Iterator[Rule]:
        """The rules in force that guard, the gravest first."""
        rules = [self._rules[fired.id].rule for fired in decision.rules]
        order = ("block", "review", "steer", "check")
        yield from sorted(
            (rule for rule in rules if rule.enforce == "on" and _guards_of(rule)),
            key=lambda rule: order.index(rule.then.action),
        )


def _stops_by_itself(rule: Rule) -> bool:
    return rule.then.action in ("block", "review")


def _guards_of(rule: Rule) -> Sequence[str]:
    then = rule.then
    if _stops_by_itself(rule):
        return ["everything"]
    steered = [f"steers by {steer.concept}" for steer in then.steer]
    checked = [f"checks {p.detector}/{p.label}" for check in then.check for p in check.parts]
    return (steered + checked) or ([then.negative_prompt] if then.negative_prompt else [])

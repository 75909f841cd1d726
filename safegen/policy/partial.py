"""What a policy may decide where not all is known that it looks at.

Only for looking back: a record holds what its own policy looked at, and a candidate may look at
more. In production a value that is missing is an error.
"""

from collections.abc import Iterator
from typing import NamedTuple

from safegen.errors import PolicyError
from safegen.nouns import Context, Decision, Scores, Values
from safegen.policy.conditions import REQUEST
from safegen.policy.evaluate import decide
from safegen.policy.operands import operands
from safegen.policy.policy import CompiledRule, Policy
from safegen.policy.schema import folded


class Possible(NamedTuple):
    """A decision that may be made, and the names of what it depends on and nobody knows.

    `decision` is None where even what is known of these does not tell it. Whether the rules of
    `unsure` fire is not known. `scores` holds 0 for those that are missing.
    """

    lacking: frozenset[str]
    decision: Decision | None
    scores: Scores
    context: Context
    unsure: frozenset[str]


class Partial:
    """A policy, asked about requests of which something is not known."""

    def __init__(self, policy: Policy) -> None:
        """Read from its rules how texts of a request may have been meant."""
        self._policy = policy
        # What it declares is matched in any case; what it does not, letter by letter.
        self._texts = {
            name: {
                text
                for each in policy.rules
                if f"request.{name}" in each.condition.variables
                for text in operands(each.condition.text).texts
            }
            for name in REQUEST
            if name not in policy.file.context
        }

    def decisions(self, scores: Scores, context: Context, *, given: bool) -> Iterator[Possible]:
        """Every decision that may be made, first that of what is known, if no unsure rule fires.

        Each of the others supposes one thing more. That is enough to know whether they differ in
        what they do: the gravest, strongest or strictest holds, so what changes nothing alone does
        not in company.

        Args:
            scores: what is known of scores and facts.
            context: what is known of the request.
            given: the texts of the context are as the caller wrote them, not as another policy did.

        Raises:
            InputError: the policy does not know a value of the context.
            PolicyError: a condition cannot be evaluated, whatever is missing.
        """
        yield from self._decided(scores, context, frozenset())
        if given:
            return
        for name, texts in self._texts.items():
            known = getattr(context, name)
            for text in sorted(texts - {known}):
                if folded(text) == folded(known):
                    other = context.model_copy(update={name: text})
                    lacking = frozenset([f"request.{name} as it was written"])
                    try:
                        yield from self._decided(scores, other, lacking)
                    except PolicyError:
                        yield Possible(lacking, None, scores, other, frozenset())

    def _decided(
        self, scores: Scores, context: Context, lacking: frozenset[str]
    ) -> Iterator[Possible]:
        policy = self._policy
        values = policy.given(scores, context)
        missing = policy.needed - values.keys()
        firing, unsure = self._firing(values, missing)
        zeros = {name.partition(".")[2]: 0.0 for name in missing if name.startswith("score.")}
        filled = scores.model_copy(update={"values": zeros | scores.values})

        def possible(what: Decision | None, lacks: frozenset[str]) -> Possible:
            return Possible(lacks, what, filled, context, frozenset(unsure))

        for supposed in (None, *unsure):
            rules = [e.rule for e in policy.rules if e.rule.id in firing or e.rule.id == supposed]
            decision = decide(policy.file, policy.digest, [(r, {}) for r in rules], filled, context)
            lacks = lacking | unsure.get(supposed or "", frozenset())
            yield possible(decision, lacks)
            followed = {
                f"score.{how.follow}"
                for rule in rules
                if rule.enforce == "on"
                for how in (*rule.then.steer, rule.then.fair)
                if how is not None
            }
            if followed & missing and not decision.outcome.stops:
                yield possible(None, lacks | (followed & missing))

    def _firing(
        self, values: Values, missing: set[str]
    ) -> tuple[set[str], dict[str, frozenset[str]]]:
        """The rules that fire whatever is missing, and those that may, with what they lack.

        In CEL, `no && error` is no and `yes || error` is yes, so that a condition that what is
        missing cannot sway is no error.
        """
        policy = self._policy

        def lacks(rule: CompiledRule) -> frozenset[str]:
            return frozenset(missing.intersection(rule.condition.variables))

        whole = [each for each in policy.rules if not lacks(each)] if missing else None
        firing = {each.rule.id for each in policy.firing(values, whole)}
        unsure: dict[str, frozenset[str]] = {}
        for each in policy.rules if missing else ():
            if lacking := lacks(each):
                try:
                    firing |= {fires.rule.id for fires in policy.firing(values, [each])}
                except PolicyError:
                    unsure[each.rule.id] = lacking
        return firing, unsure

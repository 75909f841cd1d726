"""What a candidate policy would have made of requests that were recorded.

A record holds scores, facts and context, which is all that deciding needs: no prompt is.
"""

import itertools
from collections.abc import Iterable, Iterator

from safegen.nouns import Decision, Frozen, Record
from safegen.policy.added import could_add, told
from safegen.policy.compare import Comparison, Pair, compare, decided, gist, named
from safegen.policy.policy import Policy


class Replay(Frozen):
    """The comparison, and the records that could not take part: no decision was reached."""

    comparison: Comparison
    undecided: int
    policies: dict[str, int]


def replay(records: Iterable[Record], candidate: Policy) -> Replay:
    """Decide anew about recorded requests, and compare.

    What the candidate could have drawn as it was recorded is no change, for another policy draws
    anew. A record without a score that the candidate needs counts as an error, as such a request
    would.
    """
    policies: dict[str, int] = {}
    undecided = 0

    def pairs() -> Iterator[Pair]:
        nonlocal undecided
        for record in records:
            if record.decision is None:
                undecided += 1
                continue
            decision = record.decision
            whose = f"{decision.policy} ({decision.policy_digest})"
            policies[whose] = policies.get(whose, 0) + 1
            yield _pair(record, decision, candidate)

    comparison = compare("as recorded", named(candidate), pairs())
    return Replay(comparison=comparison, undecided=undecided, policies=policies)


def _pair(record: Record, decision: Decision, candidate: Policy) -> Pair:
    scores, context = record.scores, record.context
    after = decided(candidate, scores, context)
    before = gist(decision, told(itertools.chain(*decision.interventions)))
    if before.outcome == after.outcome and before.steering != after.steering:
        images = decision.interventions or ((),)
        if could_add(candidate, scores, candidate.decide(scores, context), images):
            before = before._replace(steering=after.steering)
    return Pair(record.id, "records", context, scores, before, after)

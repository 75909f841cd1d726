"""What a candidate policy would have made of requests that were recorded.

A record holds scores, facts and context, which is all that deciding needs: no prompt is.
"""

from collections.abc import Iterable, Iterator
from functools import partial

from safegen.nouns import Frozen, Record
from safegen.policy.compare import (
    Comparison,
    Pair,
    compare,
    decided,
    drawn_concepts,
    gist,
    named,
)
from safegen.policy.policy import Policy


class Replay(Frozen):
    """The comparison, and the records that could not take part: no decision was reached."""

    comparison: Comparison
    undecided: int
    policies: dict[str, int]


def replay(records: Iterable[Record], candidate: Policy) -> Replay:
    """Decide anew about recorded requests, and compare.

    What a fair rule draws is not compared, for another policy draws anew. A record without a score
    that the candidate needs counts as an error, as such a request would.
    """
    apart = drawn_concepts(candidate)
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
            yield Pair(
                record.id,
                "records",
                record.context,
                record.scores,
                gist(decision, apart, None),
                decided(partial(candidate.decide, record.scores, record.context), apart, None),
            )

    comparison = compare("as recorded", named(candidate), pairs())
    return Replay(comparison=comparison, undecided=undecided, policies=policies)

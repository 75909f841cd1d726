"""What a candidate policy would have made of requests that were recorded.

A record holds the scores, facts and context that its own policy looked at; no prompt, so that
nothing can be classified anew. What a candidate looks at beyond these is not known, nor is what
comes of it: that is counted apart.
"""

from collections import Counter
from collections.abc import Iterable, Iterator

from pydantic import Field

from safegen.errors import InputError, PolicyError
from safegen.nouns import Decision, Frozen, Outcome, Record, Scores
from safegen.policy.added import added, could_add, drawn, recorded
from safegen.policy.compare import Comparison, Gist, Pair, compare, differences, failed, gist, named
from safegen.policy.partial import Partial, Possible
from safegen.policy.policy import Policy
from safegen.risk.combine import classifier_name


class Tally(Frozen):
    """How many records, and how many of them each name is about."""

    records: int = 0
    names: dict[str, int] = {}


class Replay(Frozen):
    """The comparison of the records of which can be told what the candidate would decide.

    And what it does not say: of which records it cannot be told, and of which what was compared is
    not all.
    """

    comparison: Comparison
    policies: dict[str, int] = Field(description="what decided, and how many records")
    undecided: int = Field(description="left out: no decision was reached")
    bypassed: int = Field(description="left out: no decision took effect, nor would another")
    failed: int = Field(description="ended as an error after the decision, which is compared")
    untold: Tally = Field(description="left out: what the decision depends on was not recorded")
    rescored: Tally = Field(
        description="what was compared rests on scores and facts by other lists or classifiers "
        "than the candidate's"
    )
    redrawn: Tally = Field(
        description="what was drawn is what the candidate could have drawn; target and mode of the "
        "draw that it was are not recorded"
    )


def replay(records: Iterable[Record], candidate: Policy) -> Replay:
    """Decide anew about recorded requests, and compare.

    What the candidate could have drawn as it was recorded is no change, for another policy draws
    anew. Where a score or fact that it needs was not recorded, and matters, no change is counted
    but that it cannot be told: the candidate's own classifiers would give it.
    """
    counting = _Replaying(candidate)
    comparison = compare("as recorded", named(candidate), counting.pairs(records))
    return Replay(
        comparison=comparison,
        policies=counting.policies,
        undecided=counting.left_out["undecided"],
        bypassed=counting.left_out["bypassed"],
        failed=counting.left_out["failed"],
        untold=counting.untold.tally(),
        rescored=counting.rescored.tally(),
        redrawn=counting.redrawn.tally(),
    )


class _Counting:
    def __init__(self) -> None:
        self._records = 0
        self._names: Counter[str] = Counter()

    def add(self, names: Iterable[str]) -> None:
        """A record, if these are any."""
        if found := sorted(names):
            self._records += 1
            self._names.update(found)

    def tally(self) -> Tally:
        """What was counted, the most frequent first."""
        return Tally(records=self._records, names=dict(self._names.most_common()))


class _Replaying:
    """Records on their way into a comparison, and the count of what it does not say."""

    def __init__(self, candidate: Policy) -> None:
        self._candidate = candidate
        self._partial = Partial(candidate)
        self._gives = {
            (classifier_name(each), str(getattr(each, "digest", ""))): {
                *(f"score.{name}" for name in said.values),
                *(f"fact.{name}" for name in said.facts),
            }
            & candidate.needed
            for each in candidate.classifiers
            for said in each([""])
        }
        self.policies: Counter[str] = Counter()
        self.left_out: Counter[str] = Counter()
        self.untold = _Counting()
        self.rescored = _Counting()
        self.redrawn = _Counting()

    def pairs(self, records: Iterable[Record]) -> Iterator[Pair]:
        """Those of which can be told what comes of them."""
        for record in records:
            if (decision := record.decision) is None:
                self.left_out["undecided"] += 1
                continue
            self.policies[f"{decision.policy} ({decision.policy_digest})"] += 1
            if _bypassed(record):
                self.left_out["bypassed"] += 1
                continue
            self.left_out["failed"] += record.outcome == Outcome.ERROR
            if (pair := self._pair(record, decision)) is not None:
                self.rescored.add(self._rescored(record.scores))
                yield pair

    def _pair(self, record: Record, decision: Decision) -> Pair | None:
        """What was recorded and what would be now; None if that cannot be told."""
        scores, context = record.scores, record.context
        same = decision.policy_digest == self._candidate.digest
        try:
            first, *others = self._partial.decisions(scores, context, given=same)
        except (InputError, PolicyError) as error:
            before = gist(decision, recorded(decision))
            return Pair(record.id, "records", context, scores, before, failed(error, context))
        known = self._sides(decision, first)
        lacking = [
            each.lacking
            for each in others
            if known is None
            or (sides := self._sides(decision, each)) is None
            or differences(*sides) != differences(*known)
        ]
        if known is None or lacking:
            self.untold.add(frozenset().union(*lacking))
            return None
        before, after = known
        if not same and first.decision is not None and before.steering == after.steering:
            self.redrawn.add(drawn(self._candidate, first.decision))
        return Pair(record.id, "records", context, scores, before, after)

    def _sides(self, was: Decision, may_be: Possible) -> tuple[Gist, Gist] | None:
        """What was recorded and what may be now, if that can be told."""
        if (now := may_be.decision) is None:
            return None
        steering = added(self._candidate, may_be.scores, now)
        before = gist(was, recorded(was), may_be.unsure)
        after = gist(now, steering, may_be.unsure)
        if before.outcome == after.outcome and before.steering != after.steering:
            images = was.interventions or ((),)
            if could_add(self._candidate, may_be.scores, now, images):
                before = before._replace(steering=after.steering)
        return before, after

    def _rescored(self, scores: Scores) -> set[str]:
        """What the candidate needs and was given by another classifier than its own."""
        ran = scores.classifiers
        known = {
            *(f"score.{name}" for name in scores.values),
            *(f"fact.{name}" for name in scores.facts),
        }
        others: set[str] = set()
        for (name, digest), gives in self._gives.items():
            if digest not in ran.values() if digest else name not in ran:
                others |= gives & known
        own = {digest or name for name, digest in self._gives}
        for score, maker in scores.made_by.items():
            if own.isdisjoint((maker, ran.get(maker, ""))):
                others |= {f"score.{score}"} & self._candidate.needed
        return others


def _bypassed(record: Record) -> bool:
    """Whether the guard was bypassed, also if the pipeline itself withheld an image."""
    outcomes = {record.outcome, *(image.outcome for image in record.images)}
    return Outcome.BYPASSED in outcomes

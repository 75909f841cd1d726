"""A policy's `classifiers:` section: built, named, digested, and its mistakes located."""

import pytest

from safegen.errors import PolicyError
from safegen.nouns import Context, Outcome
from safegen.policy import Policy
from safegen.risk.terms import TermClassifier

POLICY = """\
apiVersion: safegen/v1
metadata: {name: near, version: "1"}
classifiers:
  near:
    kind: similarity
    concepts:
      arson:
        examples: [setting a house on fire, burning down a building, an arsonist with petrol]
rules:
  - {id: arson, when: score.arson >= 0.5, then: {block: {reason: arson}}}
"""


def test_a_rule_can_use_a_described_concept() -> None:
    """A concept of the section is a score that rules name, and the record says who made it."""
    policy = Policy(POLICY)
    scores, decision = policy.assess("someone sets a house on fire", Context())

    assert decision.outcome == Outcome.BLOCKED
    assert scores.made_by["arson"] == "near"
    assert set(scores.classifiers) == {"near"}
    assert all(digest.startswith("sha256:") for digest in scores.classifiers.values())
    assert policy.assess("a bowl of fruit", Context())[1].outcome == Outcome.ALLOWED


def test_without_the_section_only_lists_run() -> None:
    """A policy that names no classifier runs its term lists and nothing else."""
    [classifier] = Policy.load("default").classifiers

    assert isinstance(classifier, TermClassifier)


@pytest.mark.parametrize(
    ("old", "new", "where", "reason", "mend"),
    [
        ("kind: similarity", "kind: similarly", "5:5", "classifiers.near", ""),
        ("examples:", "exampels:", "8:9", "unknown key 'exampels'", "did you mean examples"),
        ("concepts:", "concept:", "6:5", "unknown key 'concept'", "did you mean concept"),
        (", an arsonist with petrol", "", "8:19", "at least 3", ""),
        ("score.arson", "score.arsn", "10:23", "unknown variable score.arsn", "score.arson?"),
    ],
)
def test_mistakes_in_the_section(old: str, new: str, where: str, reason: str, mend: str) -> None:
    """Each mistake is an error with file:line:column, the reason and the mend."""
    with pytest.raises(PolicyError) as error:
        Policy(POLICY.replace(old, new, 1), "near.yaml")

    assert f"near.yaml:{where}: " in error.value.message
    assert reason in error.value.message
    assert mend in (error.value.mend or "")

"""Names that a policy uses must exist."""

import pytest

from safegen.errors import PolicyError
from safegen.policy import Policy

POLICY = """\
apiVersion: safegen/v1
metadata: {name: small, version: "1"}
lists:
  job: {kind: fact, terms: [doctor]}
rules:
  - id: a
    when: fact.job
    then:
      steer: [{concept: no-weapon}]
      fair: {attribute: gender, target: {woman: 0.5, man: 0.5}}
"""


def test_known_concepts_pass() -> None:
    """A store that has them all is good enough."""
    known = ["man", "no-weapon", "woman", "other"]
    policy = Policy(POLICY)
    policy.require_concepts(known)

    assert policy.concepts < set(known)


@pytest.mark.parametrize(
    ("known", "where", "mend"),
    [
        (["no-weapons", "man", "woman"], "9:25", "did you mean no-weapons?"),
        (["no-weapon", "man", "women"], "10:49", "did you mean women?"),
        ([], "9:25", "known are: none"),
    ],
)
def test_unknown_concepts(known: list[str], where: str, mend: str) -> None:
    """The first concept without a vector is named, placed, and the nearest one offered."""
    with pytest.raises(PolicyError, match="no vector for the concept") as caught:
        Policy(POLICY, "p.yaml").require_concepts(known)

    assert str(caught.value).startswith(f"p.yaml:{where}: rule 'a'")
    assert caught.value.mend == mend


@pytest.mark.parametrize(
    ("case", "mend"),
    [("rules: [b]", "known are: a"), ("facts: {jobb: true}", "did you mean job?")],
)
def test_unknown_names_in_tests(case: str, mend: str) -> None:
    """A test that names what does not exist could never hold."""
    with pytest.raises(PolicyError, match="which does not exist") as caught:
        Policy(f"{POLICY}tests: [{{prompt: x, expect: allowed, {case}}}]")

    assert caught.value.line == 11
    assert caught.value.mend == mend


def test_detectors_that_wait_for_each_other() -> None:
    """A detector that waits, through another, for itself would never look."""
    circle = "detectors:\n  a: {when: {detector: b, label: x, between: [0.2, 0.8]}}\n"
    circle += "  b: {when: {detector: a, label: x, between: [0.2, 0.8]}}\n"
    with pytest.raises(PolicyError, match=r"12:24: .*'a' can never look: a, which waits for b"):
        Policy(POLICY + circle)

    chain = circle.replace("detector: a", "detector: c")
    assert Policy(POLICY + chain).detectors == {"a", "b", "c"}


def test_concepts_that_a_ladder_adds() -> None:
    """They need vectors like those of the rules."""
    policy = Policy(POLICY + "ladder: [{action: regenerate, add: [{concept: calm}]}]\n")

    assert "calm" in policy.concepts
    with pytest.raises(PolicyError, match="11:47: no vector for the concept 'calm', which the"):
        policy.require_concepts(["no-weapon", "man", "woman"])

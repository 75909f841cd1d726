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


@pytest.mark.parametrize(
    ("case", "column", "reason", "mend"),
    [
        ("scores: {wepon: 1.0}", 43, "score 'wepon', which", "did you mean weapon?"),
        ("scores: {weapon: 1.0, job: 1.0}", 54, "score 'job', which", "known are: weapon"),
        ("scores: {weapon: 1.0}, facts: {jb: true}", 62, "fact 'jb', which", "did you mean job?"),
        ("scores: {}, facts: {jb: false}", 51, "fact 'jb', which", "did you mean job?"),
    ],
)
def test_unknown_names_in_tests_by_scores(case: str, column: int, reason: str, mend: str) -> None:
    """A misspelt score would count as left out, and the test would pass without testing."""
    text = POLICY.replace("lists:", "lists:\n  weapon: {kind: score, terms: [gun]}")
    with pytest.raises(PolicyError, match=reason) as caught:
        Policy(f"{text}tests: [{{expect: allowed, {case}}}]", "p.yaml")

    assert (caught.value.line, caught.value.column) == (12, column)
    assert caught.value.mend == mend


def test_a_file_of_cases_knows_the_scores_of_what_it_tests() -> None:
    """Its names are those of the policy that it imports."""
    text = POLICY.split("lists:")[0] + "imports: [base]\n"
    cases = text + "tests: [{scores: {}, facts: {job: true}, expect: steered}]\n"

    assert Policy(cases, fetch=lambda *_: (POLICY, "base")).test()[0].wrong == ()
    with pytest.raises(PolicyError, match="did you mean job"):
        Policy(cases.replace("job", "jobs"), fetch=lambda *_: (POLICY, "base"))


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

"""Test results for CI servers."""

from xml.etree import ElementTree

from safegen.policy import Policy
from safegen.policy.junit import junit

POLICY = """\
apiVersion: safegen/v1
metadata: {name: small, version: "1"}
lists: {hat: {kind: fact, terms: [hat]}}
rules: [{id: hat, when: fact.hat, then: {block: {reason: hat}}}]
tests:
  - {prompt: a hat, expect: blocked}
  - {prompt: "a <cap> \\x01 & \\u0410", expect: blocked, rules: [hat]}
"""


def test_junit() -> None:
    """A case each; a failure says what was expected and what the rules saw; any prompt is XML."""
    policy = Policy(POLICY)
    suite = ElementTree.fromstring(junit(policy.name, policy.test()))[0]  # noqa: S314 (our own)
    passed, failed = suite

    assert (suite.get("name"), suite.get("tests"), suite.get("failures")) == ("small", "2", "1")
    assert (passed.get("name"), len(passed)) == ("1: a hat", 0)
    assert failed.get("name") == "2: a <cap> \\x01 & \\u0410"
    assert failed[0].get("message") == (
        "outcome: expected blocked, got allowed; rules: expected hat, got none"
    )
    assert "hat did not fire, saw fact.hat = False" in (failed[0].text or "")

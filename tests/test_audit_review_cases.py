"""False alarms as tests of the policy that raised them."""

import json
from pathlib import Path

import pytest
from ledgers import record
from reviewing import EVIL
from typer.testing import CliRunner

from safegen.audit.review.cases import cases
from safegen.cli.policy import app
from safegen.nouns import Context, Outcome, Record, Scores
from safegen.policy import Policy
from safegen.policy.load import parse_policy

TEXT = """apiVersion: safegen/v1
metadata: {name: mine, version: "1"}
lists:
  gore: {kind: score, terms: [gore]}
  toys: {kind: fact, terms: [toy]}
rules:
  - {id: no-gore, when: score.gore > 0.5, then: {block: {reason: gore}}}
tests:
  - {prompt: gore, expect: blocked}
"""


@pytest.fixture
def overturned() -> Record:
    """What the policy blocked."""
    scores, decision = Policy(TEXT).assess("toy gore", Context(tenant="acme"))
    return record(0, Outcome.BLOCKED).model_copy(update={"scores": scores, "decision": decision})


def test_they_fail_until_the_policy_is_mended(overturned: Record, tmp_path: Path) -> None:
    """Written beside the policy, `safegen policy test` runs the file as it is."""
    policy, tests = tmp_path / "mine.yaml", tmp_path / "false-alarms.yaml"
    tests.write_text(cases("mine", [overturned]))
    policy.write_text(TEXT)
    before = CliRunner().invoke(app, ["test", str(tests), "--json"])
    policy.write_text(TEXT.replace("0.5,", "0.5 && !fact.toys,"))
    after = CliRunner().invoke(app, ["test", str(tests), "--json"])

    assert (before.exit_code, after.exit_code) == (1, 0), after.output
    [failed] = json.loads(before.stdout)["failed"]
    assert (failed["expected"], failed["got"]) == ("allowed", "blocked")
    assert failed["fired"] == ["no-gore"]


def test_only_what_held_is_written(overturned: Record) -> None:
    """The rest counts as 0 and as false: a list that is taken out leaves its zeros nowhere."""
    text = cases("default", [overturned])
    [case] = parse_policy(text, "cases").file.tests

    assert overturned.scores.facts == {"toys": True, "negated_gore": False, "negated_toys": False}
    assert (case.scores, case.facts) == ({"gore": 1.0}, {"toys": True})


def test_text_of_requests_stays_text(overturned: Record) -> None:
    """No id, tenant, score or policy's name becomes a key, an anchor or a comment's end."""
    evil = f"{EVIL}\n- &a !!python/object: {{x: 1}}\n"
    decision = overturned.decision
    assert decision is not None
    hostile = overturned.model_copy(
        update={
            "id": evil,
            "context": Context(tenant=evil),
            "scores": Scores(values={evil: 0.5}, facts={evil: True}),
        }
    )
    text = cases("../../etc/passwd", [hostile])
    read = cases("default", [hostile])
    [case] = parse_policy(read, "cases").file.tests

    assert text.isascii()
    assert "- ../../etc/passwd.yaml" in text
    assert case.context.tenant == evil
    assert case.scores == {evil: 0.5}


def test_nobody_is_named(overturned: Record) -> None:
    """Who asked stays in the ledger, however the record keeps it."""
    context = Context(tenant="acme", user="alice@example.org")
    asked = overturned.model_copy(update={"context": context})
    text = cases("default", [asked])

    assert "alice" not in text
    assert parse_policy(text, "cases").file.tests[0].context == Context(tenant="acme")


def test_what_a_detector_saw_is_told_apart() -> None:
    """An image that was flagged is no matter of the prompt."""
    stopped = record(1, Outcome.ALLOWED)
    text = cases("default", [stopped])

    assert Policy(text).file.tests == ()
    assert "which no prompt can test" in text
    assert f'"{stopped.id}"' in text


def test_no_prompt_is_put_in(overturned: Record) -> None:
    """Nor where the ledger keeps it in plain text: whoever gets the tests need not see it."""
    kept = overturned.model_copy(update={"prompt": "toy gore"})

    assert cases("mine", [kept]) == cases("mine", [overturned])

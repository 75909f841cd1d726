"""`safegen policy`: what a compliance team sees."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from safegen.audit.ledger import Ledger
from safegen.audit.ledger.keys import load_private_key, make_private_key, public_pem
from safegen.cli.policy import app
from safegen.concepts.store import VectorStore
from safegen.concepts.vector import save_vector
from safegen.errors import InputError, OutputError, PolicyError
from safegen.nouns import Context, Outcome, Record
from safegen.policy import Policy

POLICY = """\
apiVersion: safegen/v1
metadata: {name: small, version: "7"}
lists:
  weapon: {kind: score, terms: [knife]}
rules:
  - id: armed
    when: score.weapon >= 0.5 && request.region == 'eu'
    then: {block: {reason: weapon}}
"""
TESTS = """\
tests:
  - {prompt: a knife, context: {region: eu}, expect: blocked, rules: [armed]}
  - {prompt: a knife, expect: allowed, facts: {negated_weapon: false}}
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where a policy may be written."""
    return tmp_path / "p.yaml"


def test_a_policy_that_passes(path: Path) -> None:
    """Exit 0, with the number of tests."""
    path.write_text(POLICY + TESTS, encoding="utf-8")
    done = CliRunner().invoke(app, ["test", str(path)])

    assert (done.exit_code, done.output) == (
        0,
        "2 of 2 tests passed\n1 of 1 rules of this file fired\n",
    )


def test_a_failure_explains_itself(path: Path) -> None:
    """Exit 1, with prompt, context, expected, got, and what the rules saw, fired or not."""
    path.write_text(POLICY + TESTS.replace("region: eu", "region: us"), encoding="utf-8")
    done = CliRunner().invoke(app, ["test", str(path)])

    assert done.exit_code == 1
    assert done.output.splitlines() == [
        "failed: 'a knife' {'region': 'us'}",
        "  outcome: expected blocked, got allowed",
        "  rules: expected armed, got none",
        "  armed did not fire, saw score.weapon = 1.0, request.region = us",
        "1 of 2 tests passed",
        "0 of 1 rules of this file fired; in no test: armed",
    ]


def test_a_failed_fact(path: Path) -> None:
    """A fact that is not as expected is a failure too; with --json for machines."""
    path.write_text(POLICY + TESTS.replace("false}}", "true}}"), encoding="utf-8")
    done = CliRunner().invoke(app, ["test", str(path), "--json"])
    report = json.loads(done.output)

    assert done.exit_code == 1
    assert report["cases"] == 2
    assert report["coverage"] == {"rules": 1, "fired": 1, "never_fired": []}
    assert [each["wrong"] for each in report["failed"]] == [
        ["fact negated_weapon: expected True, got False"]
    ]


def test_no_tests_is_a_failure(path: Path) -> None:
    """A policy that tests nothing has not passed."""
    path.write_text(POLICY, encoding="utf-8")
    done = CliRunner().invoke(app, ["test", str(path)])

    assert done.exit_code == 1
    assert "add `tests:`" in done.output


def test_check_tells_what_a_policy_may_ask_for() -> None:
    """Rules, concepts and checks of a shipped pack, as text and as JSON."""
    text = CliRunner().invoke(app, ["check", "default"])
    report = json.loads(CliRunner().invoke(app, ["check", "default", "--json"]).output)

    assert text.exit_code == 0
    assert "concepts: dark, light, man" in text.output
    assert "no-weapon" in report["concepts"]
    assert "clip/weapon" in report["checks"]
    assert report["digest"].startswith("sha256:")
    assert report["findings"] == []


def test_check_tells_what_is_replaced(path: Path) -> None:
    """Lists and rules that stand in for imported ones, and the imported rules that read them."""
    cut = "  - {id: cut, when: request.region == 'us', then: {mark: true}}\n"
    base, own = POLICY.replace("armed", "bare") + cut, POLICY.replace("[knife]", "[axe]") + cut
    source = path.with_name("base.yaml")
    source.write_text(base, encoding="utf-8")
    path.write_text(own.replace("lists:", "imports: [base.yaml]\nlists:"), encoding="utf-8")
    text = CliRunner().invoke(app, ["check", str(path)])
    report = json.loads(CliRunner().invoke(app, ["check", str(path), "--json"]).output)

    assert report["replaces"] == {
        "list weapon": f"of {source}, read by bare",
        "rule cut": f"of {source}",
    }
    assert (
        f"replaces: list weapon (of {source}, read by bare), rule cut (of {source})" in text.output
    )
    assert "replaces: none" in CliRunner().invoke(app, ["check", "default"]).output

    both = path.with_name("both.yaml")
    head = POLICY[: POLICY.index("lists:")]
    both.write_text(f"{head}imports: [base.yaml, {path.name}]\n", encoding="utf-8")
    report = json.loads(CliRunner().invoke(app, ["check", str(both), "--json"]).output)
    assert report["replaces"] == {
        "list weapon": f"of {source}, by {path}, read by bare",
        "rule cut": f"of {source}, by {path}",
    }


def test_check_tells_what_is_hardly_meant(path: Path) -> None:
    """Exit 1, and for each finding its place, its id, and where the id is explained."""
    path.write_text(POLICY, encoding="utf-8")
    text = CliRunner().invoke(app, ["check", str(path)])
    report = json.loads(CliRunner().invoke(app, ["check", str(path), "--json"]).output)

    assert text.exit_code == 1
    assert f"{path}:1:1: no-tests: the policy has no tests (safegen docs policy-lint#no-tests)" in (
        text.output.splitlines()
    )
    assert [each["lint"] for each in report["findings"]] == ["no-tests", "no-owner"]


def test_junit(path: Path, tmp_path: Path) -> None:
    """With --junit the results are a file too, whether the tests pass or not."""
    path.write_text(POLICY + TESTS, encoding="utf-8")
    done = CliRunner().invoke(app, ["test", str(path), "--junit", str(tmp_path / "r.xml")])
    nowhere = CliRunner().invoke(app, ["test", str(path), "--junit", str(tmp_path / "no" / "r")])

    assert done.exit_code == 0
    assert b'tests="2" failures="0"' in (tmp_path / "r.xml").read_bytes()
    assert isinstance(nowhere.exception, OutputError)


def test_explain(path: Path) -> None:
    """In plain words, or as JSON; the context is given as key=value."""
    path.write_text(POLICY, encoding="utf-8")
    text = CliRunner().invoke(app, ["explain", str(path), "a knife", "--context", "region=us"])
    report = json.loads(
        CliRunner()
        .invoke(app, ["explain", str(path), "a knife", "--context", "region=eu", "--json"])
        .output
    )

    assert text.output.splitlines() == [
        "allowed",
        "  'knife' counts as weapon",
        "no rule fired",
        "rules that nearly fired:",
        "  armed would block with request.region 'eu' (it is 'us')",
    ]
    assert report["decision"]["outcome"] == "blocked"
    assert report["decision"]["rules"][0]["values"] == {
        "score.weapon": 1.0,
        "request.region": "eu",
    }


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("regoin=eu", "did you mean region?"),
        ("agee=teen", "known are: age_band"),
        ("images=0", "images=0"),
        ("seed", "seed="),
    ],
)
def test_a_wrong_context_is_an_error(given: str, message: str) -> None:
    """An unknown key, or a value that does not fit, is told."""
    done = CliRunner().invoke(app, ["explain", "default", "a knife", "--context", given])

    assert isinstance(done.exception, InputError)
    assert message in str(done.exception)


def test_diff(path: Path, tmp_path: Path) -> None:
    """What flips, as a table, as JSON and as a web page in which nothing of a prompt is markup."""
    other, prompts, page = tmp_path / "o.yaml", tmp_path / "p.txt", tmp_path / "r.html"
    path.write_text(POLICY, encoding="utf-8")
    other.write_text(POLICY.replace("'eu'", "''"), encoding="utf-8")
    prompts.write_text("a <b>knife</b>\n\na cat\n", encoding="utf-8")
    given = ["diff", str(path), str(other), "--prompts", str(prompts)]
    text = CliRunner().invoke(app, [*given, "--html", str(page)])
    report = json.loads(CliRunner().invoke(app, [*given, "--json"]).output)

    assert text.exit_code == 0
    assert "1 of 2 prompts come out differently" in text.output
    assert report["changed"]["prompts"] == 1
    assert "&lt;b&gt;knife&lt;/b&gt;" in page.read_text(encoding="utf-8")
    assert "<b>" not in page.read_text(encoding="utf-8")


def test_diff_of_settings(path: Path, tmp_path: Path) -> None:
    """What no decision shows stands in the table, in JSON and on the page; what is long is cut."""
    other, page = tmp_path / "o.yaml", tmp_path / "r.html"
    path.write_text(POLICY, encoding="utf-8")
    terms = ", ".join(f"<b>{i}" for i in range(1000))
    other.write_text(
        POLICY + f"record: {{user: plain}}\n"
        f"detectors: {{clip: {{settings: {{labels: {{x: [{terms}]}}}}}}}}\n",
        encoding="utf-8",
    )
    given = ["diff", str(path), str(other)]
    text = CliRunner().invoke(app, [*given, "--html", str(page)])
    report = json.loads(CliRunner().invoke(app, [*given, "--json"]).output)

    assert text.exit_code == 0
    assert "2 settings beside the rules differ" in text.output
    assert "record.user" in text.output
    assert "999" not in text.output
    assert [each["name"] for each in report["settings"]] == ["detectors.clip", "record.user"]
    assert "<b>999" in report["settings"][0]["after"]
    assert "<td>record.user</td><td>hmac</td><td>plain</td>" in page.read_text(encoding="utf-8")
    assert "<b>" not in page.read_text(encoding="utf-8")


def test_diff_says_where_it_may_miss_something(path: Path, tmp_path: Path) -> None:
    """A rule that calculates is named."""
    other = tmp_path / "o.yaml"
    path.write_text(POLICY, encoding="utf-8")
    other.write_text(POLICY.replace("'eu'", "'eu' + 'x'"), encoding="utf-8")
    done = CliRunner().invoke(app, ["diff", str(path), str(other)])

    assert "no more than a sample of their values: armed" in done.output


def test_replay(path: Path, tmp_path: Path) -> None:
    """A real ledger through a candidate: counts, examples by record id, no prompts, no users."""
    path.write_text(POLICY, encoding="utf-8")
    policy = Policy.load(path)
    scores, decision = policy.assess("a knife", Context(region="us"))
    with Ledger.open(tmp_path / "ledger") as ledger:
        record = Record(
            id="the-record", time="2026-01-01T00:00:00Z", outcome=decision.outcome,
            prompt_commitment="", context=Context(region="us", user="alice@example.org"),
            scores=scores, decision=decision,
            safegen="0",
        )  # fmt: skip
        ledger.append(record)
    candidate, page = tmp_path / "c.yaml", tmp_path / "r.html"
    candidate.write_text(POLICY.replace("'eu'", "'us'"), encoding="utf-8")
    given = ["replay", str(tmp_path / "ledger"), "--candidate", str(candidate)]
    text = CliRunner().invoke(app, [*given, "--html", str(page)])
    report = json.loads(CliRunner().invoke(app, [*given, "--json"]).output)

    assert text.exit_code == 0
    assert "1 of 1 records come out differently" in text.output
    (change,) = report["comparison"]["changes"]
    assert (change["before"], change["after"], change["count"]) == (
        "allowed", "blocked: weapon", 1,
    )  # fmt: skip
    assert change["examples"][0]["name"] == "the-record"
    assert change["examples"][0]["context"]["region"] == "us"
    shown = page.read_text(encoding="utf-8")
    assert "the-record" in shown
    assert "alice" not in f"{shown}{text.output}{json.dumps(report)}"


def test_replay_says_what_it_cannot_know(path: Path, tmp_path: Path) -> None:
    """In the text, in JSON and on the page: what was left out, and why."""
    path.write_text(POLICY, encoding="utf-8")
    policy = Policy.load(path)
    scores, decision = policy.assess("a cat", Context())
    with Ledger.open(tmp_path / "ledger") as ledger:
        for name, outcome in (("a", decision.outcome), ("b", Outcome.BYPASSED)):
            ledger.append(
                Record(
                    id=name, time="2026-01-01T00:00:00Z", outcome=outcome, prompt_commitment="",
                    context=Context(), scores=scores, decision=decision, safegen="0",
                )
            )  # fmt: skip
    candidate, page = tmp_path / "c.yaml", tmp_path / "r.html"
    lists = "".join(f"  {name}: {{kind: fact, terms: [{name * 3}]}}\n" for name in "abcdefghij")
    rules = " || ".join(f"fact.{name}" for name in "abcdefghij")
    candidate.write_text(
        POLICY.replace("lists:\n", f"lists:\n{lists}")
        + f"  - {{id: new, when: {rules}, then: {{review: {{reason: new}}}}}}\n",
        encoding="utf-8",
    )
    given = ["replay", str(tmp_path / "ledger"), "--candidate", str(candidate)]
    text = CliRunner().invoke(app, [*given, "--html", str(page)]).output
    report = json.loads(CliRunner().invoke(app, [*given, "--json"]).output)

    assert "come out differently" not in text
    assert "nothing was compared" in text
    assert "nothing was compared" in page.read_text(encoding="utf-8")
    assert "comes out differently" not in page.read_text(encoding="utf-8")
    untold = "1 left out: what would come of them cannot be told, for there was not recorded: "
    assert untold in text
    assert untold in page.read_text(encoding="utf-8")
    assert "fact.h (1), 2 more" in text
    assert "1 left out: the guard was bypassed" in text
    assert report["untold"]["records"] == report["bypassed"] == 1
    assert len(report["untold"]["names"]) == 10


def test_init_starts_a_policy_that_works(path: Path) -> None:
    """The new file passes its own check and tests, and is never written over another."""
    done = CliRunner().invoke(app, ["init", str(path)])

    assert done.exit_code == 0
    assert 'name: "p"' in path.read_text(encoding="utf-8")
    assert CliRunner().invoke(app, ["check", str(path)]).exit_code == 0
    assert CliRunner().invoke(app, ["test", str(path)]).exit_code == 0
    assert isinstance(CliRunner().invoke(app, ["init", str(path)]).exception, OutputError)


def test_init_takes_any_file_name(tmp_path: Path) -> None:
    """An emoji is kept, and the advice can be pasted into a shell."""
    path = tmp_path / "my 😀.yaml"
    done = CliRunner().invoke(app, ["init", str(path)])

    assert done.stdout.endswith(f"safegen policy test '{path}'\n")
    assert Policy.load(path).name == "my 😀"


def test_init_takes_no_name_of_a_pack(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`safegen policy test default` would test the pack, not the file."""
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(app, ["init", "default"])

    assert isinstance(done.exception, OutputError)
    assert "default.yaml" in str(done.exception.mend)
    assert list(tmp_path.iterdir()) == []


def test_bundle_and_verify(path: Path, tmp_path: Path) -> None:
    """A signed bundle verifies; a bundle without its signature ends with exit 1."""
    key, public = tmp_path / "key.pem", tmp_path / "public.pem"
    make_private_key(key)
    public.write_bytes(public_pem(load_private_key(key)))
    path.write_text(POLICY, encoding="utf-8")
    signed, bare = str(tmp_path / "signed"), str(tmp_path / "bare")
    made = CliRunner().invoke(
        app, ["bundle", str(path), "--out", signed, "--key", str(key), "--json"]
    )
    CliRunner().invoke(app, ["bundle", str(path), "--out", bare])
    good = CliRunner().invoke(app, ["verify", signed, "--public-key", str(public), "--json"])
    bad = CliRunner().invoke(app, ["verify", bare, "--public-key", str(public)])

    assert json.loads(made.output)["signed"] is True
    assert json.loads(good.output)["digest"] == json.loads(made.output)["digest"]
    assert json.loads(good.output)["not_covered"] == json.loads(made.output)["not_covered"] == []
    assert bad.exit_code == 1
    assert "its signature is missing" in bad.output


def test_what_the_signature_does_not_cover_is_printed(path: Path, tmp_path: Path) -> None:
    """When a policy is bundled, and when the bundle is verified."""
    key, public, out = (tmp_path / name for name in ("key.pem", "public.pem", "signed"))
    make_private_key(key)
    public.write_bytes(public_pem(load_private_key(key)))
    uses = "detectors: {clip: {settings: {model: ViT-B-32, pretrained: mine.pt}}}\n"
    path.write_text(POLICY + uses, encoding="utf-8")
    made = CliRunner().invoke(app, ["bundle", str(path), "--out", str(out), "--key", str(key)])
    good = CliRunner().invoke(app, ["verify", str(out), "--public-key", str(public)])

    told = "not covered: detectors.clip.settings.model, detectors.clip.settings.pretrained\n"
    assert told in made.output
    assert told in good.output


def test_a_bundle_takes_the_place_of_bundles_alone(path: Path, tmp_path: Path) -> None:
    """Neither a policy nor a key is written over, and a bundle is not bundled again."""
    path.write_text(POLICY, encoding="utf-8")
    out = tmp_path / "made"
    for _ in range(2):
        assert CliRunner().invoke(app, ["bundle", str(path), "--out", str(out)]).exit_code == 0
    over = CliRunner().invoke(app, ["bundle", str(path), "--out", str(path)])
    again = CliRunner().invoke(app, ["bundle", str(out), "--out", str(tmp_path / "other")])

    assert "is no bundle" in str(over.exception)
    assert path.read_text(encoding="utf-8") == POLICY
    assert "is a bundle already" in str(again.exception)


@pytest.mark.parametrize("missing", ["bundle", "key"])
def test_a_missing_file_is_no_verdict(path: Path, missing: str) -> None:
    """Verifying what is not there is a mistake of the caller's, not an answer."""
    path.write_text(POLICY, encoding="utf-8")
    bundle, key = (path.with_name("typo") if it == missing else path for it in ("bundle", "key"))
    done = CliRunner().invoke(app, ["verify", str(bundle), "--public-key", str(key), "--json"])

    assert isinstance(done.exception, InputError)
    assert "typo" in done.exception.message
    assert done.stdout == ""


def test_a_value_of_the_context_is_not_forgotten() -> None:
    """A key alone was once read as a value that nobody knows."""
    done = CliRunner().invoke(app, ["explain", "default", "a beer", "--context", "age_band"])

    assert isinstance(done.exception, InputError)
    assert str(done.exception.mend) == "write --context age_band=VALUE"


def test_watch(path: Path) -> None:
    """A line at the start and at each save, for good policies and for bad ones."""
    path.write_text(POLICY + TESTS, encoding="utf-8")
    command = [sys.executable, "-m", "safegen", "policy", "watch", str(path), "--json"]
    with subprocess.Popen([*command, "--interval", "0.1"], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        lines = [json.loads(process.stdout.readline())]
        changed = POLICY + TESTS.replace("blocked", "review")
        for text in (changed, "no policy", POLICY + TESTS):
            part = path.with_suffix(".part")
            part.write_text(text, encoding="utf-8")
            part.replace(path)
            lines.append(json.loads(process.stdout.readline()))
        process.terminate()

    assert [line["status"] for line in lines] == [
        "swapped", "refused", "refused", "unchanged"
    ]  # fmt: skip
    assert [line["failed"] for line in lines] == [[], ["a knife"], [], []]
    assert "1 of 2 tests" in lines[1]["error"]
    assert len({line["digest"] for line in lines}) == 1


def test_the_schema_is_printed() -> None:
    """One JSON object, for a file that editors read."""
    schema = json.loads(CliRunner().invoke(app, ["schema"]).output)

    assert schema["properties"]["apiVersion"]["const"] == "safegen/v1"


def test_check_knows_the_vectors(path: Path) -> None:
    """With --vectors, a concept that the set lacks is an error with its place."""
    good = CliRunner().invoke(app, ["check", "default", "--vectors", "reference"])
    path.write_text(POLICY.replace("block: {reason: weapon}", "steer: [{concept: no-wepon}]"))
    bad = CliRunner().invoke(app, ["check", str(path), "--vectors", "reference"])

    assert good.exit_code == 0
    assert isinstance(bad.exception, PolicyError)
    assert (bad.exception.line, bad.exception.mend) == (8, "did you mean no-weapon?")


def test_check_tells_what_the_vectors_cards_say(path: Path, tmp_path: Path) -> None:
    """One that shows no effect is a finding; one that nobody measured is only listed."""
    path.write_text(
        POLICY.replace("block: {reason: weapon}", "steer: [{concept: woman}, {concept: man}]")
    )
    shipped = VectorStore("reference")
    for name, verdict in (("woman", "no effect shown"), ("man", None)):
        passport = shipped[name].passport
        assert passport.card
        card = passport.card.model_copy(update={"verdict": verdict}) if verdict else None
        vector = replace(shipped[name], passport=passport.model_copy(update={"card": card}))
        save_vector(vector, tmp_path / "v" / f"{name}.safetensors")
    given = ["check", str(path), "--vectors", str(tmp_path / "v")]
    done = CliRunner().invoke(app, [*given, "--json"])
    told = json.loads(done.stdout)

    assert done.exit_code == 1
    assert told["cards"] == {"man": "not measured", "woman": "no effect shown"}
    assert [
        (each["line"], each["message"].split("`")[0])
        for each in told["findings"]
        if each["lint"] == "no-effect-shown"
    ] == [(8, "the card of the vector 'woman' says ")]
    text = CliRunner().invoke(app, given).stdout
    assert "cards: man (not measured), woman (no effect shown)\n" in text
    assert "cards" not in json.loads(CliRunner().invoke(app, [*given[:2], "--json"]).stdout)


def test_a_wrong_policy_is_an_error(path: Path) -> None:
    """The error has the place; the command line as a whole prints it."""
    path.write_text(POLICY.replace("knife", "5"), encoding="utf-8")
    done = CliRunner().invoke(app, ["check", str(path)])

    assert isinstance(done.exception, PolicyError)
    assert done.exception.line == 4

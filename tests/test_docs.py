"""The Python and SQL of the README and the guides run; the policies shown are policies."""

import re
from pathlib import Path
from types import SimpleNamespace

import duckdb
import pytest
from comfyui_client import connected
from comfyui_tree import Server
from guides import ROOT, anchors, links, snippets
from ledgers import FULL, ledger

from safegen.audit.marking.c2pa import C2paMarker
from safegen.audit.marking.certificates import make_certificates, read_certificates, signing_by
from safegen.audit.marking.reading import read_credentials
from safegen.audit.sinks import Shipper, sink_at
from safegen.evaluation.mutations.words import read_words
from safegen.policy import Policy
from safegen.policy.load import parse_policy

SHOWN = {
    "README.md": ("steered ['fair.gender', 'fair.tone']", "safegen-ledger"),
    "docs/scan.md": ("1 0 0\n", "results.jsonl.scan"),
}
"""Document -> how what its snippets print begins, and a folder that they leave behind."""
DOCUMENTS = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda document: document.name)
def test_links_lead_somewhere(document: Path) -> None:
    """What a document links to in the repository is there, and has the heading that is named."""
    broken = []
    for link in links(document):
        name, _, anchor = link.partition("#")
        target = document.parent / name if name else document
        if not target.exists() or (anchor and anchor not in anchors(target)):
            broken.append(link)

    assert broken == []


@pytest.mark.parametrize(
    ("document", "code"), [(name, code) for name in SHOWN for code in snippets(name)]
)
def test_snippets_print_and_leave_what_they_say(
    document: str,
    code: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The examples of embedding a guard and of scanning an archive do what they say."""
    printed, left = SHOWN[document]
    monkeypatch.chdir(tmp_path)
    exec(compile(code, document, "exec"), {})  # noqa: S102 (the point of this test)

    assert capsys.readouterr().out.startswith(printed)
    assert (tmp_path / left).is_dir()


@pytest.mark.parametrize("code", snippets("docs/policy.md"))
def test_policy_snippets_run(code: str, capsys: pytest.CaptureFixture[str]) -> None:
    """The examples of the policy guide run and print what they decided or loaded."""
    exec(compile(code, "docs/policy.md", "exec"), {})  # noqa: S102 (the point of this test)

    assert capsys.readouterr().out.split()[0] in ("steered", "default")


def test_policies_shown_are_policies() -> None:
    """The whole policies of the policy guide load, and pass their own tests."""
    shown = re.findall(r"```yaml\n(api.*?)```", (ROOT / "docs/policy.md").read_text(), re.DOTALL)
    policies = [Policy(text) for text in shown]

    assert len(policies) == 2
    assert [case.wrong for policy in policies for case in policy.test()] == [()] * 3


def test_classifiers_shown_are_valid() -> None:
    """The section `classifiers` of the risk guide is one that a policy may have."""
    [shown] = re.findall(r"```yaml\n(.*?)```", (ROOT / "docs/risk.md").read_text(), re.DOTALL)
    head = 'apiVersion: safegen/v1\nmetadata: {name: shown, version: "1"}\n'

    policy = parse_policy(head + shown, "docs/risk.md").file
    kinds = {each.kind for each in policy.classifiers.values()}
    assert kinds == {"encoder", "head", "similarity", "huggingface", "http"}


@pytest.mark.parametrize("code", snippets("docs/redteam.md"))
def test_redteam_snippets_run(code: str, capsys: pytest.CaptureFixture[str]) -> None:
    """The example of the guide to red-teaming finds holes."""
    exec(compile(code, "docs/redteam.md", "exec"), {})  # noqa: S102 (the point of this test)

    assert capsys.readouterr().out.startswith("160 prompts guarded, ")


def test_words_shown_are_words(tmp_path: Path) -> None:
    """The words of one's own that the guide shows are read."""
    [shown] = snippets("docs/redteam.md", "yaml")
    (tmp_path / "own.yaml").write_text(shown)

    assert read_words([tmp_path / "own.yaml"]).languages["Swedish"]["knife"] == "kniv"


@pytest.mark.parametrize("code", snippets("docs/steering.md"))
def test_steering_snippets_run(code: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The examples of the steering guide run and leave results behind."""
    monkeypatch.chdir(tmp_path)
    left: dict[str, object] = {}
    exec(compile(code, "docs/steering.md", "exec"), left)  # noqa: S102 (the point of this test)

    assert left.get("images") or left.get("latents") is not None


@pytest.mark.parametrize("code", snippets("docs/comfyui.md"))
def test_comfyui_snippets_run(
    code: str, comfyui: Server, capsys: pytest.CaptureFixture[str]
) -> None:
    """What the guide queues runs to its end."""
    code = code.replace("127.0.0.1:8188", comfyui.address)
    with connected(comfyui) as client:
        exec(compile(code, "docs/comfyui.md", "exec"), {})  # noqa: S102 (the point of this test)
        prompt_id = capsys.readouterr().out.strip()
        history = client.history(prompt_id)

    assert history["status"]["status_str"] == "success"


@pytest.mark.parametrize("code", snippets("docs/review.md"))
def test_review_snippets_run(code: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The examples of the review guide run."""
    monkeypatch.chdir(tmp_path)
    exec(compile(code, "docs/review.md", "exec"), {})  # noqa: S102 (the point of this test)

    assert (tmp_path / "safegen-held").is_dir()


@pytest.mark.parametrize("code", snippets("docs/sinks.md"))
def test_sink_snippets_run(
    code: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The example of the guide to sinks runs and says how the sink stands."""
    monkeypatch.chdir(tmp_path)
    exec(compile(code, "docs/sinks.md", "exec"), {})  # noqa: S102 (the point of this test)

    assert "behind=0" in capsys.readouterr().out


def test_queries_of_parquet_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the guide to sinks asks DuckDB has answers."""
    monkeypatch.chdir(tmp_path)
    Shipper(ledger(tmp_path / "ledger", FULL), sink_at("parquet:safegen-parquet")).once()
    queries = [query for query in snippets("docs/sinks.md", "sql") if ".parquet" in query]
    with duckdb.connect() as connection:
        answers = [connection.execute(query).fetchall() for query in queries]

    assert len(answers) == 3
    assert all(answers)


def test_marks_shown_are_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The policy, the guard and the two kinds of keys of the guide of marks; its file reads."""
    monkeypatch.chdir(tmp_path)
    make_certificates(Path("marks"))
    [shown] = re.findall(r"```yaml\n(.*?)```", (ROOT / "docs/marks.md").read_text(), re.DOTALL)
    Path("policy.yaml").write_text(shown, encoding="utf-8")
    by_file, by_function = snippets("docs/marks.md")
    exec(compile(by_file, "docs/marks.md", "exec"), {})  # noqa: S102 (the point of this test)
    read = read_credentials(Path("0.png").read_bytes(), "marks/root.pem")

    assert read is not None
    assert (read.trusted, read.generated) == (True, True)

    (certificate, _), _ = read_certificates(Path("marks/certificates.pem"))
    sign = signing_by(Path("marks/key.pem"), certificate)
    kms = SimpleNamespace(sign=lambda _, data: sign(data))
    monkeypatch.chdir("marks")
    given = {"kms": kms, "C2paMarker": C2paMarker}
    exec(compile(by_function, "docs/marks.md", "exec"), given)  # noqa: S102 (likewise)

"""`safegen docs`: the pages that messages point at are there without the repository."""

import json

import pytest
from typer.testing import CliRunner

from safegen.cli.main import app
from safegen.errors import InputError
from safegen.policy.lint import LINTS, LintFinding
from tests.guides import ROOT, anchors

PAGES = sorted(path.stem for path in ROOT.glob("docs/*.md"))


def printed(*arguments: str) -> str:
    """What the command prints; its errors are raised."""
    done = CliRunner().invoke(app, ["docs", *arguments], catch_exceptions=False)
    assert done.exit_code == 0
    return done.stdout


def test_all_pages_are_listed() -> None:
    """Every page is there by name and title."""
    assert sorted(json.loads(printed("--json"))) == PAGES
    assert "policy-lint" in printed()
    assert "Policies" in printed()


@pytest.mark.parametrize("page", PAGES)
def test_page_and_each_of_its_parts(page: str) -> None:
    """Elsewhere than in a terminal a page is its Markdown; every anchor of the web finds its part.

    Parts end where the next heading of their level begins: those of one level make the page.
    """
    text = (ROOT / f"docs/{page}.md").read_text(encoding="utf-8")
    assert printed(page) == text
    assert printed(f"docs/{page}.md") == text
    for anchor in anchors(ROOT / f"docs/{page}.md"):
        part = json.loads(printed(f"{page}#{anchor}", "--json"))
        assert part["heading"] == anchor
        assert part["text"].strip() in text
        first, _, rest = part["text"].partition("\n")
        level = len(first) - len(first.lstrip("#"))
        assert level >= 1
        assert rest.strip()
        outside_code = "".join(rest.split("```")[::2])
        assert not any(
            line.startswith("#" * n + " ")
            for line in outside_code.splitlines()
            for n in range(1, level + 1)
        )


@pytest.mark.parametrize("lint", LINTS)
def test_what_a_finding_names_is_a_command(lint: str) -> None:
    """`policy check` tells a command that explains the finding."""
    command = LintFinding(lint=lint, message="", source="", line=1, column=1).docs
    assert command.startswith("safegen docs ")
    assert printed(command.removeprefix("safegen docs ")).startswith(f"## {lint}\n")


@pytest.mark.parametrize(
    ("asked", "mend"),
    [
        ("polcy", "did you mean policy?"),
        ("../README", "known are: architecture, comfyui"),
        ("policy-lint#no-ownr", "did you mean no-owner?"),
        ("policy#zzzzzzzz", "known are: a-small-policy, "),
    ],
)
def test_unknown_pages_and_headings(asked: str, mend: str) -> None:
    """What is not there is an error that helps."""
    with pytest.raises(InputError) as caught:
        printed(asked)
    assert mend in str(caught.value)

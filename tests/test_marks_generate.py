"""`safegen generate --mark`: no image is taken for a marked one that is not."""

from pathlib import Path

import pytest
from serving import HEAD
from typer.testing import CliRunner

from safegen.audit.marking.certificates import CERTIFICATES, KEY
from safegen.audit.marking.reading import read_credentials
from safegen.cli.main import app
from safegen.errors import InputError

MARKS = "mark: true"


def generate(
    certificates: Path, folder: Path, when: str, then: str, *given: str
) -> tuple[str, list[str]]:
    """What `safegen generate --mark` says on stderr, and the files that it wrote."""
    wants = folder / "policy.yaml"
    rule = f"rules: [{{id: some, when: {when!r}, then: {{{then}}}}}]\n"
    wants.write_text(HEAD + rule, encoding="utf-8")
    asked = ["generate", "a cat", "--policy", str(wants), "--steps", "2", *given]
    asked += [
        "--out",
        str(folder),
        "--mark",
        str(certificates / CERTIFICATES),
        str(certificates / KEY),
    ]
    done = CliRunner().invoke(app, asked, catch_exceptions=False)
    return done.stderr, [path.name for path in folder.glob("*.png")]


def test_marks_that_the_policy_never_wants(certificates: Path, tmp_path: Path) -> None:
    """Nothing is generated that who asked would take for marked."""
    with pytest.raises(InputError, match="no rule of the policy 'small' wants images marked"):
        generate(certificates, tmp_path, "false", "block: {reason: a.b}")
    assert not list(tmp_path.glob("*.png"))


def test_marks_that_the_policy_wants_elsewhere(certificates: Path, tmp_path: Path) -> None:
    """It is said that there is none, and what is known of the request can be given."""
    when = "request.region == 'eu'"
    said, (name,) = generate(certificates, tmp_path, when, MARKS)

    assert "not marked: of the rules that mark (some) none fired" in said
    assert read_credentials((tmp_path / name).read_bytes()) is None
    (tmp_path / name).unlink()
    said, (name,) = generate(certificates, tmp_path, when, MARKS, "--context", "region=eu")
    assert "not marked" not in said
    assert read_credentials((tmp_path / name).read_bytes()) is not None


@pytest.mark.parametrize("given", ["images=3", "seed=1"])
def test_what_has_an_option_of_its_own(certificates: Path, tmp_path: Path, given: str) -> None:
    """It would not be heard."""
    with pytest.raises(InputError, match="give -n and --seed"):
        generate(certificates, tmp_path, "true", MARKS, "--context", given)

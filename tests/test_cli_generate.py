"""`safegen generate`: what is refused before any model is opened."""

from pathlib import Path

from typer.testing import CliRunner

from safegen.cli.main import app
from safegen.errors import PolicyError


def test_with_a_policy_key_nothing_unsigned_is_used(tmp_path: Path) -> None:
    """A shipped pack is no signed bundle; no image and no ledger come of it."""
    given = ["--policy", "default", "--policy-key", str(tmp_path / "public.pem")]
    done = CliRunner().invoke(app, ["generate", "a cat", "--out", str(tmp_path / "out"), *given])

    assert isinstance(done.exception, PolicyError)
    assert "not a signed bundle" in str(done.exception)
    assert not (tmp_path / "out" / "ledger").exists()

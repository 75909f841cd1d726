"""The Python snippets of the README and of the guides run as they stand."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


def snippets(document: str) -> list[str]:
    """The Python code blocks of a document."""
    return re.findall(r"```python\n(.*?)```", (ROOT / document).read_text(), re.DOTALL)


@pytest.mark.parametrize("code", snippets("README.md"))
def test_readme_snippets_run(
    code: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The embedding example does what it says."""
    monkeypatch.chdir(tmp_path)
    exec(compile(code, "README.md", "exec"), {})  # noqa: S102 (the point of this test)

    assert capsys.readouterr().out.startswith("steered ['fair.gender', 'fair.tone']")
    assert (tmp_path / "safegen-ledger").is_dir()


@pytest.mark.parametrize("code", snippets("docs/policy.md"))
def test_policy_snippets_run(code: str, capsys: pytest.CaptureFixture[str]) -> None:
    """The examples of the policy guide run and print what they decided or loaded."""
    exec(compile(code, "docs/policy.md", "exec"), {})  # noqa: S102 (the point of this test)

    assert capsys.readouterr().out.split()[0] in ("steered", "default")


@pytest.mark.parametrize("code", snippets("docs/steering.md"))
def test_steering_snippets_run(code: str) -> None:
    """The examples of the steering guide run and leave results behind."""
    left: dict[str, object] = {}
    exec(compile(code, "docs/steering.md", "exec"), left)  # noqa: S102 (the point of this test)

    assert left.get("images") or left.get("latents") is not None

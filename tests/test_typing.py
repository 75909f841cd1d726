"""What users write type-checks by `mypy --strict`, and their slips do not."""

from pathlib import Path

import pytest
from guides import ROOT, snippets
from mypy import api

CONFIG = """
[mypy]
strict = true
[mypy-safegen.*]
follow_imports = silent
[mypy-torch.*,diffusers.*,transformers.*,numpy.*,cryptography.*,structlog.*]
follow_imports = skip
"""
"""The heavy packages are passed over: with them it takes minutes."""

USES = """
from safegen import (
    Assessment, Context, Guard, GuardedPipeline, Ledger, LivePolicy, Policy, Result, Sampler,
    VectorStore, __version__,
)

def made(policy: Policy, version: str = __version__) -> Guard:
    return Guard(policy, VectorStore("reference"), [], Ledger.open("ledger"))

async def served(guarded: GuardedPipeline, decided: Assessment) -> Result:
    return await guarded.generate_async(
        "a cook", images=2, seed=1, context=Context(images=2), sampler=Sampler(4), decided=decided
    )

def watched(guard: Guard) -> str:
    with LivePolicy("default", on_new=guard.use) as live:
        return live.current.name
"""
SLIPS = """
from safegen import GuardedPipeline

async def served(guarded: GuardedPipeline) -> None:
    await guarded.generate_async("a cook", image=4)
"""


@pytest.mark.slow
def test_programs_of_users_are_typed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The snippets of README and steering guide, and other uses, are; a misspelt argument is not.

    The package is laid out as installed, for mypy does not follow the editable install.
    """
    package = tmp_path / "path" / "safegen"
    package.mkdir(parents=True)
    for each in [*(ROOT / "safegen").iterdir(), ROOT / "adapters", ROOT / "policies"]:
        if not (package / each.name).is_symlink():
            (package / each.name).symlink_to(each)
    shown = [*snippets("README.md"), *snippets("docs/steering.md")]
    programs = [tmp_path / f"shown_{at}.py" for at in range(len(shown))]
    for program, text in zip(programs, shown, strict=True):
        program.write_text(text)
    (tmp_path / "uses.py").write_text(USES)
    (tmp_path / "slips.py").write_text(SLIPS)
    (tmp_path / "mypy.ini").write_text(CONFIG)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MYPYPATH", "path")
    names = [*(program.name for program in programs), "uses.py", "slips.py"]
    told, failed, _ = api.run(["--config-file", "mypy.ini", "--no-error-summary", *names])

    assert failed == ""
    (slip,) = [line for line in told.splitlines() if ": error:" in line]
    assert slip.startswith("slips.py:5:")
    assert '"image"' in slip

"""Every `--seed` and count has a range, and what is outside of it is told as the user's slip."""

from pathlib import Path

import pytest
import torch
from typer.testing import CliRunner

from safegen.cli.main import app
from safegen.concepts.discovery.spec import SEED_BLOCK, PromptPair
from safegen.errors import InputError, OutputError
from safegen.evaluation.card import Case
from safegen.nouns import LARGEST_TRAINING_SEED

COMMANDS = (
    "demo",
    "eval text",
    "generate cat",
    "reference check",
    "reference train",
    "reference train-clip",
    "reference train-judges",
    "redteam --model reference",
    "risk train prompts.csv --out head",
    "vectors card woman",
    "vectors discover concepts.yaml",
)


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("seed", [-1, 10**15, 10**30])
def test_a_seed_out_of_range_is_the_users_slip(
    command: str, seed: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Exit code 2 and a message that says what is expected, before any model is opened."""
    monkeypatch.chdir(tmp_path)
    Path("concepts.yaml").write_text("concepts: {x: {pairs: [{neutral: a, target: b}]}}")
    done = CliRunner().invoke(app, [*command.split(), "--seed", str(seed)])

    if not isinstance(done.exception, InputError):
        assert done.exit_code == 2
        assert "--seed" in done.output
    assert [path.name for path in tmp_path.iterdir()] == ["concepts.yaml"]


@pytest.mark.parametrize(
    "command",
    [
        "check -n 0",
        "check --out .",
        "train --autoencoder-steps 0",
        "train --rounds -1",
        "train --rounds 0",
        "train-clip --steps 0",
        "train-judges --steps 0",
    ],
)
def test_what_cannot_be_trained_or_drawn_is_the_users_slip(
    command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No rounds are neither all of them nor a finished model, and no folder is a picture."""
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(app, ["reference", *command.split()])

    assert isinstance(done.exception, OutputError) or done.exit_code == 2, done.exception
    assert list(tmp_path.iterdir()) == []


def test_the_largest_seed_of_training_can_be_drawn_from() -> None:
    """Learning and cards count up from it, within what torch takes."""
    pair = PromptPair(neutral="a", target="b")
    case = Case([pair], ["c"]).of_seed(LARGEST_TRAINING_SEED)

    assert case.judging > case.choosing > LARGEST_TRAINING_SEED * SEED_BLOCK
    for seed in (case.choosing, case.judging):
        torch.Generator().manual_seed(seed + 100_000)

"""Training the reference model goes on from its own checkpoints, and from no others."""

import json
from pathlib import Path

import pytest

from safegen.errors import OutputError
from safegen.reference import diffusion
from safegen.reference.autoencoder import QUALITY, build_autoencoder
from safegen.reference.diffusion import DiffusionTrainer
from safegen.reference.train import train


def run(folder: Path, seed: int = 0, rounds: int = 1, steps: int = 2) -> None:
    """Train with checkpoints and model in `folder`."""
    train(folder / "kept", folder / "model", seed, lambda *_: None, steps, rounds)


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rounds of eight images."""
    monkeypatch.setattr(diffusion, "_POOL", 8)
    monkeypatch.setattr(diffusion, "_BATCH", 4)


@pytest.mark.usefixtures("small")
def test_checkpoints_of_other_settings_are_refused(tmp_path: Path) -> None:
    """Else what was asked for would be another model than the one that is written."""
    run(tmp_path)
    told = json.loads((tmp_path / "kept/autoencoder" / QUALITY).read_text())
    assert (told["seed"], told["steps"]) == (0, 2)
    weights = tmp_path / "model/unet/diffusion_pytorch_model.safetensors"
    made = weights.read_bytes()
    for wrong in ({"seed": 1}, {"steps": 3}):
        with pytest.raises(OutputError, match=r"autoencoder .* is of the seed 0 and 2 steps"):
            run(tmp_path, **wrong)
    with pytest.raises(OutputError, match="is of 1 rounds of 1, from which 2 rounds cannot go on"):
        run(tmp_path, rounds=2)
    assert weights.read_bytes() == made
    run(tmp_path)
    assert weights.read_bytes() == made


@pytest.mark.usefixtures("small")
def test_a_checkpoint_of_another_seed_is_refused(tmp_path: Path) -> None:
    """Where the autoencoder is another one's, say."""
    vae = build_autoencoder()
    DiffusionTrainer(vae, tmp_path, 0).run(1, lambda *_: None)
    with pytest.raises(OutputError, match="is of the seed 0, not of 1"):
        DiffusionTrainer(vae, tmp_path, 1)


@pytest.mark.usefixtures("small")
def test_a_longer_run_goes_on_before_the_last_quarter(tmp_path: Path) -> None:
    """As it would have begun itself, to the last bit."""
    vae, whole = build_autoencoder(), tmp_path / "whole"
    whole.mkdir()
    DiffusionTrainer(vae, whole, 0).run(3, lambda *_: None)

    class StopError(Exception):
        pass

    def stop(done: int, _: str) -> None:
        if done == 1:
            raise StopError

    with pytest.raises(StopError):
        DiffusionTrainer(vae, tmp_path, 0).run(2, stop)
    resumed = DiffusionTrainer(vae, tmp_path, 0)
    resumed.run(3, lambda *_: None)
    expected = DiffusionTrainer(vae, whole, 0)
    assert resumed.round == expected.round == 3
    for name, value in expected.unet.state_dict().items():
        assert value.equal(resumed.unet.state_dict()[name]), name

"""The workbench: a piece of work is done once, and a damaged file is no piece."""

from pathlib import Path

import torch

from safegen.concepts.discovery.work import Workbench, clear_state
from safegen.testing import tiny_pipeline


def test_a_piece_is_made_once_and_found_again(tmp_path: Path) -> None:
    """In the same process and in the next; cut short on disk, it is made anew."""
    made = []

    def make() -> dict[str, object]:
        made.append(1)
        return {"value": torch.ones(3)}

    for _ in range(2):
        bench = Workbench(tiny_pipeline(), folder=tmp_path)
        for _ in range(2):
            assert bench.piece("ones", make)["value"].sum() == 3
    assert len(made) == 1
    path = tmp_path / "ones.pt"
    path.write_bytes(path.read_bytes()[:40])
    Workbench(tiny_pipeline(), folder=tmp_path).piece("ones", make)

    assert len(made) == 2
    assert [each.name for each in tmp_path.iterdir()] == ["ones.pt"]


def test_text_is_that_of_the_pipeline() -> None:
    """Embeddings are those the pipeline itself would use, whatever is encoded beside them."""
    bench = Workbench(tiny_pipeline())
    prompts = ["a cook", "a pilot", "a cook"]
    embedded, _ = bench.pipeline.encode_prompt(prompts, "cpu", 1, False)

    torch.testing.assert_close(bench.text(prompts), embedded, rtol=1e-4, atol=1e-5)
    assert torch.equal(bench.text(["a pilot"])[0], bench.text(prompts)[1])


def test_the_model_is_frozen_from_the_start() -> None:
    """One left in training, by whoever fine-tuned it, would draw its dropout anew in every run."""
    pipeline = tiny_pipeline()
    pipeline.unet.train()
    pipeline.text_encoder.train()
    Workbench(pipeline)

    for part in (pipeline.unet, pipeline.text_encoder):
        assert not any(module.training for module in part.modules())
        assert not any(weight.requires_grad for weight in part.parameters())


def test_only_the_own_pieces_are_cleared(tmp_path: Path) -> None:
    """Not those that another run has noted too, nor what nobody noted; parts left by a kill go."""
    for run in ("one", "two"):
        bench = Workbench(tiny_pipeline(), folder=tmp_path, run=run)
        for name in ("shared", run):
            bench.piece(name, lambda: {"value": torch.ones(3)})
    (tmp_path / "one.x1.part").touch()
    (tmp_path / "foreign.pt").touch()
    clear_state(tmp_path, "one")
    assert {path.name for path in tmp_path.iterdir()} == {
        *("shared.pt", "two.pt", "two.run", "foreign.pt"),
    }
    (tmp_path / "foreign.pt").unlink()
    clear_state(tmp_path, "two")
    assert not tmp_path.exists()

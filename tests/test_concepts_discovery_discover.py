"""Discovery as a whole: each method learns, interruptions cost nothing, mistakes are told."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from safegen.concepts.discovery import learn
from safegen.concepts.discovery.discover import METHODS, discover
from safegen.concepts.discovery.learn import Batch, Pool
from safegen.concepts.discovery.spec import Budget, ConceptSpec, PromptPair
from safegen.concepts.discovery.work import Workbench
from safegen.concepts.vector import ConceptVector, Method, load_vector, save_vector
from safegen.errors import ConceptError, InputError, SteeringError, UnknownModelError
from safegen.steering.site import changed
from safegen.testing import tiny_pipeline

# A random model has little to learn: in mixed precision that little would drown, on some machines,
# in how they round.
BUDGET = Budget(
    trajectories=8,
    sampling_steps=2,
    steps=8,
    batch=4,
    states=24,
    learning_rate=0.01,
    patience=0,
    precision="full",
)


def spec(name: str = "woman", **more: Any) -> ConceptSpec:
    """A concept of two pairs."""
    jobs = ("cook", "pilot")
    pairs = [PromptPair(neutral=f"a {job}", target=f"a {name} {job}") for job in jobs]
    return ConceptSpec(**{"name": name, "pairs": tuple(pairs)} | more)


def learned(method: Method, bench: Workbench, budget: Budget = BUDGET) -> ConceptVector:
    """The vector of `spec()`."""
    return discover(bench, [spec()], method, budget)["woman"]


@pytest.mark.parametrize("method", METHODS)
def test_every_method_makes_a_vector_that_survives_its_file(method: Method, tmp_path: Path) -> None:
    """It is not zero, has levels and a passport that says what it cost, and loads again."""
    vector = learned(method, Workbench(tiny_pipeline()))
    save_vector(vector, tmp_path / "woman.safetensors")
    loaded = load_vector(tmp_path / "woman.safetensors")

    assert loaded.passport == vector.passport
    assert vector.passport.method == method
    assert vector.passport.work["unet_forwards"] > 8
    assert np.abs(vector.arrays["mid_block"]).max() > 0
    assert vector.levels["mid_block"].after.shape == (2, 4, 4)


@pytest.mark.parametrize("method", ["self-discovery", "score-matching"])
@pytest.mark.parametrize("reports", [1, 4, 8])
def test_an_interrupted_run_ends_as_one_that_was_not(
    method: Method, reports: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Wherever it is cut off, going on gives the same bits."""
    monkeypatch.setattr(learn, "_SAVE_SECONDS", 0.0)
    whole = learned(method, Workbench(tiny_pipeline()))
    left = [reports]

    def stop(*_: object) -> None:
        left[0] -= 1
        if not left[0]:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        learned(method, Workbench(tiny_pipeline(), progress=stop, folder=tmp_path))
    resumed = learned(method, Workbench(tiny_pipeline(), folder=tmp_path))

    assert resumed.digest == whole.digest
    assert resumed.passport.work == whole.passport.work


def test_a_cpu_without_bfloat16_learns_in_full_precision(monkeypatch: pytest.MonkeyPatch) -> None:
    """Emulated, it would take many times as long; the passport says what was done."""
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: "AVX2")
    mixed = BUDGET.model_copy(update={"precision": "mixed"})
    vector = learned("self-discovery", Workbench(tiny_pipeline()), mixed)

    assert vector.passport.settings["precision"] == "full"
    assert vector.digest == learned("self-discovery", Workbench(tiny_pipeline())).digest


@pytest.mark.parametrize("method", ["self-discovery", "score-matching"])
def test_a_batch_in_pieces_is_the_same_batch(
    method: Method, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where memory is short, rows are learned from one at a time, to the same vector and loss."""
    told: list[str] = []

    def tell(done: int, total: int, what: str) -> None:
        told.extend([what] * what.startswith("loss"))

    whole = learned(method, Workbench(tiny_pipeline(), progress=tell))
    monkeypatch.setattr(learn, "AT_ONCE", 1)
    pieces = learned(method, Workbench(tiny_pipeline(), progress=tell))

    assert told[0] == told[BUDGET.steps]
    assert pieces.digest != whole.digest  # sums in another order
    a, b = (each.arrays["mid_block"].ravel() for each in (whole, pieces))
    assert a @ b / np.sqrt((a @ a) * (b @ b)) > 0.99


@pytest.mark.parametrize("method", ["self-discovery", "score-matching"])
def test_the_weights_of_the_model_are_not_learned(method: Method) -> None:
    """They get no gradients, which would take as much memory as they do."""
    bench = Workbench(tiny_pipeline())
    learned(method, bench)

    assert {weight.grad for weight in bench.pipeline.unet.parameters()} == {None}


def test_what_is_held_out_is_not_learned_from() -> None:
    """The loss that ends a descent is of runs that it never saw."""
    numbers = torch.arange(64)
    pool = Pool(numbers, numbers, ("a cook",) * 64, numbers, numbers, runs=numbers // 4)
    held_out, learned_from = (
        {*pool.runs[rows].tolist()} for rows in (pool.held_out, pool.learned_from)
    )

    assert held_out
    assert held_out.isdisjoint(learned_from)
    assert held_out | learned_from == {*range(16)}


def test_rows_count_as_they_weigh() -> None:
    """The loss of a batch is the mean of what each row is off, times its weight."""
    bench = Workbench(tiny_pipeline())
    latents, text = torch.zeros(2, 4, 8, 8), bench.text(["a cook", "a pilot"])
    with torch.no_grad():
        goals = bench.pipeline.unet(latents, torch.tensor([1.0, 500.0]), text).sample
    off = goals + torch.tensor([1.0, 2.0]).view(2, 1, 1, 1)
    batch = Batch(latents, torch.tensor([1.0, 500.0]), text, off, torch.tensor([3.0, 1.0]))

    assert learn._loss(bench, batch, BUDGET, None).item() == pytest.approx((3 * 1 + 1 * 4) / 2)


@pytest.mark.parametrize("relative", [False, True])
def test_what_is_learned_is_what_was_added(relative: bool) -> None:
    """In whichever units the descent takes its steps."""
    bench, site = Workbench(tiny_pipeline()), "mid_block"
    numbers, text = torch.zeros(1), bench.text(["a cook"])
    like = Batch(torch.ones(1, 4, 8, 8), numbers, text, numbers, numbers)
    budget = BUDGET.model_copy(update={"relative": relative, "initial": 1.0})
    vectors = learn._Vectors(bench, [site], like, budget)
    outputs: list[torch.Tensor] = []

    def note(_: str, hidden: torch.Tensor) -> torch.Tensor:
        outputs.append(hidden)
        return hidden

    with torch.no_grad(), changed(bench.pipeline.unet, [site], note):
        bench.pipeline.unet(like.latents, like.timesteps, text)
    with torch.no_grad(), vectors.added(), changed(bench.pipeline.unet, [site], note):
        bench.pipeline.unet(like.latents, like.timesteps, text)

    before, after = outputs
    torch.testing.assert_close((after - before)[0], vectors.tensors()[site])


def test_score_matching_keeps_unrelated_prompts_if_it_is_asked_to() -> None:
    """They change the vector, unless faithfulness weighs nothing."""

    def found(faithfulness: float, *unrelated: str) -> ConceptVector:
        # So much that every kind of processor finds a loss that falls.
        enough = {"faithfulness": faithfulness, "learning_rate": 3e-3, "steps": 24}
        budget = BUDGET.model_copy(update=enough)
        unit = [spec(unrelated=unrelated)]
        return discover(Workbench(tiny_pipeline()), unit, "score-matching", budget)["woman"]

    assert found(0.01, "a cat").digest != found(0.01).digest
    assert found(0.01, "a cat").digest != found(0.01, "a dog").digest
    np.testing.assert_array_equal(
        found(0, "a cat").arrays["mid_block"], found(0).arrays["mid_block"]
    )


def test_a_group_is_centred_together() -> None:
    """The vectors of two opposites add up to nothing."""
    unit = [spec("woman"), spec("man")]
    vectors = discover(Workbench(tiny_pipeline()), unit, "contrast", BUDGET)

    total = sum(vector.arrays["mid_block"] for vector in vectors.values())
    np.testing.assert_allclose(total, 0, atol=1e-5)


def test_concepts_of_one_pass_share_their_neutral_runs() -> None:
    """Alike neutral prompts are sampled once, and the passport still counts them for both."""
    bench = Workbench(tiny_pipeline())
    calls = []
    handle = bench.pipeline.unet.register_forward_hook(lambda *_: calls.append(1))
    first = discover(bench, [spec("woman")], "contrast", BUDGET)["woman"]
    alone = len(calls)
    second = discover(bench, [spec("man")], "contrast", BUDGET)["man"]
    handle.remove()

    assert len(calls) - alone < alone
    assert first.passport.work["unet_forwards"] == second.passport.work["unet_forwards"]


def test_state_is_that_of_the_whole_pipeline(tmp_path: Path) -> None:
    """With another text encoder or scheduler, pieces of the same UNet are other pieces."""
    learned("score-matching", Workbench(tiny_pipeline(), folder=tmp_path))
    text, noise, wide = tiny_pipeline(), tiny_pipeline(), tiny_pipeline()
    with torch.no_grad():
        for weight in text.text_encoder.parameters():
            weight.mul_(1.5)
    noise.scheduler.register_to_config(prediction_type="v_prediction")
    wide.unet.to(torch.float64)
    pipelines = (text, noise, wide, tiny_pipeline(), tiny_pipeline())
    names = {Workbench(each, folder=tmp_path).name("runs") for each in pipelines}
    assert len(names) == 4
    for other in (text, noise):
        mixed = learned("score-matching", Workbench(other, folder=tmp_path))
        assert mixed.digest == learned("score-matching", Workbench(other)).digest


def test_a_site_that_is_missing_is_told_before_any_work() -> None:
    """The error names the modules that the model has."""
    with pytest.raises(SteeringError, match="down_blocks"):
        discover(Workbench(tiny_pipeline()), [spec(sites=("middle",))], "score-matching", BUDGET)


def test_a_budget_that_learns_nothing_gives_no_vector() -> None:
    """A learning rate far too small leaves the held-out loss where it was."""
    with pytest.raises(ConceptError, match="nothing was learned"):
        learned(
            "score-matching",
            Workbench(tiny_pipeline()),
            BUDGET.model_copy(update={"learning_rate": 1e-9}),
        )


def test_a_concept_that_changes_nothing_is_no_contrast() -> None:
    """Where the two halves of the runs have no difference in common there is no vector."""
    same = ConceptSpec(
        name="same", pairs=(PromptPair(neutral="a cook", target="a cook", avoid=""),)
    )
    with pytest.raises(ConceptError, match="disagree"):
        discover(Workbench(tiny_pipeline()), [same], "contrast", BUDGET)


def test_a_loss_that_is_not_finite_ends_the_run() -> None:
    """Weights that overflow give an error with the step, not a vector of NaN."""
    pipeline = tiny_pipeline()
    with torch.no_grad():
        pipeline.unet.conv_out.bias.fill_(float("nan"))
    with pytest.raises(ConceptError, match="loss became nan at step 1"):
        learned("self-discovery", Workbench(pipeline))


def test_other_pipelines_and_methods_are_refused() -> None:
    """What has no UNet and no such method says what was expected."""
    with pytest.raises(UnknownModelError, match="cannot learn on object"):
        Workbench(object())
    with pytest.raises(InputError, match="no method"):
        discover(Workbench(tiny_pipeline()), [spec()], "guess", BUDGET)  # type: ignore[arg-type]


@pytest.mark.parametrize("method", METHODS)
def test_a_group_of_the_same_words_gives_no_vector(method: Method) -> None:
    """Centred, nothing is left of either: an error that says so, not a vector of zeros."""
    unit = [spec("woman"), spec("woman").model_copy(update={"name": "copy"})]
    with pytest.raises(ConceptError, match="nothing is left of 'woman' at mid_block"):
        discover(Workbench(tiny_pipeline()), unit, method, BUDGET)

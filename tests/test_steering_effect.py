"""What a plan's end finds out: additions that were not made, not finite, or at no known time."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from diffusers import (
    CMStochasticIterativeScheduler,
    DDIMScheduler,
    EDMEulerScheduler,
    EulerDiscreteScheduler,
)
from tiny import sample
from torch import Tensor, nn

from safegen.adapters.diffusers import DiffusersAdapter, SteeredPipeline
from safegen.errors import SteeringError
from safegen.nouns import Intervention
from safegen.steering.hook import Steering
from safegen.steering.layout import SPLIT, UNGUIDED
from safegen.steering.plan import Plan
from safegen.testing import random_vector, tiny_pipeline, tiny_unet

pytestmark = pytest.mark.usefixtures("one_thread")

VECTORS = {"a": random_vector("a", {"mid_block": (32,)}, with_levels=True)}
A = Intervention(concept="a")


class Bare(nn.Module):
    """A denoiser that is nothing but its site."""

    def __init__(self, dtype: torch.dtype = torch.float32) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones((), dtype=dtype))
        self.mid_block = nn.Identity()

    def forward(self, sample: Tensor, timestep: Tensor) -> Tensor:
        """The sample, through the site."""
        hidden: Tensor = self.mid_block(sample)
        return hidden


def end_guidance(pipeline: Any, step: int, _: Any, given: dict[str, Any]) -> dict[str, Any]:
    """A callback that cuts the unconditional rows off after the first step."""
    if step == 0:
        given["prompt_embeds"] = given["prompt_embeds"].chunk(2)[-1]
        pipeline._guidance_scale = 0.0
    return given


@pytest.mark.parametrize("compiled", [False, True])
@pytest.mark.parametrize("start", [0.0, 0.3])
def test_guidance_that_ends_on_the_way(compiled: bool, start: float) -> None:
    """A compiled graph knows the other number of rows, of the self-test: it adds zeros there."""
    torch._dynamo.reset()
    pipeline = tiny_pipeline()
    with DiffusersAdapter(pipeline, VECTORS, other_model=True) as adapter:
        if compiled:
            pipeline.unet.compile(backend="eager")
        expected = "added in 1 of 3 calls" if compiled else "2 rows, the plan is for 4"
        with pytest.raises(SteeringError, match=f"(?s){expected}.*callback_on_step_end"):
            sample(
                SteeredPipeline(adapter),
                {"prompt": ["a cook"] * 2},
                interventions=[[Intervention(concept="a", start=start)], []],
                callback_on_step_end=end_guidance,
                callback_on_step_end_tensor_inputs=["prompt_embeds"],
            )


class Told(nn.Module):
    """A UNet that gives its tensor alone, as what is traced must."""

    def __init__(self, unet: nn.Module) -> None:
        super().__init__()
        self.unet = unet

    def forward(self, sample: Tensor, timestep: Tensor, text: Tensor) -> Tensor:
        """The predicted noise."""
        predicted: Tensor = self.unet(sample, timestep, text, return_dict=False)[0]
        return predicted


INPUTS = (torch.ones(2, 4, 8, 8), torch.tensor(300), torch.ones(2, 3, 16))
FORMS: list[Callable[[nn.Module], Any]] = [
    lambda model: torch.export.export(model, INPUTS, strict=False),
    lambda model: torch.jit.trace(model, INPUTS, check_trace=False),
]


@pytest.mark.parametrize("form", FORMS, ids=["export", "trace"])
@pytest.mark.filterwarnings(
    "ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::torch.jit.TracerWarning"
)
@torch.no_grad()
def test_a_model_that_is_exported_says_how(form: Callable[[nn.Module], Any]) -> None:
    """What comes of it would be unsteered, also after a real call: the message names `bake`."""
    unet = tiny_unet()
    with Steering(unet, VECTORS) as steering, steering.using(Plan.of([[A]])):
        with pytest.raises(SteeringError, match=r"(?s)exported or traced.*bake"):
            form(Told(unet))
        unet(*INPUTS)
        with pytest.raises(SteeringError, match=r"(?s)exported or traced.*bake"):
            form(Told(unet))


@pytest.mark.parametrize("form", FORMS, ids=["export", "trace"])
@pytest.mark.filterwarnings(
    "ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::torch.jit.TracerWarning"
)
@torch.no_grad()
def test_a_bare_model_is_exported(form: Callable[[nn.Module], Any]) -> None:
    """Where nothing is to be added it is what it would be without SafeGen."""
    unet = tiny_unet()
    bare = unet(*INPUTS).sample
    with Steering(unet, VECTORS) as steering, steering.using(Plan.of([[]])):
        made = form(Told(unet))
        told = made.module() if hasattr(made, "module") else made
        assert torch.equal(told(*INPUTS), bare)


@torch.no_grad()
def test_a_strict_export_is_none_either() -> None:
    """Where torch reads the code, it ends as torch's own error."""
    unet = tiny_unet()
    with Steering(unet, VECTORS) as steering, steering.using(Plan.of([[A]])):
        unet(*INPUTS)
        with pytest.raises(torch._dynamo.exc.Unsupported, match="SteeringError"):
            torch.export.export(Told(unet), INPUTS, strict=True)


@pytest.mark.parametrize(("activation", "strength"), [(0.0, 1e6), (6e4, 1e4), (float("nan"), 1.0)])
def test_what_is_not_finite_is_an_error(activation: float, strength: float) -> None:
    """In fp16 a strength may be too much alone or with the activation; the next plan is served."""
    denoiser, hidden = Bare(torch.float16), torch.full((1, 32, 4, 4), activation).half()
    too_much = Plan.of([[Intervention(concept="a", strength=strength)]])
    with Steering(denoiser, VECTORS) as steering:
        with pytest.raises(SteeringError, match="not finite"):
            with steering.using(too_much, UNGUIDED):
                denoiser(hidden, torch.tensor(500.0))
        with steering.using(Plan.of([[A]]), UNGUIDED):
            assert denoiser(torch.zeros_like(hidden), torch.tensor(500.0)).isfinite().all()


@pytest.mark.parametrize("compiled", [False, True])
@torch.no_grad()
def test_what_is_not_finite_at_one_step_is_an_error(*, compiled: bool) -> None:
    """Later steps that are finite do not make it good; a graph notes it as eager calls do."""
    denoiser, hidden = Bare(), torch.zeros(1, 32, 4, 4)

    def run(*activations: Tensor) -> None:
        with steering.using(Plan.of([[A]]), UNGUIDED):
            for each in activations:
                denoiser(each, torch.tensor(500.0))

    with Steering(denoiser, VECTORS) as steering:
        if compiled:
            denoiser.compile(backend="eager", fullgraph=True)
        run(hidden, hidden)
        with pytest.raises(SteeringError, match="not finite"):
            run(torch.full_like(hidden, torch.nan), hidden)


def test_an_unsteered_row_that_is_not_finite_is_the_models_own() -> None:
    """What nothing was added to is no business of the plan."""
    denoiser = Bare()
    rows = torch.stack([torch.zeros(32, 4, 4), torch.full((32, 4, 4), torch.nan)])
    with Steering(denoiser, VECTORS) as steering:
        with steering.using(Plan.of([[A], []]), UNGUIDED):
            made = denoiser(rows, torch.tensor(500.0))

    assert made[0].isfinite().all()
    assert made[1].isnan().all()


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float64])
def test_time_stays_exact_when_the_model_is_cast(dtype: torch.dtype) -> None:
    """Both calls of a step are at one time, and a window as narrow as a phase is met."""
    denoiser, hidden = Bare(), torch.zeros(1, 32, 4, 4, dtype=dtype)
    narrow = Intervention(concept="a", start=0.9965, stop=0.9975)
    with Steering(denoiser, VECTORS) as steering:
        denoiser.to(dtype)
        with steering.using(Plan.of([[narrow]]), *SPLIT):
            made = [
                denoiser(hidden, torch.tensor(timestep))
                for timestep in (5.0, 3.0, 1.0)
                for _ in SPLIT
            ]

    assert [bool(each.any()) for each in made] == [False, False, True, False, False, False]


@pytest.mark.parametrize(
    "timed",
    [{"start": 0.5}, {"stop": 0.5}, {"schedule": "bell"}, {"gate": "projection"}],
)
def test_timesteps_that_are_no_time(timed: dict[str, Any]) -> None:
    """A loop of one's own that counts otherwise: refused, unless the plan does not go by time."""
    denoiser, hidden = Bare(), torch.zeros(1, 32, 4, 4)

    def run(each: Intervention, *timesteps: float) -> None:
        with steering.using(Plan.of([[each]]), UNGUIDED):
            for timestep in timesteps:
                denoiser(hidden, torch.tensor(timestep))

    with Steering(denoiser, VECTORS) as steering:
        for timesteps in ((1095.0, 500.0), (1.1, -1.5), (float("nan"), 500.0)):
            run(A, *timesteps)
            with pytest.raises(SteeringError, match="not between 0 and 1000"):
                run(Intervention(concept="a", **timed), *timesteps)
        run(Intervention(concept="a", **timed), 1000.0, 700.0, 300.0, 0.0)


@pytest.mark.parametrize(
    ("scheduler", "counts"),
    [
        (EDMEulerScheduler(), False),
        (
            EulerDiscreteScheduler(
                timestep_type="continuous",
                prediction_type="v_prediction",
                sigma_min=0.002,
                sigma_max=120.0,
            ),
            False,
        ),
        (CMStochasticIterativeScheduler(), False),
        (DDIMScheduler(), True),
    ],
    ids=lambda each: type(each).__name__ if hasattr(each, "config") else str(each),
)
def test_schedulers_that_do_not_count_in_timesteps(scheduler: Any, counts: bool) -> None:
    """They are named, where a window needs to know the time; constant steering goes on."""
    pipeline = tiny_pipeline()
    pipeline.scheduler = scheduler
    with DiffusersAdapter(pipeline, VECTORS, other_model=True) as adapter:
        steered = SteeredPipeline(adapter)

        def run(*each: Intervention) -> Tensor:
            return sample(steered, {"prompt": ["a cook"] * 2}, interventions=[each, ()])

        bare, constant = run(), run(A)
        assert torch.equal(constant[1], bare[1])
        assert not torch.equal(constant[0], bare[0])
        if counts:
            assert not torch.equal(run(Intervention(concept="a", stop=0.5))[0], bare[0])
        else:
            with pytest.raises(SteeringError, match=type(scheduler).__name__):
                run(Intervention(concept="a", stop=0.5))

"""The diffusers adapter on tiny random models of every supported class."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
import torch
from diffusers import (
    AdaptiveProjectedGuidance,
    DDIMScheduler,
    DDPMPipeline,
    DDPMScheduler,
    EulerDiscreteScheduler,
    LCMScheduler,
    StableDiffusionImg2ImgPipeline,
    StableDiffusionPipeline,
    UNet2DModel,
)
from safegen.adapters.denoisers import called, probe
from safegen.adapters.diffusers import DiffusersAdapter, SteeredPipeline
from tiny import CLASSES, Made, channels, sample, sdxl_modular

from safegen.errors import ConceptError, InputError, SteeringError, UnknownModelError
from safegen.nouns import Intervention
from safegen.steering.plan import Plan
from safegen.testing import random_vector, tiny_pipeline

A = Intervention(concept="a")


@pytest.mark.parametrize("make", CLASSES, ids=lambda make: make.__name__)
def test_a_mixed_batch(make: Callable[[], Made]) -> None:
    """The steered sample changes, the other keeps every bit, and detaching restores the model."""
    pipeline, arguments, site = make()
    bare = sample(pipeline, arguments)
    vectors = {"a": random_vector("a", {site: (channels(called(pipeline)),)})}
    adapter = DiffusersAdapter(pipeline, vectors, other_model=True)
    steered = sample(SteeredPipeline(adapter), arguments, interventions=[[], [A]])
    adapter.detach()

    assert torch.equal(steered[0], bare[0])
    assert not torch.allclose(steered[1], bare[1], atol=1e-4)
    assert torch.equal(sample(pipeline, arguments), bare)


@pytest.fixture
def adapter() -> DiffusersAdapter:
    """On the tiny Stable Diffusion."""
    vectors = {"a": random_vector("a", {"mid_block": (32,)})}
    return DiffusersAdapter(tiny_pipeline(), vectors, other_model=True)


@pytest.mark.parametrize(
    "scheduler",
    [DDIMScheduler, DDPMScheduler, EulerDiscreteScheduler, LCMScheduler],
    ids=lambda cls: cls.__name__,
)
@pytest.mark.parametrize("guidance_scale", [1.0, 5.0])
def test_any_scheduler_with_and_without_guidance(
    adapter: DiffusersAdapter, scheduler: Any, guidance_scale: float
) -> None:
    """Steering is right where there is one row per sample, and where there are two."""
    adapter.pipeline.scheduler = scheduler()
    steered = SteeredPipeline(adapter)
    arguments = {"prompt": ["a cook"] * 2, "guidance_scale": guidance_scale}
    bare = sample(adapter.pipeline, arguments)
    made = sample(steered, arguments, interventions=[[A], []])

    assert not torch.allclose(made[0], bare[0], atol=1e-4)
    assert torch.equal(made[1], bare[1])


def test_several_images_of_one_prompt(adapter: DiffusersAdapter) -> None:
    """`num_images_per_prompt` counts; interventions go by image."""
    steered = SteeredPipeline(adapter)
    arguments = {"prompt": "a cook", "num_images_per_prompt": 2}
    bare = sample(adapter.pipeline, arguments)
    made = sample(steered, arguments, interventions=[[], [A]])
    all_ = sample(steered, arguments, interventions=[[A]])

    assert torch.equal(made[0], bare[0])
    assert not torch.allclose(made[1], bare[1], atol=1e-4)
    assert torch.equal(all_[1], made[1])
    with pytest.raises(InputError, match="for 3 images, the call makes 2"):
        sample(steered, arguments, interventions=[[A]] * 3)


def test_a_plan_says_how_far() -> None:
    """A plan in place of interventions brings its own norm cap, and is for every image."""
    vectors = {"a": random_vector("a", {"mid_block": (32,)}, activation_norm=1.0)}
    adapter = DiffusersAdapter(tiny_pipeline(), vectors, other_model=True)
    strong = [[Intervention(concept="a", strength=50)]]
    arguments = {"prompt": "a cook", "num_images_per_prompt": 2}
    capped, free = (
        sample(SteeredPipeline(adapter), arguments, interventions=Plan.of(strong, norm_cap=cap))
        for cap in (0.1, None)
    )
    assert not torch.allclose(capped, free, atol=1e-4)
    with pytest.raises(InputError, match="for 3 images, the call makes 2"):
        sample(SteeredPipeline(adapter), arguments, interventions=Plan.of(strong * 3))


def test_the_users_own_callback_still_runs(adapter: DiffusersAdapter) -> None:
    """`callback_on_step_end` is passed on untouched."""
    seen = []

    def callback(_: Any, step: int, __: Any, kwargs: dict[str, Any]) -> dict[str, Any]:
        seen.append(step)
        return kwargs

    arguments = {"prompt": ["a cook"] * 2, "callback_on_step_end": callback}
    sample(SteeredPipeline(adapter), arguments, interventions=[[A], []])

    assert seen == [0, 1, 2]


def test_a_callback_that_ends_guidance_half_way(adapter: DiffusersAdapter) -> None:
    """Dynamic guidance works where nothing is added, and is told of where it cannot."""

    def callback(pipeline: Any, step: int, _: Any, kwargs: dict[str, Any]) -> dict[str, Any]:
        if step == 0:
            kwargs["prompt_embeds"] = kwargs["prompt_embeds"].chunk(2)[-1]
            pipeline._guidance_scale = 0.0
        return kwargs

    arguments = {
        "prompt": ["a cook"] * 2,
        "callback_on_step_end": callback,
        "callback_on_step_end_tensor_inputs": ["prompt_embeds"],
    }
    bare = sample(adapter.pipeline, arguments)

    assert torch.equal(sample(SteeredPipeline(adapter), arguments), bare)
    with pytest.raises(SteeringError, match="callback_on_step_end"):
        sample(SteeredPipeline(adapter), arguments, interventions=[[A], []])


def test_the_wrapped_object_still_is_a_pipeline(adapter: DiffusersAdapter) -> None:
    """isinstance, attributes and assignments are the pipeline's; no subclass is made."""
    steered = SteeredPipeline(adapter)
    other = DDIMScheduler()
    steered.scheduler = other

    assert isinstance(steered, StableDiffusionPipeline)
    assert type(steered) is SteeredPipeline
    assert steered.to(torch.float64) is steered
    assert adapter.pipeline.unet.dtype == torch.float64
    assert steered.unet is adapter.pipeline.unet
    assert adapter.pipeline.scheduler is other


def test_a_copy_shares_the_steered_unet(adapter: DiffusersAdapter) -> None:
    """`from_pipe` makes another pipeline around the same UNet: a plan in force acts there too."""
    copy = StableDiffusionImg2ImgPipeline.from_pipe(adapter.pipeline)

    assert copy.unet is adapter.pipeline.unet
    assert adapter.steering.attached


@pytest.mark.slow
def test_attaching_to_a_compiled_model_is_refused() -> None:
    """Hooks added after compilation are ignored; the self-test notices, and nothing is left."""
    pipeline = tiny_pipeline()
    pipeline.unet.compile(backend="eager")
    with torch.no_grad():
        probe(pipeline.unet, pipeline.unet, 2)
    with pytest.raises(SteeringError, match=r"before torch\.compile"):
        DiffusersAdapter(
            pipeline, {"a": random_vector("a", {"mid_block": (32,)})}, other_model=True
        )
    assert not pipeline.unet.mid_block._forward_hooks


def test_half_precision(adapter: DiffusersAdapter) -> None:
    """Vectors follow the model's dtype."""
    adapter.pipeline.to(torch.bfloat16)
    arguments = {"prompt": ["a cook"] * 2}
    bare = sample(adapter.pipeline, arguments)
    made = sample(SteeredPipeline(adapter), arguments, interventions=[[A], []])

    assert made.dtype == torch.bfloat16
    assert not torch.equal(made[0], bare[0])
    assert torch.equal(made[1], bare[1])


def test_a_pipeline_without_a_denoiser_it_knows() -> None:
    """An unconditional model is refused with what is supported."""
    unet = UNet2DModel(
        sample_size=8,
        block_out_channels=(32,),
        down_block_types=("DownBlock2D",),
        up_block_types=("UpBlock2D",),
    )
    with pytest.raises(UnknownModelError, match="supported are UNet2DConditionModel"):
        DiffusersAdapter(DDPMPipeline(unet, DDPMScheduler()), {})


def test_vectors_of_another_width() -> None:
    """What was learned on another architecture is refused with both widths, and nothing is left."""
    pipeline = tiny_pipeline()
    vectors = {"calm": random_vector("calm", {"mid_block": (16,)})}
    with pytest.raises(ConceptError, match=r"'calm' has 16 channels at 'mid_block'.* has 32"):
        DiffusersAdapter(pipeline, vectors, other_model=True)
    assert not pipeline.unet.mid_block._forward_hooks


def ip_adapter(pipeline: Any) -> None:
    """Loads a tiny random IP-Adapter."""
    torch.manual_seed(0)
    heads = {
        f"{1 + 2 * number}.{part}_ip.weight": torch.randn(32, 16)
        for number in range(len(pipeline.unet.attn_processors) // 2)
        for part in ("to_k", "to_v")
    }
    projection = {
        "proj.weight": torch.randn(64, 8),
        "proj.bias": torch.zeros(64),
        "norm.weight": torch.ones(16),
        "norm.bias": torch.zeros(16),
    }
    state = {"image_proj": projection, "ip_adapter": heads}
    pipeline.unet._load_ip_adapter_weights([state])


def test_an_ip_adapter_is_loaded_after_attaching(adapter: DiffusersAdapter) -> None:
    """Before it, the self-test has no picture for it and says so; after it, steering works."""
    before = tiny_pipeline()
    ip_adapter(before)
    with pytest.raises(UnknownModelError, match="attach before load_ip_adapter"):
        DiffusersAdapter(before, adapter.vectors, other_model=True)
    assert not before.unet.mid_block._forward_hooks

    ip_adapter(adapter.pipeline)
    embedded = torch.randn(4, 1, 8, generator=torch.Generator().manual_seed(0))
    arguments = {"prompt": ["a cook"] * 2, "ip_adapter_image_embeds": [embedded]}
    bare = sample(adapter.pipeline, arguments)
    made = sample(SteeredPipeline(adapter), arguments, interventions=[[A], []])

    assert not torch.allclose(made[0], bare[0], atol=1e-4)
    assert torch.equal(made[1], bare[1])


def test_a_guider_that_is_not_known() -> None:
    """A modular pipeline whose guider calls in an unknown order is refused, not half steered."""
    pipeline, arguments, site = sdxl_modular()
    pipeline.update_components(guider=AdaptiveProjectedGuidance())
    vectors = {"a": random_vector("a", {site: (channels(called(pipeline)),)})}
    steered = SteeredPipeline(DiffusersAdapter(pipeline, vectors, other_model=True))
    with pytest.raises(UnknownModelError, match="AdaptiveProjectedGuidance"):
        sample(steered, arguments, interventions=[[A], []])


def test_two_pipelines_at_once() -> None:
    """Tasks on two models in one process do not see each other's plans."""
    vectors = {"a": random_vector("a", {"mid_block": (32,)})}
    adapters = [DiffusersAdapter(tiny_pipeline(), vectors, other_model=True) for _ in range(2)]
    plans = [[[A], []], [[], [A]]]
    arguments = {"prompt": ["a cook"] * 2}

    def steered(number: int) -> Any:
        pipeline = SteeredPipeline(adapters[number])
        return sample(pipeline, arguments, interventions=plans[number])

    async def together() -> list[Any]:
        return await asyncio.gather(*(asyncio.to_thread(steered, n) for n in range(2)))

    alone = [steered(number) for number in range(2)]
    for one, other in zip(alone, asyncio.run(together()), strict=True):
        assert torch.equal(one, other)
    assert not torch.equal(alone[0], alone[1])

"""The diffusers adapter on tiny random models of every supported class."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import accelerate
import pytest
import torch
from diffusers import (
    AdaptiveProjectedGuidance,
    ControlNetModel,
    DDIMScheduler,
    DDPMPipeline,
    DDPMScheduler,
    EulerDiscreteScheduler,
    LCMScheduler,
    StableDiffusionControlNetImg2ImgPipeline,
    StableDiffusionControlNetPipeline,
    StableDiffusionImg2ImgPipeline,
    StableDiffusionPipeline,
    UNet2DModel,
)
from ip_adapters import encoder, load
from PIL import Image
from tiny import CLASSES, Made, channels, inpaint, sample, sd3, sdxl_modular

from safegen.adapters.denoisers import called, probe
from safegen.adapters.diffusers import DiffusersAdapter, SteeredPipeline
from safegen.adapters.sampler import Sampler
from safegen.adapters.unsteered import UnsteeredAdapter
from safegen.concepts.digest import model_digest
from safegen.concepts.store import VectorStore
from safegen.errors import ConceptError, InputError, SteeringError, UnknownModelError
from safegen.nouns import Intervention
from safegen.reference import load_pipeline
from safegen.steering.plan import Plan
from safegen.testing import random_vector, tiny_pipeline, tiny_unet

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


def test_an_ip_adapter_is_loaded_after_attaching(adapter: DiffusersAdapter) -> None:
    """Before it, the self-test has no picture for it and says so; after it, steering works."""
    before = tiny_pipeline()
    load(before)
    with pytest.raises(UnknownModelError, match="attach before load_ip_adapter"):
        DiffusersAdapter(before, adapter.vectors, other_model=True)
    assert not before.unet.mid_block._forward_hooks

    load(adapter.pipeline)
    embedded = torch.randn(4, 1, 8, generator=torch.Generator().manual_seed(0))
    arguments = {"prompt": ["a cook"] * 2, "ip_adapter_image_embeds": [embedded]}
    bare = sample(adapter.pipeline, arguments)
    made = sample(SteeredPipeline(adapter), arguments, interventions=[[A], []])

    assert not torch.allclose(made[0], bare[0], atol=1e-4)
    assert torch.equal(made[1], bare[1])


@pytest.mark.parametrize("images", [1, 2, 3])
@pytest.mark.parametrize("loaded", [1, 2])
def test_a_picture_for_ip_adapters_is_for_every_image(
    adapter: DiffusersAdapter, loaded: int, images: int
) -> None:
    """Each comes out as the pipeline makes it of the same picture, which every adapter is given."""
    load(adapter.pipeline, loaded)
    encoder(adapter.pipeline)
    picture = Image.new("RGB", (16, 16), "red")
    prompts, plan = ["a cook"] * images, [()] * images
    seeds = [torch.Generator().manual_seed(seed) for seed in range(images)]
    bare = adapter.pipeline(
        prompts,
        num_inference_steps=2,
        guidance_scale=5.0,
        generator=seeds,
        ip_adapter_image=[picture] * loaded,
    ).images
    sampler = Sampler(2, 5.0, {"ip_adapter_image": picture})
    made = adapter.generate(prompts, range(images), plan, sampler)

    assert [i and i.tobytes() for i in made] == [i.tobytes() for i in bare]


def test_cropped_inpainting() -> None:
    """The pipeline takes its picture as it is, for one image; more are refused by name."""
    pipeline, _, _ = inpaint()
    mask = Image.new("L", (64, 64))
    mask.paste(255, (16, 16, 32, 32))
    picture = Image.new("RGB", (64, 64), "red")
    more = {"image": picture, "mask_image": mask, "padding_mask_crop": 4}
    sampler = Sampler(2, 5.0, more | {"height": 16, "width": 16})
    adapter = DiffusersAdapter(pipeline, {})

    (made,) = adapter.generate(["a cook"], [0], [()], sampler)
    assert made is not None
    assert made.size == (64, 64)
    with pytest.raises(InputError, match="'padding_mask_crop' a pipeline makes one image"):
        adapter.generate(["a cook"] * 2, [0, 1], [(), ()], sampler)


@pytest.mark.parametrize(
    ("kind", "control"),
    [
        (StableDiffusionControlNetPipeline, "image"),
        (StableDiffusionControlNetImg2ImgPipeline, "control_image"),
    ],
)
def test_several_controlnets_are_given_the_same_picture(kind: Any, control: str) -> None:
    """However many images are asked for, as the pipeline itself makes them."""
    parts = tiny_pipeline().components
    nets = [
        ControlNetModel.from_unet(parts["unet"], conditioning_embedding_out_channels=(16, 32))
        for _ in range(2)
    ]
    pipeline = kind(**parts, controlnet=nets, requires_safety_checker=False)
    pipeline.set_progress_bar_config(disable=True)
    picture = Image.linear_gradient("L").convert("RGB").resize((16, 16))
    sampler = Sampler(3, 5.0, {"image": picture, control: picture})
    with DiffusersAdapter(pipeline, {}) as adapter:
        for images in (1, 2, 3):
            prompts, seeds = ["a cook"] * images, list(range(images))
            made = adapter.generate(prompts, seeds, [()] * images, sampler)
            bare = pipeline(
                prompts,
                **{"image": [picture] * images, control: [picture] * 2},
                num_inference_steps=3,
                guidance_scale=5.0,
                generator=[torch.Generator().manual_seed(seed) for seed in seeds],
            ).images

            assert [i and i.tobytes() for i in made] == [i.tobytes() for i in bare]


def test_guidance_that_skips_layers_is_refused_by_name() -> None:
    """It calls the denoiser once more in some steps; where nothing is added it may."""
    pipeline, arguments, site = sd3()
    vectors = {"a": random_vector("a", {site: (channels(called(pipeline)),)})}
    steered = SteeredPipeline(DiffusersAdapter(pipeline, vectors, other_model=True))
    skips = {"skip_guidance_layers": [1], "skip_layer_guidance_start": 0.0}
    skips |= {"skip_layer_guidance_stop": 1.0}

    with pytest.raises(SteeringError, match="'skip_guidance_layers' calls the denoiser once more"):
        sample(steered, arguments, interventions=[[A], []], **skips)
    bare = sample(pipeline, arguments, **skips)
    assert torch.equal(sample(steered, arguments, interventions=[[], []], **skips), bare)


UNCALLABLE = {
    "class labels": ({"num_class_embeds": 10}, "class_labels should be provided"),
    "text through a projection": (
        {"encoder_hid_dim": 8, "encoder_hid_dim_type": "text_proj"},
        "mat1 and mat2",
    ),
}


@pytest.mark.parametrize(("config", "message"), UNCALLABLE.values(), ids=UNCALLABLE)
def test_a_denoiser_that_takes_more_than_random_inputs(
    config: dict[str, Any], message: str
) -> None:
    """It is not known, with its name and what it said; `steering: optional` goes by that."""
    pipeline = tiny_pipeline()
    pipeline.unet = tiny_unet(**config)
    vectors = {"a": random_vector("a", {"mid_block": (32,)})}
    with pytest.raises(UnknownModelError, match=f"UNet2DConditionModel .*{message}"):
        DiffusersAdapter(pipeline, vectors, other_model=True)
    assert not pipeline.unet.mid_block._forward_hooks


def test_want_of_memory_is_no_kind_of_model() -> None:
    """A guard must not go on unsteered because the machine was busy."""
    pipeline = tiny_pipeline()

    def full(*_: Any) -> None:
        raise torch.OutOfMemoryError

    pipeline.unet.register_forward_pre_hook(full)
    with pytest.raises(torch.OutOfMemoryError):
        DiffusersAdapter(pipeline, {}, other_model=True)


def test_a_unet_that_names_no_size() -> None:
    """Diffusers allows it; the self-test takes one."""
    pipeline = tiny_pipeline()
    pipeline.unet = tiny_unet(sample_size=None)
    vectors = {"a": random_vector("a", {"mid_block": (32,)})}

    with DiffusersAdapter(pipeline, vectors, other_model=True) as adapter:
        assert adapter.run([[A]], "a cook", num_inference_steps=2, height=16, width=16).images


def test_offload_one_by_one_comes_after_attaching(adapter: DiffusersAdapter) -> None:
    """Before it, attaching is refused with the order; after it, steering works."""
    before = tiny_pipeline()
    accelerate.cpu_offload(before.unet, torch.device("cpu"), offload_buffers=False)
    with pytest.raises(SteeringError, match="attach before enable_sequential_cpu_offload"):
        DiffusersAdapter(before, adapter.vectors, other_model=True)
    assert UnsteeredAdapter(before, "offloaded").digest == adapter.digest

    accelerate.cpu_offload(adapter.pipeline.unet, torch.device("cpu"), offload_buffers=False)
    arguments = {"prompt": ["a cook"] * 2}
    bare = sample(adapter.pipeline, arguments)
    made = sample(SteeredPipeline(adapter), arguments, interventions=[[A], []])
    assert not torch.allclose(made[0], bare[0], atol=1e-4)
    assert torch.equal(made[1], bare[1])


@pytest.mark.filterwarnings("ignore:.*float32")
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
@pytest.mark.parametrize("name", ["reference", "reference-published"])
def test_shipped_vectors_are_of_their_model_in_every_precision(
    dtype: torch.dtype, name: str
) -> None:
    """Their passports hold both digests that it has."""
    store = VectorStore(name)
    vectors = {each: store[each] for each in store.names}
    pipeline = load_pipeline().to(dtype)

    with DiffusersAdapter(pipeline, vectors) as adapter:
        assert adapter.digest == model_digest(pipeline.unet)


def test_a_vector_that_does_not_know_its_model_in_bfloat16() -> None:
    """Learned before passports held it, it is refused with what can be done."""
    pipeline = tiny_pipeline()
    made = random_vector("a", {"mid_block": (32,)})
    passport = made.passport.model_copy(update={"model_digest": model_digest(pipeline.unet)})
    vectors = {"a": replace(made, passport=passport)}
    pipeline.unet.to(torch.bfloat16)

    with pytest.raises(ConceptError, match="in bfloat16, cast it after attaching"):
        DiffusersAdapter(pipeline, vectors)


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

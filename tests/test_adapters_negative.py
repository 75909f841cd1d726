"""What is said of negative prompts, against what pipelines of every supported class do."""

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import torch
from diffusers import AdaptiveProjectedGuidance, ClassifierFreeGuidance
from tiny import CLASSES, Made, embeddings, flux, flux_guided, lcm, qwen, sample, sdxl_modular

from safegen.adapters.diffusers import DiffusersAdapter
from safegen.adapters.guiders import guided
from safegen.adapters.negative import unread, unread_ever
from safegen.adapters.sampler import Sampler
from safegen.adapters.unsteered import UnsteeredAdapter
from safegen.errors import SteeringError
from safegen.testing import tiny_pipeline, tiny_unet

# What turns FLUX's other guidance on is a further argument: see below.
MADE = [make for make in CLASSES if make is not flux_guided]


def negative(arguments: dict[str, Any]) -> dict[str, Any]:
    """Another negative prompt for a call: as a text, or as embeddings where prompts are."""
    if "prompt" in arguments:
        return {"negative_prompt": ["a knife"] * 2}
    given = embeddings(16, 16, negative=True)
    names = given.keys() & {*arguments, *(f"negative_{name}" for name in arguments)}
    return {name: given[name] + 2 for name in names if name.startswith("negative")}


@pytest.mark.parametrize("guidance_scale", [0.0, 1.0, 5.0])
@pytest.mark.parametrize("make", MADE, ids=lambda make: make.__name__)
def test_it_is_read_where_it_changes_the_image(
    make: Callable[[], Made], guidance_scale: float
) -> None:
    """Whatever the pipeline makes of one, that is what is said."""
    pipeline, arguments, _ = make()
    scale = {"guidance_scale": guidance_scale}

    def made(**more: Any) -> torch.Tensor:
        latents: torch.Tensor = guided(pipeline, partial(sample, pipeline, arguments), scale | more)
        return latents

    bare, away = made(), made(**negative(arguments))

    assert torch.equal(bare, away) == bool(unread(pipeline, guidance_scale, {}))


TEXT = {"negative_prompt_embeds": torch.linspace(-1, 1, 16).repeat(2, 4, 1)}
POOLED = TEXT | {"negative_pooled_prompt_embeds": torch.ones(2, 16)}
MASKED = TEXT | {"negative_prompt_embeds_mask": torch.ones(2, 4, dtype=torch.long)}


@pytest.mark.parametrize("scale", [None, 1.0, 3.0])
@pytest.mark.parametrize(("make", "away"), [(flux, POOLED), (qwen, MASKED)])
def test_a_true_scale_decides_where_there_is_one(
    make: Callable[[], Made], away: dict[str, Any], scale: float | None
) -> None:
    """As the sampler gives it, over the pipeline's own: FLUX has it off, Qwen-Image on."""
    pipeline, arguments, _ = make()
    more = {} if scale is None else {"true_cfg_scale": scale}

    bare, made = sample(pipeline, arguments | more), sample(pipeline, arguments | more | away)

    assert torch.equal(bare, made) == bool(unread(pipeline, 5.0, more))
    assert not unread_ever(pipeline)


def test_another_guider_is_not_known_to_read_one() -> None:
    """A modular pipeline reads negative prompts as its guider does."""
    pipeline, _, _ = sdxl_modular()
    for guider in (AdaptiveProjectedGuidance(), ClassifierFreeGuidance(enabled=False)):
        pipeline.update_components(guider=guider)
        assert f"its guider is {type(guider).__name__}" in unread(pipeline, 5.0, {})


def test_a_call_without_the_parameter_reads_none() -> None:
    """One that swallows whatever it is given, too."""
    pipeline, _, _ = lcm()

    assert "takes no negative prompt" in unread(pipeline, 5.0, {})
    assert "takes no negative prompt" in unread_ever(pipeline)


def test_a_distilled_model_reads_none() -> None:
    """Guidance is an input of such a model, in whatever pipeline it runs."""
    pipeline = tiny_pipeline()
    pipeline.unet = tiny_unet(time_cond_proj_dim=8)

    assert "distilled" in unread(pipeline, 5.0, {})


def steered(pipeline: Any) -> Any:
    """The adapter that steers."""
    return DiffusersAdapter(pipeline, {})


def unsteered(pipeline: Any) -> Any:
    """The adapter that does not."""
    return UnsteeredAdapter(pipeline, "for the sake of the test")


@pytest.mark.parametrize("adapt", [steered, unsteered])
def test_an_adapter_drops_none_silently(adapt: Callable[[Any], Any]) -> None:
    """It acts, or is an error."""
    adapter = adapt(tiny_pipeline())
    few, unguided = Sampler(2, 5.0), Sampler(2, 1.0)

    (bare,) = adapter.generate(["a cook"], [0], [()], few)
    (away,) = adapter.generate(["a cook"], [0], [()], few, ["a knife"])
    assert bare.tobytes() != away.tobytes()
    with pytest.raises(SteeringError, match="above 1, got 1"):
        adapter.generate(["a cook"], [0], [()], unguided, ["a knife"])
    assert adapter.generate(["a cook"], [0], [()], unguided)


@pytest.mark.parametrize("adapt", [steered, unsteered])
def test_an_adapter_judges_by_what_the_sampler_gives(adapt: Callable[[Any], Any]) -> None:
    """FLUX reads one at a true scale; without it none is dropped."""
    adapter = adapt(flux()[0])
    without, off = Sampler(2, 5.0), Sampler(2, 5.0, {"true_cfg_scale": 1.0})

    assert not adapter.negative_unread(None)
    assert not adapter.negative_unread(Sampler(2, 5.0, {"true_cfg_scale": 3.0}))
    for sampler in (without, off):
        assert "true_cfg_scale above 1, got 1" in adapter.negative_unread(sampler)
        with pytest.raises(SteeringError, match="would change nothing"):
            adapter.generate(["a cook"], [0], [()], sampler, ["a knife"])

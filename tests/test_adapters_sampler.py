"""What a sampler takes: numbers, pictures as pipelines read them, and nothing past the guard."""

from typing import Any

import numpy as np
import pytest
import torch
from diffusers import StableDiffusionImg2ImgPipeline
from PIL import Image

from safegen.adapters.diffusers import DiffusersAdapter
from safegen.adapters.sampler import Sampler
from safegen.errors import InputError
from safegen.pixels import pixels_digest
from safegen.testing import random_vector, tiny_pipeline

PICTURE = Image.linear_gradient("L").convert("RGB").resize((16, 16))


@pytest.mark.parametrize("wrong", [None, "5", True, np.array([5.0, 5.0]), torch.tensor(5.0), [5.0]])
def test_what_is_no_number(wrong: Any) -> None:
    """It is refused where it is given, not somewhere within a batch."""
    with pytest.raises(InputError, match="expected a number as 'guidance_scale'"):
        Sampler(4, wrong)
    with pytest.raises(InputError, match="expected steps to be a whole number of at least 1"):
        Sampler(wrong)


def test_numbers_of_numpy() -> None:
    """They are taken as Python's, so that a record holds them."""
    sampler = Sampler(np.int64(4), np.float32(5), {"strength": np.float32(0.5)})  # type: ignore[arg-type]

    assert (type(sampler.steps), type(sampler.guidance_scale)) == (int, float)
    assert sampler.as_record() == {"steps": 4, "guidance_scale": 5.0, "strength": 0.5}
    assert type(sampler.more["strength"]) is float


@pytest.mark.parametrize(
    ("name", "mend"),
    [
        ("prompt", "as the argument of generate"),
        ("generator", "the seed as an argument of generate"),
        ("num_images_per_prompt", "number of images as an argument of generate"),
        ("num_inference_steps", r"Sampler\(steps, guidance_scale\)"),
        ("prompt_2", "assesses one prompt"),
        ("negative_prompt", "from the policy"),
        ("latents", "SteeredPipeline"),
        ("output_type", "SteeredPipeline"),
        ("timesteps", "SteeredPipeline"),
        ("callback_on_step_end", "SteeredPipeline"),
    ],
)
def test_where_the_rest_comes_from(name: str, mend: str) -> None:
    """What SafeGen gives itself is refused with the way that there is."""
    with pytest.raises(InputError, match=mend):
        Sampler(4, 5.0, {name: 1})


@pytest.mark.parametrize(
    "name",
    [
        "prompt_4", "negative_prompt_4", "editing_prompt", "source_prompt", "content_prompt",
        "task_prompt", "neg_prompt", "lyrics", "system_prompt", "of_a_pipeline_to_come",
    ],
)  # fmt: skip
@pytest.mark.parametrize("text", ["a gun", ["a gun"], ("a gun",), {"en": "a gun"}])
def test_no_text_goes_past_the_policy(name: str, text: Any) -> None:
    """Whatever a pipeline calls it: it may be a further prompt."""
    with pytest.raises(InputError, match=f"expected a picture or a number as '{name}', got "):
        Sampler(4, 5.0, {name: text})


def test_a_further_prompt_is_told_where_to_go() -> None:
    """Into the one that is assessed."""
    with pytest.raises(InputError, match="put it into the prompt, which the policy reads"):
        Sampler(4, 5.0, {"editing_prompt": "a gun"})


def test_a_picture_is_what_its_digest_is_of() -> None:
    """Two that differ beyond their colours are one picture to the pipeline too."""
    clear = PICTURE.copy()
    clear.putalpha(0)
    given = [Sampler(4, 5.0, {"image": each}) for each in (PICTURE, PICTURE.convert("RGBA"), clear)]

    assert {each.as_record()["image"] for each in given} == {f"sha256:{pixels_digest(PICTURE)}"}
    assert {each.more["image"].mode for each in given} == {"RGB"}
    assert len({each.more["image"].tobytes() for each in given}) == 1


def test_a_palette_is_looked_up() -> None:
    """Pipelines would take the numbers of its colours for shades."""
    palette = PICTURE.quantize(4)

    given = Sampler(4, 5.0, {"image": palette}).more["image"]
    assert given.tobytes() == palette.convert("RGB").tobytes()


@pytest.mark.parametrize("mode", ["I", "I;16", "F"])
def test_a_picture_of_more_than_8_bits(mode: str) -> None:
    """It would be cut off at white."""
    with pytest.raises(InputError, match="8 bits a channel"):
        Sampler(4, 5.0, {"image": Image.new(mode, (16, 16))})


def test_a_picture_with_alpha_is_no_latents() -> None:
    """Image-to-image, which takes four channels for latents, makes of it what it does of RGB."""
    pipeline = StableDiffusionImg2ImgPipeline.from_pipe(tiny_pipeline())
    calm = random_vector("calm", {"mid_block": (32,)})
    with DiffusersAdapter(pipeline, {"calm": calm}, other_model=True) as adapter:
        made = [
            adapter.generate(["a cook"], [1], [()], Sampler(4, 5.0, {"image": each}))
            for each in (PICTURE, PICTURE.convert("RGBA"))
        ]

    (plain,), (alpha,) = made
    assert plain is not None
    assert alpha is not None
    assert plain.tobytes() == alpha.tobytes()

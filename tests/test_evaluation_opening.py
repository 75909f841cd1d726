"""Models that are measured: from a folder, unfiltered, and of the kind that can be measured."""

from pathlib import Path

import pytest
from diffusers import DDPMPipeline, DDPMScheduler, StableDiffusionPipeline, UNet2DModel
from diffusers.pipelines.stable_diffusion import StableDiffusionSafetyChecker
from transformers import CLIPConfig, CLIPImageProcessor

from safegen.concepts.digest import model_digest
from safegen.errors import UnknownModelError
from safegen.evaluation.opening import open_bare
from safegen.testing import tiny_pipeline

SMALL = {
    "hidden_size": 16,
    "intermediate_size": 16,
    "num_attention_heads": 2,
    "num_hidden_layers": 1,
    "projection_dim": 16,
}


def test_a_checker_of_the_models_own_is_left_out(tmp_path: Path) -> None:
    """A model with a safety checker, saved to a folder, comes back with its weights but without."""
    made = tiny_pipeline()
    config = CLIPConfig(text_config=SMALL, vision_config=SMALL | {"image_size": 16})
    StableDiffusionPipeline(
        **made.components
        | {
            "safety_checker": StableDiffusionSafetyChecker(config),
            "feature_extractor": CLIPImageProcessor(),
        }
    ).save_pretrained(tmp_path)

    opened = open_bare(str(tmp_path))
    assert opened.safety_checker is None
    assert model_digest(opened.unet) == model_digest(made.unet)


def test_models_of_another_kind_are_refused(tmp_path: Path) -> None:
    """A pipeline without text encoder and autoencoder is told by what it lacks."""
    unet = UNet2DModel(
        sample_size=8,
        block_out_channels=(32, 32),
        down_block_types=("DownBlock2D", "DownBlock2D"),
        up_block_types=("UpBlock2D", "UpBlock2D"),
    )
    DDPMPipeline(unet, DDPMScheduler()).save_pretrained(tmp_path)
    with pytest.raises(UnknownModelError, match="DDPMPipeline without vae, text_encoder"):
        open_bare(str(tmp_path))


def test_devices_that_are_not_there_are_refused() -> None:
    """A device without a backend is an error that says which to look for."""
    with pytest.raises(UnknownModelError, match="device 'xpu:7'"):
        open_bare("reference", "xpu:7")

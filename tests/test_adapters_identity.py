"""What a request notices of a denoiser that is not the one attached to any more."""

from collections.abc import Callable
from typing import Any

import accelerate
import pytest
import torch
from diffusers import UNet2DConditionModel
from peft import LoraConfig

from safegen.adapters.identity import Attached
from safegen.errors import SteeringError
from safegen.testing import tiny_pipeline, tiny_unet

CPU = torch.device("cpu")


def lora(unet: UNet2DConditionModel) -> None:
    """A LoRA that really changes the model."""
    torch.manual_seed(0)
    unet.add_adapter(LoraConfig(r=2, target_modules=["to_q", "to_v"], init_lora_weights=False))


def fused(unet: UNet2DConditionModel) -> None:
    """By the model's own method, of which a pipeline does not know."""
    lora(unet)
    unet.fuse_lora()


def doubled(unet: UNet2DConditionModel) -> dict[str, Any]:
    """Other weights."""
    return {name: 2 * value for name, value in unet.state_dict().items()}


def trained(unet: UNet2DConditionModel) -> None:
    """One parameter is written to."""
    with torch.no_grad():
        next(unet.parameters()).add_(0.5)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (fused, "LoRAs were fused"),
        (lambda unet: unet.load_state_dict(doubled(unet)), "has other weights"),
        (lambda unet: unet.load_state_dict(doubled(unet), assign=True), "has other weights"),
        (trained, "has other weights"),
    ],
)
def test_other_weights_are_noticed(change: Callable[[Any], object], message: str) -> None:
    """The records would go on naming those from before."""
    pipeline = tiny_pipeline()
    attached = Attached(pipeline)
    attached.demand_same()
    change(pipeline.unet)

    with pytest.raises(SteeringError, match=message):
        attached.demand_same()
    Attached(pipeline).demand_same()


def called(unet: UNet2DConditionModel) -> None:
    """Offload comes to work at a call."""
    with torch.no_grad():
        unet(torch.randn(1, 4, 8, 8), torch.tensor(5), torch.randn(1, 3, 16))


def grouped(unet: UNet2DConditionModel) -> None:
    """Weights come to the device group by group."""
    unet.enable_group_offload(onload_device=CPU, offload_device=CPU, offload_type="leaf_level")
    called(unet)


def one_by_one(unet: UNet2DConditionModel) -> None:
    """As `enable_sequential_cpu_offload` does: parameters are new ones at each call."""
    accelerate.cpu_offload(unet, CPU, offload_buffers=False)
    called(unet)


def deleted(unet: UNet2DConditionModel) -> None:
    """A LoRA comes and goes."""
    lora(unet)
    unet.delete_adapters("default")


def unfused(unet: UNet2DConditionModel) -> None:
    """Fused between two requests, and taken out."""
    fused(unet)
    unet.unfuse_lora()


@pytest.mark.filterwarnings("ignore")  # diffusers warns of casts
@pytest.mark.parametrize(
    "change",
    [
        lambda unet: unet.to(torch.bfloat16),
        lambda unet: unet.to(memory_format=torch.channels_last),
        lambda unet: unet.share_memory(),
        lambda unet: unet.requires_grad_(False),
        lambda unet: unet.load_state_dict(unet.state_dict()),
        lambda unet: unet.compile(backend="eager"),
        deleted,
        grouped,
        one_by_one,
        unfused,
        lora,
    ],
)
def test_what_leaves_the_model_the_same(change: Callable[[Any], object]) -> None:
    """Casts, offload and a LoRA beside the weights end no request, however often one is made."""
    pipeline = tiny_pipeline()
    attached = Attached(pipeline)
    change(pipeline.unet)
    for _ in range(2):
        attached.demand_same()


def test_offload_may_end() -> None:
    """Weights that were offloaded one by one when they were attached to are compared afterwards."""
    pipeline = tiny_pipeline()
    digest = Attached(pipeline).digest
    accelerate.cpu_offload(pipeline.unet, CPU, offload_buffers=False)
    attached = Attached(pipeline)
    attached.demand_same()
    accelerate.hooks.remove_hook_from_submodules(pipeline.unet)
    attached.demand_same()
    pipeline.unet.load_state_dict(doubled(tiny_unet()))

    assert attached.digest == digest
    with pytest.raises(SteeringError, match="has other weights"):
        attached.demand_same()


def test_parameters_made_for_inference_alone() -> None:
    """Torch counts no writes to those; the marks are compared all the same."""
    with torch.inference_mode():
        pipeline = tiny_pipeline()
    attached = Attached(pipeline)
    attached.demand_same()
    pipeline.unet.load_state_dict(doubled(tiny_unet()), assign=True)

    with pytest.raises(SteeringError, match="has other weights"):
        attached.demand_same()

"""Baking: the folded weights compute what the hook computes, or it is refused."""

import pytest
import torch
from peft import LoraConfig

from safegen.errors import ConceptError, SteeringError, UnknownConceptError
from safegen.nouns import Intervention
from safegen.steering.bake import bake
from safegen.steering.hook import Steering
from safegen.steering.layout import UNGUIDED
from safegen.steering.plan import Plan
from safegen.testing import random_vector, tiny_unet

INPUTS = (torch.ones(2, 4, 8, 8), torch.tensor(300), torch.ones(2, 3, 16))


def test_the_baked_model_computes_what_the_hook_computes() -> None:
    """Two concepts at different strengths, folded into one bias."""
    vectors = {name: random_vector(name, {"mid_block": (32,)}) for name in "ab"}
    both = [Intervention(concept="a", strength=0.5), Intervention(concept="b", strength=-2)]
    unet, baked = tiny_unet(), tiny_unet()
    with torch.no_grad():
        bare = unet(*INPUTS).sample
        with Steering(unet, vectors) as steering:
            with steering.using(Plan.of([both, both], every_row=True), UNGUIDED):
                hooked = unet(*INPUTS).sample
        bake(baked, both, vectors)
        made = baked(*INPUTS).sample

    assert not torch.allclose(bare, hooked, atol=1e-3)
    torch.testing.assert_close(made, hooked, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize(
    ("each", "shapes", "why"),
    [
        (Intervention(concept="a", start=0.5), {"mid_block": (32,)}, "window"),
        (Intervention(concept="a", gate="projection"), {"mid_block": (32,)}, "gate"),
        (Intervention(concept="a"), {"mid_block": (32, 4, 4)}, "differs between positions"),
        (Intervention(concept="a"), {"up_blocks.0": (32,)}, "not at mid_block alone"),
    ],
)
def test_what_is_not_the_same_is_refused(
    each: Intervention, shapes: dict[str, tuple[int, ...]], why: str
) -> None:
    """The weights stay as they were, and the message says why."""
    unet = tiny_unet()
    bias = unet.mid_block.resnets[-1].conv2.bias.clone()
    with pytest.raises(SteeringError, match=why):
        bake(unet, [each], {"a": random_vector("a", shapes)})
    assert torch.equal(unet.mid_block.resnets[-1].conv2.bias, bias)


def test_an_adapter_on_the_layer_is_named() -> None:
    """A LoRA's wrapper has a bias, which is not to be folded into: the message says what to do."""
    unet = tiny_unet()
    unet.add_adapter(LoraConfig(r=2, target_modules=["conv2"]))
    steers, vectors = [Intervention(concept="a")], {"a": random_vector("a", {"mid_block": (32,)})}
    with pytest.raises(SteeringError, match=r"(?s)adapter \(LoRA\) sits on.*unload") as refused:
        bake(unet, steers, vectors)

    assert "no bias" not in str(refused.value)
    unet.unload_lora()
    bake(unet, steers, vectors)


@pytest.mark.parametrize(
    ("each", "width", "error"),
    [
        (Intervention(concept="b"), 32, UnknownConceptError),
        (Intervention(concept="a"), 16, ConceptError),
    ],
)
def test_what_the_hook_refuses_is_refused(
    each: Intervention, width: int, error: type[Exception]
) -> None:
    """A concept that is not there, and a vector of another model, change nothing."""
    unet = tiny_unet()
    bias = unet.mid_block.resnets[-1].conv2.bias.clone()
    with pytest.raises(error, match=each.concept):
        bake(unet, [each], {"a": random_vector("a", {"mid_block": (width,)})})
    assert torch.equal(unet.mid_block.resnets[-1].conv2.bias, bias)


@pytest.mark.parametrize("nothing", [[], [Intervention(concept="a", strength=0.0)]])
def test_nothing_to_fold_in_changes_nothing(nothing: list[Intervention]) -> None:
    """As a plan of nothing does."""
    unet = tiny_unet()
    bias = unet.mid_block.resnets[-1].conv2.bias.clone()
    bake(unet, nothing, {"a": random_vector("a", {"mid_block": (32,)})})

    assert torch.equal(unet.mid_block.resnets[-1].conv2.bias, bias)

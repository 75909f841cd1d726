"""How a pipeline is set up is on record: scheduler, adapters, their strengths, FreeU, torch."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers import DDPMScheduler
from ip_adapters import load
from peft import LoraConfig

from safegen.adapters.sampler import Sampler
from safegen.adapters.settings import settings
from safegen.audit.ledger import Ledger, read
from safegen.guard import Guard
from safegen.nouns import Context, Finding
from safegen.policy import Policy
from safegen.testing import tiny_pipeline

FREEU = {"s1": 0.9, "s2": 0.2, "b1": 1.2, "b2": 1.4}


def lora(pipeline: Any, name: str = "style") -> None:
    """A LoRA on the attention of the UNet."""
    config = LoraConfig(r=2, target_modules=["to_q"], init_lora_weights=False)
    pipeline.unet.add_adapter(config, adapter_name=name)


def test_a_bare_pipeline_tells_its_scheduler() -> None:
    """By its class and configuration, beside torch, and nothing of what is not there."""
    told = settings(tiny_pipeline())
    assert set(told) == {"scheduler", "torch"}
    assert told["scheduler"].startswith("DDIMScheduler sha256:")
    assert settings(tiny_pipeline()) == told


@pytest.mark.parametrize("more", [{}, {"beta_end": 0.013}])
def test_another_scheduler_is_told(more: dict[str, float]) -> None:
    """Another class, and the same one with another configuration."""
    pipeline = tiny_pipeline()
    told = settings(pipeline)
    kind = type(pipeline.scheduler) if more else DDPMScheduler
    pipeline.scheduler = kind.from_config(pipeline.scheduler.config, **more)
    assert settings(pipeline)["scheduler"] != told["scheduler"]


@pytest.mark.filterwarnings("ignore:Already found a `peft_config`")
def test_adapters_are_told_with_their_strengths() -> None:
    """Which are in force, and how strong; one that is turned off is not there."""
    pipeline = tiny_pipeline()
    lora(pipeline)
    whole = settings(pipeline)["adapters"]
    assert whole.startswith("style sha256:")
    pipeline.unet.set_adapters(["style"], weights=[0.5])
    half = settings(pipeline)["adapters"]
    assert half != whole
    lora(pipeline, "light")
    pipeline.unet.set_adapters(["style", "light"], weights=[0.5, 1.0])
    assert settings(pipeline)["adapters"].startswith("light, style sha256:")
    pipeline.unet.disable_adapters()
    assert "adapters" not in settings(pipeline)
    pipeline.unet.enable_adapters()
    pipeline.unet.delete_adapters("light")
    assert settings(pipeline)["adapters"] == half


def test_ip_adapters_are_told_with_their_scales() -> None:
    """How many there are, and how strong each is in every layer."""
    pipeline = tiny_pipeline()
    load(pipeline, 2)
    whole = settings(pipeline)["adapters"]
    assert whole.startswith("ip-adapter 0, ip-adapter 1 sha256:")
    pipeline.set_ip_adapter_scale([0.1, 1.0])
    first = settings(pipeline)["adapters"]
    pipeline.set_ip_adapter_scale([1.0, {"up": 0.1}])
    assert len({whole, first, settings(pipeline)["adapters"]}) == 3
    lora(pipeline)
    assert settings(pipeline)["adapters"].startswith("ip-adapter 0, ip-adapter 1, style sha256:")


@pytest.mark.usefixtures("one_thread")
def test_torch_is_told_with_its_threads() -> None:
    """They decide the last bits of what a CPU calculates; elsewhere they decide nothing."""
    pipeline = tiny_pipeline()
    assert settings(pipeline)["torch"] == f"{torch.__version__}, threads=1"
    torch.set_num_threads(2)
    assert settings(pipeline)["torch"] == f"{torch.__version__}, threads=2"
    pipeline.to("meta")
    assert settings(pipeline)["torch"] == torch.__version__


def test_freeu_is_told() -> None:
    """Its four numbers, while it is on."""
    pipeline = tiny_pipeline()
    pipeline.enable_freeu(**FREEU)
    assert settings(pipeline)["freeu"] == "s1=0.9 s2=0.2 b1=1.2 b2=1.4"
    pipeline.disable_freeu()
    assert "freeu" not in settings(pipeline)


@pytest.mark.parametrize("batch", [1, 4])
def test_it_is_on_record(tmp_path: Path, batch: int) -> None:
    """With the images that were made so; a request without images has no such thing."""
    rule = "{id: cats, when: 'request.tenant == \"cats\"', then: {block: {reason: closed}}}"
    text = f"apiVersion: safegen/v1\nmetadata: {{name: cats, version: '1'}}\nrules: [{rule}]\n"
    pipeline = tiny_pipeline()
    with (
        Guard(Policy(text), {}, [], Ledger.open(tmp_path / "ledger")) as guard,
        guard.attach(pipeline, other_model=True, batch=batch) as guarded,
    ):
        guarded.generate("a cook", sampler=Sampler(2))
        pipeline.enable_freeu(**FREEU)
        guarded.generate("a cook", sampler=Sampler(2))
        guarded.generate("a cook", sampler=Sampler(2), context=Context(tenant="cats"))
    before, after, blocked = (record.sampler for _, record in read(tmp_path / "ledger"))
    assert blocked == {"steps": 2, "guidance_scale": 5.0}
    assert before == blocked | settings(tiny_pipeline())
    assert after == before | {"freeu": "s1=0.9 s2=0.2 b1=1.2 b2=1.4"}


@pytest.mark.parametrize("batch", [1, 4])
@pytest.mark.parametrize("finds", [False, True])
def test_what_is_set_while_detectors_look_comes_after(
    tmp_path: Path, batch: int, *, finds: bool
) -> None:
    """It made none of the images that they look at, but those that are made again for it."""
    pipeline = tiny_pipeline()

    class Setting:
        name, labels, digest = "setting", ("x",), "sha256:1"

        def __call__(self, images: Sequence[Any]) -> list[list[Finding]]:
            """What is found at the first look alone, after which the pipeline is another."""
            score = float(finds and not hasattr(pipeline.unet.up_blocks[1], "s1"))
            pipeline.enable_freeu(**FREEU)
            found = Finding(detector="setting", detector_digest="sha256:1", label="x", score=score)
            return [[found] for _ in images]

    text = """apiVersion: safegen/v1
metadata: {name: small, version: "1"}
rules: [{id: a, when: "true", then: {check: [{detector: setting, label: x, threshold: 0.5}]}}]
ladder: [{action: regenerate}]
"""
    with (
        Guard(Policy(text), {}, [Setting()], Ledger.open(tmp_path / "ledger")) as guard,
        guard.attach(pipeline, other_model=True, batch=batch) as guarded,
    ):
        guarded.generate("a cook", sampler=Sampler(2))
    (record,) = (record.sampler for _, record in read(tmp_path / "ledger"))
    told = {"freeu": "none; then s1=0.9 s2=0.2 b1=1.2 b2=1.4"} if finds else {}
    assert record == {"steps": 2, "guidance_scale": 5.0} | settings(tiny_pipeline()) | told

"""Steering under what people do to their pipelines; `docs/compatibility.md` is this test's table.

    SAFEGEN_UPDATE_DOCS=1 uv run pytest tests/test_compatibility.py

writes the page anew; otherwise every cell must be as the page says.
"""

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import diffusers
import pytest
import torch
from diffusers.hooks import FirstBlockCacheConfig
from peft import LoraConfig
from tiny import CLASSES, Made, channels, sample

from safegen.adapters.denoisers import called, probe
from safegen.adapters.diffusers import DiffusersAdapter, SteeredPipeline
from safegen.concepts.digest import model_digest
from safegen.errors import SteeringError
from safegen.nouns import Intervention
from safegen.testing import random_vector, tiny_pipeline, tiny_unet

pytestmark = pytest.mark.usefixtures("one_thread")

PAGE = Path(__file__).parent.parent / "docs" / "compatibility.md"
A = Intervention(concept="a")
CPU = torch.device("cpu")


def lora(pipeline: Any) -> None:
    """A LoRA that really changes the model."""
    torch.manual_seed(0)
    adapter = LoraConfig(r=2, target_modules=["to_q", "to_v"], init_lora_weights=False)
    called(pipeline).add_adapter(adapter)


def block_cache(pipeline: Any) -> None:
    """A cache that skips all blocks but the first whenever it can."""
    called(pipeline).enable_cache(FirstBlockCacheConfig(threshold=1e9))


def group_offload(pipeline: Any) -> None:
    """Weights come to the device group by group; here both devices are the CPU."""
    called(pipeline).enable_group_offload(
        onload_device=CPU, offload_device=CPU, offload_type="leaf_level"
    )


def compile_before(pipeline: Any) -> None:
    """Compiled, and called once, so that the graph is there before the hooks."""
    called(pipeline).compile(backend="eager")
    with torch.no_grad():
        probe(called(pipeline), called(pipeline), 2)


@dataclass(frozen=True)
class Condition:
    """What is done to the pipeline, before or after attaching; `known`: whether it can be."""

    name: str
    do: Callable[[Any], object]
    before: bool = True
    known: Callable[[Any], bool] = lambda pipeline: True


CONDITIONS = (
    Condition("as it is", lambda p: None),
    Condition("bf16", lambda p: p.to(torch.bfloat16)),
    Condition("fp16", lambda p: p.to(torch.float16)),
    Condition("attach, bf16", lambda p: p.to(torch.bfloat16), before=False),
    Condition("LoRA, attach", lora, known=lambda p: hasattr(called(p), "add_adapter")),
    Condition(
        "attach, LoRA", lora, before=False, known=lambda p: hasattr(called(p), "add_adapter")
    ),
    Condition(
        "model offload",
        lambda p: p.enable_model_cpu_offload(device=CPU),
        known=lambda p: hasattr(p, "enable_model_cpu_offload"),
    ),
    Condition("group offload", group_offload),
    Condition("block cache", block_cache, known=lambda p: hasattr(called(p), "enable_cache")),
    Condition(
        "attach, compile (full graph)",
        lambda p: called(p).compile(backend="eager", fullgraph=True),
        before=False,
    ),
    Condition(
        "attach, compile (blocks)",
        lambda p: called(p).compile_repeated_blocks(backend="eager"),
        before=False,
        known=lambda p: bool(called(p)._repeated_blocks),
    ),
    Condition("compile, attach", compile_before),
)
CASES = [
    pytest.param(make, each, id=f"{make.__name__}-{each.name}", marks=pytest.mark.slow)
    for make in CLASSES
    for each in CONDITIONS
]


def outcome(make: Callable[[], Made], condition: Condition) -> str:
    """`ok`, `refused: …`, or `–` where the class knows no such thing.

    `ok` means: in a batch of two the steered image changes, and the other keeps every bit.
    """
    pipeline, arguments, site = make()
    denoiser = called(pipeline)
    if not condition.known(pipeline):
        return "–"
    if condition.before:
        condition.do(pipeline)
    vectors = {"a": random_vector("a", {site: (channels(denoiser),)})}
    try:
        adapter = DiffusersAdapter(pipeline, vectors, other_model=True)
        if not condition.before:
            condition.do(pipeline)
        dtype = denoiser.dtype
        given = {
            key: value.to(dtype) if isinstance(value, torch.Tensor) else value
            for key, value in arguments.items()
        }
        steered = SteeredPipeline(adapter)
        bare = sample(steered, given)
        made = sample(steered, given, interventions=[[], [A]])
    except SteeringError as error:
        return f"refused: {error.message}"
    assert torch.equal(made[0], bare[0])
    assert not torch.equal(made[1], bare[1])
    return "ok"


@pytest.fixture(scope="module")
def page() -> Iterator[dict[tuple[str, str], str]]:
    """What was seen, by (class, condition); written to the page when that is asked for."""
    seen: dict[tuple[str, str], str] = {}
    yield seen
    if os.environ.get("SAFEGEN_UPDATE_DOCS"):
        PAGE.write_text(rendered(seen), encoding="utf-8")


@pytest.mark.filterwarnings("ignore")  # diffusers and torch warn of what is done here on purpose
@pytest.mark.parametrize(("make", "condition"), CASES)
def test_steering_under_a_condition(
    make: Callable[[], Made], condition: Condition, page: dict[tuple[str, str], str]
) -> None:
    """It works, or is refused with a message, as the page says; it is never silently off."""
    torch._dynamo.reset()
    seen = outcome(make, condition)
    page[make.__name__, condition.name] = seen

    if not os.environ.get("SAFEGEN_UPDATE_DOCS"):
        assert cell(make, condition) == seen.partition(":")[0]
        assert seen in PAGE.read_text(encoding="utf-8")


def cell(make: Callable[[], Made], condition: Condition) -> str:
    """What the page says."""
    lines = PAGE.read_text(encoding="utf-8").splitlines()
    (row,) = [line for line in lines if line.startswith(f"| {title(make)} |")]
    return row.split("|")[2 + CONDITIONS.index(condition)].strip()


def title(make: Callable[[], Made]) -> str:
    """A class as the page calls it."""
    note = " (true guidance)" if "guided" in make.__name__ else ""
    return f"`{type(make()[0]).__name__}`{note}"


def rendered(seen: dict[tuple[str, str], str]) -> str:
    """The page."""
    names = [condition.name for condition in CONDITIONS]
    rows = [
        [
            title(make),
            *(seen[make.__name__, name].partition(":")[0] for name in names),
        ]
        for make in CLASSES
    ]
    refusals = sorted({text for text in seen.values() if ": " in text})
    lines = [
        "# What steering was tested with",
        "",
        "Made by `SAFEGEN_UPDATE_DOCS=1 uv run pytest tests/test_compatibility.py`; the tests hold "
        "every cell to what they see.",
        f"Tiny random models of each class on a CPU, torch {torch.__version__.partition('+')[0]}, "
        f"diffusers {diffusers.__version__}; real sizes and GPUs: not tested.",
        "",
        "`ok`: in a batch of two, the steered image changes and the other keeps every bit.",
        "`refused`: attaching or generating fails with the message below, and a guard reports "
        "`error` without an image.",
        "`–`: the class has no such feature.",
        "Compiled with the `eager` backend: torch traces and guards as always, without generating "
        "code.",
        "Offload moves weights between two devices that are both the CPU here.",
        "",
        "| class | " + " | ".join(names) + " |",
        "|---" * (len(names) + 1) + "|",
        *("| " + " | ".join(row) + " |" for row in rows),
        "",
        *(f"- {text}" for text in refusals),
        "",
    ]
    return "\n".join(lines)


def test_a_lora_beside_the_weights_does_not_change_the_model() -> None:
    """Vectors learned on a model can be used with a LoRA loaded on it; fused, it is another one."""
    unet = tiny_unet()
    before = model_digest(unet)
    torch.manual_seed(0)
    unet.add_adapter(LoraConfig(r=2, target_modules=["to_q"], init_lora_weights=False))
    beside = model_digest(unet)
    unet.fuse_lora()

    assert beside == before
    assert model_digest(unet) != before


def test_a_lora_fused_after_attaching_ends_requests() -> None:
    """The records would go on naming the weights from before; unfused, it is that model again."""
    pipeline = tiny_pipeline()
    lora(pipeline)
    vectors = {"a": random_vector("a", {"mid_block": (32,)})}
    with DiffusersAdapter(pipeline, vectors, other_model=True) as adapter:
        pipeline.fuse_lora(components=["unet"])
        with pytest.raises(SteeringError, match="LoRAs were fused"):
            adapter.run([[A]], "a cook", num_inference_steps=2)
        pipeline.unfuse_lora(components=["unet"])
        assert adapter.run([[A]], "a cook", num_inference_steps=2).images

"""What steering costs: whole denoising runs, as ratios to the same run without SafeGen.

    uv run python benchmarks/steering.py [--quick] [--json] [--model reference|sd15]

Every round runs every variant once, in turn, each beside an unhooked run of its own, so a machine
that speeds up or slows down changes both; which of the two comes first alternates. Attaching, done
once in a service's life, is not counted; planning, done for each request, is. `sd15` is a UNet of
Stable Diffusion 1.5's real configuration with random weights (860 M parameters).
"""

import argparse
import json
import math
import platform
import statistics
import time
import warnings
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from typing import Any, NamedTuple

import torch
from diffusers import UNet2DConditionModel
from rich.console import Console
from rich.progress import track
from rich.table import Table

from safegen.nouns import Intervention
from safegen.reference import load_pipeline
from safegen.reference.diffusion import build_text_encoder
from safegen.steering.hook import Steering
from safegen.steering.plan import Plan
from safegen.testing import random_vector

PROMPT = "a photo of a farmer"
_QUICK_SECONDS = 26.0
_LEAST_ROUNDS = 3


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--quick", action="store_true", help="reference model, under a minute")
    parser.add_argument("--json", action="store_true", help="print JSON for machines")
    parser.add_argument("--model", choices=("reference", "sd15"), default="sd15")
    parser.add_argument("--rounds", type=int, help="rounds of all variants")
    options = parser.parse_args()
    model = "reference" if options.quick else options.model
    steps = 1 if model == "sd15" else 4 if options.quick else 6
    rounds = options.rounds or (5 if model == "sd15" else 100 if options.quick else 7)
    seconds = _QUICK_SECONDS if options.quick and not options.rounds else math.inf
    warnings.filterwarnings("ignore")
    device = "cuda" if torch.cuda.is_available() else "cpu"
    pipeline = load_pipeline() if model == "reference" else _sd15()
    pipeline.to(device)
    times = measure(_variants(pipeline, steps), rounds, seconds)
    report = summarise(times)
    report |= {
        "model": model,
        "rounds": len(times["no_plan"]),
        "steps": steps,
        "unhooked_step_ms": round(1000 * statistics.median(times["no_plan baseline"]) / steps, 2),
        "machine": f"{platform.machine()}, {torch.get_num_threads()} threads, {device}",
        "torch": torch.__version__,
    }
    if options.json:
        print(json.dumps(report))
        return
    table = Table("variant", "ratio to unhooked", "spread (quartiles)")
    for name, ratio in report["ratios"].items():
        low, high = report["spread"][name]
        table.add_row(name, f"{ratio:.3f}", f"{low:.3f} to {high:.3f}")
    Console().print(table)
    Console().print({key: report[key] for key in ("model", "unhooked_step_ms", "machine", "torch")})


class Variant(NamedTuple):
    """What is measured: `run` with what `attached` gives, beside `bare` without it."""

    attached: Callable[[], AbstractContextManager[Any]]
    run: Callable[[Any], object]
    bare: Callable[[], object]


def measure(
    variants: dict[str, Variant], rounds: int, seconds: float = math.inf
) -> dict[str, list[float]]:
    """Seconds per variant and round, and of its baseline; whole rounds, fewer after `seconds`."""
    for variant in variants.values():
        _timed(variant, bare_first=True)
    times: dict[str, list[float]] = {name: [] for name in variants}
    times |= {f"{name} baseline": [] for name in variants}
    ends = time.perf_counter() + seconds
    for n in track(range(rounds), "measuring", console=Console(stderr=True), transient=True):
        if n >= _LEAST_ROUNDS and time.perf_counter() > ends:
            break
        for name, variant in variants.items():
            run, bare = _timed(variant, bare_first=n % 2 == 0)
            times[name].append(run)
            times[f"{name} baseline"].append(bare)
    return times


def _timed(variant: Variant, *, bare_first: bool) -> tuple[float, float]:
    """Seconds of the variant, and of the unhooked run before or after it."""

    def clocked(run: Callable[[], object]) -> float:
        started = time.perf_counter()
        run()
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        return time.perf_counter() - started

    bare = clocked(variant.bare) if bare_first else 0.0
    with variant.attached() as attached:
        run = clocked(partial(variant.run, attached))
    return run, bare if bare_first else clocked(variant.bare)


def summarise(times: dict[str, list[float]]) -> dict[str, Any]:
    """Median ratio and quartiles per variant."""
    ratios, spread = {}, {}
    for name in times:
        if name.endswith(" baseline"):
            continue
        each = [a / b for a, b in zip(times[name], times[f"{name} baseline"], strict=True)]
        ratios[name] = round(statistics.median(each), 4)
        low, _, high = statistics.quantiles(each, n=4)
        spread[name] = [round(low, 4), round(high, 4)]
    return {"ratios": ratios, "spread": spread}


def _variants(pipeline: Any, steps: int) -> dict[str, Variant]:
    unet = pipeline.unet
    channels = unet.config.block_out_channels[-1]
    size = unet.config.sample_size // 2 ** (len(unet.config.block_out_channels) - 1)
    names = [f"concept{i}" for i in range(16)]
    vectors = {name: random_vector(name, {"mid_block": (channels, size, size)}) for name in names}
    some = [Intervention(concept=name, strength=0.01) for name in names]
    bare = partial(_denoise, pipeline, [PROMPT], steps)
    steps_of_8 = (steps + 1) // 2

    def steered(samples: Sequence[Sequence[Intervention]], steering: Steering) -> object:
        with steering.using(Plan.of(samples)):
            many = len(samples) > 1
            return _denoise(pipeline, [PROMPT] * len(samples), steps_of_8 if many else steps)

    def ours(run: Callable[[Steering], object], beside: Callable[[], object] = bare) -> Variant:
        return Variant(partial(Steering, unet, vectors), run, beside)

    def peer(run: Callable[[], object]) -> Variant:
        return Variant(nullcontext, lambda _: run(), bare)

    return {
        "no_plan": ours(lambda _: bare()),
        "concepts_1": ours(partial(steered, [some[:1]])),
        "concepts_4": ours(partial(steered, [some[:4]])),
        "concepts_16": ours(partial(steered, [some])),
        "mixed_batch_8": ours(
            partial(steered, [[some[i]] if i else [] for i in range(8)]),
            partial(_denoise, pipeline, [PROMPT] * 8, steps_of_8),
        ),
        "negative_prompt": peer(partial(bare, negative_prompt=["a knife"])),
        "sld": peer(_sld(pipeline, steps)),
        "sega": peer(_sega(pipeline, steps)),
    }


def _denoise(pipeline: Any, prompts: Sequence[str], steps: int, **more: Any) -> object:
    generators = [torch.Generator().manual_seed(i) for i in range(len(prompts))]
    return pipeline(
        list(prompts),
        num_inference_steps=steps,
        guidance_scale=5.0,
        generator=generators,
        output_type="latent",
        **more,
    )


def _parts(pipeline: Any) -> dict[str, Any]:
    names = ("vae", "text_encoder", "tokenizer", "unet", "scheduler")
    parts = {name: getattr(pipeline, name) for name in names}
    return parts | {
        "safety_checker": None,
        "feature_extractor": None,
        "requires_safety_checker": False,
    }


def _sld(pipeline: Any, steps: int) -> Callable[[], object]:
    """Safe Latent Diffusion, diffusers' own class, with its strong preset."""
    from diffusers.pipelines.deprecated.stable_diffusion_safe import (
        SafetyConfig,
        StableDiffusionPipelineSafe,
    )

    safe = StableDiffusionPipelineSafe(**_parts(pipeline))
    safe.set_progress_bar_config(disable=True)
    return lambda: _denoise(safe, [PROMPT], steps, **SafetyConfig.STRONG)


def _sega(pipeline: Any, steps: int) -> Callable[[], object]:
    """Semantic guidance (SEGA), diffusers' own class, with one concept to turn away from."""
    from diffusers import SemanticStableDiffusionPipeline

    semantic = SemanticStableDiffusionPipeline(**_parts(pipeline))
    semantic.set_progress_bar_config(disable=True)
    return lambda: semantic(
        PROMPT,
        num_inference_steps=steps,
        guidance_scale=5.0,
        generator=torch.Generator().manual_seed(0),
        output_type="latent",
        editing_prompt=["a knife"],
        reverse_editing_direction=[True],
        edit_warmup_steps=0,
    )


def _sd15() -> Any:
    """The reference pipeline's parts around a UNet of Stable Diffusion 1.5's size."""
    from diffusers import AutoencoderKL, StableDiffusionPipeline

    small = load_pipeline()
    torch.manual_seed(0)
    large = {
        "vae": AutoencoderKL(
            block_out_channels=(32,) * 4,
            down_block_types=("DownEncoderBlock2D",) * 4,
            up_block_types=("UpDecoderBlock2D",) * 4,
        ),
        "text_encoder": build_text_encoder(small.tokenizer, width=768, layers=1, heads=12),
        "unet": UNet2DConditionModel(sample_size=64, cross_attention_dim=768).eval(),
    }
    pipeline = StableDiffusionPipeline(**_parts(small) | large)
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


if __name__ == "__main__":
    main()

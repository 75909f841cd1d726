"""What steering costs: whole denoising runs, as ratios to the same run without SafeGen.

    uv run python benchmarks/steering.py [--quick] [--json] [--model reference|sd15]

Every round runs every variant once, in turn, and divides by the round's own unhooked run, so a
machine that speeds up or slows down changes both. `sd15` is a UNet of Stable Diffusion 1.5's real
configuration with random weights (860 M parameters).
"""

import argparse
import json
import platform
import statistics
import time
import warnings
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from typing import Any

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
Run = Callable[[], object]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--quick", action="store_true", help="reference model, under a minute")
    parser.add_argument("--json", action="store_true", help="print JSON for machines")
    parser.add_argument("--model", choices=("reference", "sd15"), default="sd15")
    parser.add_argument("--rounds", type=int, help="rounds of all variants")
    options = parser.parse_args()
    model = "reference" if options.quick else options.model
    rounds = options.rounds or (7 if model == "reference" else 5)
    steps = 6 if model == "reference" else 1
    warnings.filterwarnings("ignore")
    device = "cuda" if torch.cuda.is_available() else "cpu"
    pipeline = load_pipeline() if model == "reference" else _sd15()
    pipeline.to(device)
    seconds = measure(_variants(pipeline, steps), rounds)
    report = summarise(seconds)
    report |= {
        "model": model,
        "rounds": rounds,
        "steps": steps,
        "unhooked_step_ms": round(1000 * statistics.median(seconds["no_plan baseline"]) / steps, 2),
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


def measure(variants: dict[str, tuple[Run, Run]], rounds: int) -> dict[str, list[float]]:
    """Seconds per variant and round; (run, its own baseline) are taken one after the other."""
    for run, _ in variants.values():
        run()
    seconds: dict[str, list[float]] = {name: [] for name in variants}
    seconds |= {f"{name} baseline": [] for name in variants}
    for _ in track(range(rounds), "measuring", console=Console(stderr=True), transient=True):
        for name, (run, baseline) in variants.items():
            for key, each in ((f"{name} baseline", baseline), (name, run)):
                started = time.perf_counter()
                each()
                if torch.cuda.is_available():
                    torch.cuda.synchronize()
                seconds[key].append(time.perf_counter() - started)
    return seconds


def summarise(seconds: dict[str, list[float]]) -> dict[str, Any]:
    """Median ratio and quartiles per variant."""
    ratios, spread = {}, {}
    for name in seconds:
        if name.endswith(" baseline"):
            continue
        each = [a / b for a, b in zip(seconds[name], seconds[f"{name} baseline"], strict=True)]
        ratios[name] = round(statistics.median(each), 4)
        low, _, high = statistics.quantiles(each, n=4)
        spread[name] = [round(low, 4), round(high, 4)]
    return {"ratios": ratios, "spread": spread}


def _variants(pipeline: Any, steps: int) -> dict[str, tuple[Run, Run]]:
    unet = pipeline.unet
    channels = unet.config.block_out_channels[-1]
    size = unet.config.sample_size // 2 ** (len(unet.config.block_out_channels) - 1)
    names = [f"concept{i}" for i in range(16)]
    vectors = {name: random_vector(name, {"mid_block": (channels, size, size)}) for name in names}

    def run(prompts: Sequence[str], samples: Sequence[Sequence[Intervention]] | None) -> Run:
        def steered() -> object:
            if samples is None:
                return _denoise(pipeline, prompts, steps)
            with Steering(unet, vectors) as steering:
                plan = steering.using(Plan.of(samples)) if samples else nullcontext()
                with plan:
                    return _denoise(pipeline, prompts, steps)

        return steered

    one = [PROMPT]
    some = [Intervention(concept=name, strength=0.01) for name in names]
    unlike = [[some[i]] if i else [] for i in range(8)]
    bare, bare8 = run(one, None), run([PROMPT] * 8, None)
    return {
        "no_plan": (run(one, []), bare),
        "concepts_1": (run(one, [some[:1]]), bare),
        "concepts_4": (run(one, [some[:4]]), bare),
        "concepts_16": (run(one, [some]), bare),
        "mixed_batch_8": (run([PROMPT] * 8, unlike), bare8),
        "negative_prompt": (
            lambda: _denoise(pipeline, one, steps, negative_prompt=["a knife"]),
            bare,
        ),
        "sld": (_sld(pipeline, steps), bare),
        "sega": (_sega(pipeline, steps), bare),
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


def _sld(pipeline: Any, steps: int) -> Run:
    """Safe Latent Diffusion, diffusers' own class, with its strong preset."""
    from diffusers.pipelines.deprecated.stable_diffusion_safe import (
        SafetyConfig,
        StableDiffusionPipelineSafe,
    )

    safe = StableDiffusionPipelineSafe(**_parts(pipeline))
    safe.set_progress_bar_config(disable=True)
    return lambda: _denoise(safe, [PROMPT], steps, **SafetyConfig.STRONG)


def _sega(pipeline: Any, steps: int) -> Run:
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

"""What the nodes cost in ComfyUI: seconds per step of its sampler, as ratios to the bare model.

    uv run python benchmarks/comfyui.py [--quick] [--json]

Needs ComfyUI (`python scripts/comfyui_tree.py`), in whose environment it runs itself anew. The UNet
is of Stable Diffusion 1.5's real configuration with random weights (860 M parameters), at 128x128
px: the smaller the images, the more the nodes weigh. With --quick it is the reference model's, at
64x64 px. Rounds run one step of the bare sampler and of the two others in turn. The ratios are of
the fastest runs, for what else a machine does can only add time; the spread is that of each run to
the bare ones before and after it, from the first quartile to the third.
"""

import argparse
import json
import os
import platform
import statistics
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
sys.path[:0] = [str(ROOT / "scripts")]

import comfyui_tree  # noqa: E402 - found through the line above

SITE = "mid_block"


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--quick", action="store_true", help="the reference model, under a minute")
    parser.add_argument("--json", action="store_true", help="print JSON for machines")
    parser.add_argument("--rounds", type=int, help="rounds of all variants")
    options = parser.parse_args()
    if not comfyui_tree.present():
        sys.exit("ComfyUI is missing: python scripts/comfyui_tree.py")
    if Path(sys.prefix).resolve() != comfyui_tree.PYTHON.parent.parent.resolve():
        os.execv(comfyui_tree.PYTHON, [str(comfyui_tree.PYTHON), *sys.argv])  # noqa: S606 - a tool of ours
    warnings.filterwarnings("ignore")
    sys.path[:0] = [str(comfyui_tree.TREE)]
    sys.argv[1:] = ["--cpu"]
    import comfy.options

    comfy.options.enable_args_parsing()
    rounds = options.rounds or (100 if options.quick else 20)
    report = measure(_variants(quick=options.quick), rounds)
    if options.json:
        print(json.dumps(report))
        return
    for name, value in report.items():
        print(f"{name:24} {value}")


def measure(variants: dict[str, Callable[[], Any]], rounds: int) -> dict[str, Any]:
    """Ratios of the fastest runs, and quartiles of those of neighbours."""
    for run in variants.values():
        run()
    bare = [_seconds(variants["bare"])]
    seconds: dict[str, list[float]] = {"attached": [], "steered": []}
    ratios: dict[str, list[float]] = {name: [] for name in seconds}
    for number in range(rounds):
        print(f"\rround {number + 1} of {rounds}", end="", file=sys.stderr, flush=True)
        for name, found in seconds.items():
            found.append(_seconds(variants[name]))
            bare.append(_seconds(variants["bare"]))
            ratios[name].append(2 * found[-1] / (bare[-2] + bare[-1]))
    print(file=sys.stderr)
    import torch

    quartiles = {name: statistics.quantiles(found, n=4) for name, found in ratios.items()}
    return {
        **{f"ratio_{name}": round(min(found) / min(bare), 4) for name, found in seconds.items()},
        **{f"spread_{n}": [round(q[0], 4), round(q[2], 4)] for n, q in quartiles.items()},
        "bare_step_ms": round(1000 * min(bare), 2),
        "rounds": rounds,
        "load": round(os.getloadavg()[0], 1),
        "machine": f"{platform.machine()}, {torch.get_num_threads()} threads, cpu",
        "torch": torch.__version__,
    }


def _seconds(run: Callable[[], Any]) -> float:
    started = time.perf_counter()
    run()
    return time.perf_counter() - started


def _variants(*, quick: bool) -> dict[str, Callable[[], Any]]:
    """Sampling with the bare model, with one that steers nothing now, and with one that does."""
    import comfy.utils
    import torch
    from nodes import common_ksampler

    from safegen.adapters.comfyui.reference import comfy_model
    from safegen.adapters.comfyui.steer import steer
    from safegen.nouns import Intervention
    from safegen.reference import load_pipeline
    from safegen.testing import random_vector

    comfy.utils.PROGRESS_BAR_ENABLED = False
    torch.manual_seed(0)
    unet: Any = load_pipeline().unet if quick else _sd15()
    model, side = comfy_model(unet), unet.config.sample_size
    vectors = {"calm": random_vector("calm", {SITE: (unet.config.block_out_channels[-1],)})}
    text = [[torch.randn(1, 77, unet.config.cross_attention_dim), {"pooled_output": None}]]
    latent = {"samples": torch.zeros(1, 4, side, side)}

    def sampler(*interventions: Intervention) -> Callable[[], Any]:
        steered = model
        if interventions:
            steered, _ = steer(model, vectors, [interventions], other_model=True)
        return lambda: common_ksampler(steered, 0, 1, 5.0, "euler", "normal", text, text, latent)

    return {
        "bare": sampler(),
        # The patches are in place, and there is nothing to add in the part that is sampled.
        "attached": sampler(Intervention(concept="calm", strength=0.0)),
        "steered": sampler(Intervention(concept="calm", strength=0.01)),
    }


def _sd15() -> Any:
    from diffusers import UNet2DConditionModel

    return UNet2DConditionModel(sample_size=16, cross_attention_dim=768).eval()


if __name__ == "__main__":
    main()

"""GPU memory that learning a vector takes at the size of Stable Diffusion 1.5, by arithmetic.

    uv run python benchmarks/discovery_memory.py [--json] [--rows N]

Nothing is computed: the UNet stands on torch's meta device, a learning step runs forward over as
many rows as are differentiated at once (a larger batch is learned from in pieces), and every tensor
that is kept for the backward pass is counted by its shape. Attention counts as the fused kernels of
GPUs keep it (queries, keys, values, output and one number for each query). Beside it stand the
weights of UNet, VAE and text encoder, and the three largest tensors of the forward pass at once,
which is more than any layer holds beside what is kept. What precedes the site is replayed from the
main memory and needs no gradient. `sampling` is a call of the UNet without gradients on as many
rows as the sampling of trajectories gives it. It takes seconds, so --quick changes nothing.
"""

import argparse
import json
from collections.abc import Callable
from typing import Any
from unittest import mock

import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from rich.console import Console
from rich.table import Table
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from transformers import CLIPTextConfig, CLIPTextModel

from safegen.concepts.discovery.learn import AT_ONCE
from safegen.concepts.discovery.trajectories import CHUNK
from safegen.steering.site import MID_BLOCK, changed

GIB = 2**30
LIMIT = 8.0


class Fused(torch.autograd.Function):
    """Attention as a fused kernel keeps it."""

    @staticmethod
    def forward(ctx: Any, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        """Of the right shape, without values."""
        out = query.new_empty(*query.shape[:-1], value.shape[-1])
        sums = query.new_empty(query.shape[:-1], dtype=torch.float32)
        ctx.save_for_backward(query, key, value, out, sums)
        return out


class Largest(TorchDispatchMode):
    """The sizes of all tensors that operations put out."""

    def __init__(self) -> None:
        super().__init__()
        self.sizes: list[int] = []

    def __torch_dispatch__(
        self, func: Callable[..., Any], types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        """Note the size, go on."""
        out = func(*args, **(kwargs or {}))
        if isinstance(out, Tensor):
            self.sizes.append(out.nbytes)
        return out


def main() -> None:
    """Count and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="the same")
    parser.add_argument("--json", action="store_true", help="print JSON for machines")
    parser.add_argument(
        "--rows",
        type=int,
        default=AT_ONCE // 64**2,
        help="of a batch that are learned from at once",
    )
    options = parser.parse_args()
    unet = stable_diffusion_unet()
    kept, largest = step(unet, options.rows)
    _, sampling = step(unet, 2 * CHUNK)
    others = [vae(), text_encoder()]
    report: dict[str, Any] = {"rows": options.rows, "limit_gib": LIMIT}
    for name, width in (("float32 weights", 4), ("float16 weights", 2)):
        weights = width * sum(count(each) for each in (unet, *others)) / GIB
        parts = {"weights": weights, "kept for the backward pass": kept, "largest three": largest}
        learning, drawing = sum(parts.values()), weights + sampling
        report[name] = {part: round(gib, 2) for part, gib in parts.items()} | {
            "learning": round(learning, 2),
            "sampling": round(drawing, 2),
            "fits": max(learning, drawing) < LIMIT,
        }
    if options.json:
        print(json.dumps(report))
        return
    rows = {name: row for name, row in report.items() if isinstance(row, dict)}
    table = Table("GiB", *next(iter(rows.values())))
    for name, row in rows.items():
        table.add_row(name, *map(str, row.values()))
    Console().print(table)


def step(unet: UNet2DConditionModel, rows: int) -> tuple[float, float]:
    """GiB that are kept for the backward pass of one step, and the three largest tensors."""
    own = {id(parameter) for parameter in unet.parameters()}
    kept: dict[int, Tensor] = {}

    def keep(tensor: Tensor) -> Tensor:
        whole = tensor if tensor._base is None else tensor._base  # noqa: SLF001 - torch has no other
        if id(whole) not in own:
            kept[id(whole)] = whole
        return tensor

    def learned(_: str, hidden: Tensor) -> Tensor:
        return hidden + torch.zeros(hidden.shape[1:], device="meta", requires_grad=True).bfloat16()

    def fused(query: Tensor, key: Tensor, value: Tensor, *_: Any, **__: Any) -> Tensor:
        out: Tensor = Fused.apply(query, key, value)
        return out

    given = {"device": "meta", "dtype": torch.bfloat16}
    side = unet.config.sample_size
    attention = "torch.nn.functional.scaled_dot_product_attention"
    with (
        mock.patch(attention, fused),
        torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor),
        changed(unet, [MID_BLOCK], learned),
        Largest() as seen,
    ):
        unet(
            torch.empty(rows, 4, side, side, **given),
            torch.empty(rows, device="meta"),
            torch.empty(rows, 77, unet.config.cross_attention_dim, **given),
        )
    return sum(each.nbytes for each in kept.values()) / GIB, sum(sorted(seen.sizes)[-3:]) / GIB


def stable_diffusion_unet() -> UNet2DConditionModel:
    """The UNet of Stable Diffusion 1.x, without values, as mixed precision runs it."""
    with torch.device("meta"):
        unet = UNet2DConditionModel(
            sample_size=64, cross_attention_dim=768, block_out_channels=(320, 640, 1280, 1280)
        )
    return unet.to(torch.bfloat16).requires_grad_(False).eval()


def vae() -> AutoencoderKL:
    """Its autoencoder."""
    with torch.device("meta"):
        return AutoencoderKL(
            down_block_types=("DownEncoderBlock2D",) * 4,
            up_block_types=("UpDecoderBlock2D",) * 4,
            block_out_channels=(128, 256, 512, 512),
            layers_per_block=2,
            latent_channels=4,
        )


def text_encoder() -> CLIPTextModel:
    """Its text encoder, CLIP ViT-L/14's."""
    with torch.device("meta"):
        return CLIPTextModel(
            CLIPTextConfig(
                hidden_size=768,
                intermediate_size=3072,
                num_hidden_layers=12,
                num_attention_heads=12,
            )
        )


def count(module: torch.nn.Module) -> int:
    """Its parameters."""
    return sum(parameter.numel() for parameter in module.parameters())


if __name__ == "__main__":
    main()

"""Train the reference model's autoencoder: 64x64 px images to 4x16x16 latents."""

import json
import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from diffusers import AutoencoderKL
from torch import Tensor
from torch.nn import functional

from safegen.files import write_file
from safegen.reference.render import SIZE, render_array, subjects
from safegen.reference.world import sample_scene

_BATCH, _CROP = 8, 32
QUALITY = "quality.json"
"""The file beside the finished autoencoder: how good it is, and what it was trained with."""


def build_autoencoder() -> AutoencoderKL:
    """A small Stable Diffusion autoencoder: 4 latent channels, factor 4 instead of 8."""
    return AutoencoderKL(
        down_block_types=("DownEncoderBlock2D",) * 3,
        up_block_types=("UpDecoderBlock2D",) * 3,
        block_out_channels=(16, 32, 64),
        layers_per_block=1,
        latent_channels=4,
        norm_num_groups=8,
        sample_size=SIZE,
        mid_block_add_attention=False,
    )


def render_batch(rng: np.random.Generator, count: int) -> Tensor:
    """Fresh scenes as float32 of shape [count, 3, 64, 64] in [-1, 1]."""
    names = subjects()
    scenes = (sample_scene(rng, names, people=0.5) for _ in range(count))
    return to_tensor(np.stack([render_array(scene, rng) for scene in scenes]))


def to_tensor(pixels: np.ndarray) -> Tensor:
    """uint8 [B, 64, 64, 3] to float32 [B, 3, 64, 64] in [-1, 1]."""
    return torch.from_numpy(pixels).permute(0, 3, 1, 2).float().div_(127.5).sub_(1)


def train_autoencoder(
    folder: Path, steps: int, seed: int, progress: Callable[[int, str], None]
) -> AutoencoderKL:
    """Train for `steps` and write the model into `folder`.

    Small batches of random crops (whole images in the last fifth), 2·MSE + 0.3·L1 + 5e-5·KL,
    AdamW with cosine decay: what was found to be fastest on two CPU cores. `progress` gets the
    steps done and a line on the loss.
    """
    torch.manual_seed(seed)
    rng = np.random.default_rng([seed, 1])
    model = build_autoencoder()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1.5e-3, weight_decay=1e-4)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: 0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * step / steps))
    )
    for step in range(steps):
        images = render_batch(rng, _BATCH)
        if step < 0.8 * steps:
            y, x = rng.integers(0, SIZE - _CROP + 1, 2)
            images = images[:, :, y : y + _CROP, x : x + _CROP]
        posterior = model.encode(images).latent_dist
        decoded = model.decode(posterior.sample()).sample
        error = 2 * functional.mse_loss(decoded, images) + 0.3 * functional.l1_loss(decoded, images)
        kl = posterior.kl().mean() / posterior.mean[0].numel()
        optimizer.zero_grad()
        (error + 5e-5 * kl).backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        progress(step + 1, f"loss {error.item():.4f}")
    model.eval()
    with torch.no_grad():
        latents = model.encode(render_batch(rng, 256)).latent_dist.mean
    model.register_to_config(scaling_factor=round(1 / latents.std().item(), 4))
    model.save_pretrained(folder)
    told = {"psnr_db": round(reconstruction_psnr(model), 2), "seed": seed, "steps": steps}
    write_file(folder / QUALITY, json.dumps(told).encode() + b"\n")
    return model


@torch.no_grad()
def reconstruction_psnr(model: AutoencoderKL) -> float:
    """Peak signal-to-noise ratio in dB of fresh renders through the autoencoder."""
    images = render_batch(np.random.default_rng(10_000), 256)
    decoded = model.decode(model.encode(images).latent_dist.mean).sample.clamp(-1, 1)
    mse = functional.mse_loss(decoded, images).item() / 4  # images span 2, PSNR is for a span of 1
    return -10 * math.log10(mse)

"""Train the whole reference model and write it as a diffusers pipeline."""

import json
from collections.abc import Callable
from pathlib import Path

import torch
from diffusers import AutoencoderKL, DPMSolverMultistepScheduler, StableDiffusionPipeline

from safegen.errors import OutputError
from safegen.reference.autoencoder import QUALITY, train_autoencoder
from safegen.reference.diffusion import NOISE, DiffusionTrainer
from safegen.shipped import write_card

AUTOENCODER_STEPS = 7200
ROUNDS = 150

Progress = Callable[[str, int, int, str], None]
"""Called with (stage, steps done, steps in all, a line on the loss)."""


def train(
    checkpoints: Path,
    out: Path,
    seed: int,
    progress: Progress,
    autoencoder_steps: int,
    rounds: int,
) -> None:
    """Train autoencoder, text encoder and UNet; go on from `checkpoints` where they exist.

    Args:
        checkpoints: folder for the state of the training, read and written.
        out: folder for the finished pipeline (fp16 safetensors).
        seed: decides initial weights and data.
        progress: told of every step.
        autoencoder_steps: optimiser steps of the autoencoder.
        rounds: rounds of 4096 images for UNet and text encoder.

    Raises:
        OutputError: a folder cannot be written, or the checkpoints are of another seed, or of
            steps or rounds that cannot be gone on from.
    """
    try:
        checkpoints.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(
            f"cannot write checkpoints to {checkpoints}: {error.strerror}",
            "choose a folder you can write to",
        ) from error
    folder = checkpoints / "autoencoder"
    if (folder / QUALITY).exists():
        _demand_same(folder / QUALITY, seed, autoencoder_steps)
    else:
        train_autoencoder(
            folder,
            autoencoder_steps,
            seed,
            lambda done, line: progress("autoencoder", done, autoencoder_steps, line),
        )
    vae = AutoencoderKL.from_pretrained(folder)
    trainer = DiffusionTrainer(vae, checkpoints, seed)
    trainer.run(rounds, lambda done, line: progress("diffusion", done, rounds, line))
    export(trainer, vae, out)


def _demand_same(made: Path, seed: int, steps: int) -> None:
    told = json.loads(made.read_text())
    if (told["seed"], told["steps"]) != (seed, steps):
        raise OutputError(
            f"the autoencoder in {made.parent} is of the seed {told['seed']} and {told['steps']} "
            f"steps, not of {seed} and {steps}",
            "give another --checkpoints, or its --seed and --autoencoder-steps",
        )


def export(trainer: DiffusionTrainer, vae: AutoencoderKL, out: Path) -> None:
    """Write the averaged weights as a `StableDiffusionPipeline` in fp16."""
    unet, text_encoder, tokenizer = trainer.export()
    pipeline = StableDiffusionPipeline(
        vae=vae,
        text_encoder=text_encoder,
        tokenizer=tokenizer,
        unet=unet,
        scheduler=DPMSolverMultistepScheduler(**NOISE, steps_offset=1),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )
    pipeline.to(dtype=torch.float16)
    pipeline.save_pretrained(out)
    what = "the reference model, a StableDiffusionPipeline of diffusers"
    write_card(out, {"what": what, "licence": "Apache-2.0"})

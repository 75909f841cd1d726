"""Train the reference model's UNet and text encoder, with checkpoints, so that it can go on.

Training is cut into rounds: a pool of fresh scenes is drawn, encoded and shuffled through
`_PASSES` times with new noise. Everything random in a round comes from (seed, round), so a run
that is interrupted and resumed is the run that was not, up to the last round.
"""

import io
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from diffusers import AutoencoderKL, DDPMScheduler, UNet2DConditionModel
from diffusers.training_utils import EMAModel
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

from safegen.errors import OutputError
from safegen.files import write_file
from safegen.reference.autoencoder import to_tensor
from safegen.reference.render import render_array, subjects
from safegen.reference.tokenizer import MAX_TOKENS, build_tokenizer
from safegen.reference.world import sample_scene

_BATCH, _POOL, _PASSES = 64, 2048, 2
_LEARNING_RATE, _WARMUP = 5e-4, 500
_EMPTY_CAPTIONS = 0.1
_PEOPLE = 0.65
_SNR_GAMMA = 5.0
STEPS_PER_ROUND = _POOL * _PASSES // _BATCH
NOISE = {
    "beta_start": 0.00085,
    "beta_end": 0.012,
    "beta_schedule": "scaled_linear",
    "num_train_timesteps": 1000,
}


def build_unet() -> UNet2DConditionModel:
    """Stable Diffusion's UNet, small: cross-attention at 8x8, 4x4 and in the mid block."""
    return UNet2DConditionModel(
        sample_size=16,
        in_channels=4,
        out_channels=4,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
        block_out_channels=(64, 128, 256),
        layers_per_block=1,
        attention_head_dim=8,
        cross_attention_dim=192,
    )


def build_text_encoder(
    tokenizer: CLIPTokenizer, width: int = 192, layers: int = 3, heads: int = 6
) -> CLIPTextModel:
    """A CLIP text encoder for the reference tokenizer."""
    return CLIPTextModel(
        CLIPTextConfig(
            vocab_size=len(tokenizer),
            hidden_size=width,
            intermediate_size=4 * width,
            num_hidden_layers=layers,
            num_attention_heads=heads,
            max_position_embeddings=MAX_TOKENS,
            projection_dim=width,
            bos_token_id=tokenizer.bos_token_id,
            eos_token_id=tokenizer.eos_token_id,
            pad_token_id=tokenizer.pad_token_id,
        )
    )


def min_snr_weights(scheduler: DDPMScheduler) -> Tensor:
    """Loss weight per timestep for ε-prediction, shape [1000] (Hang et al. 2023, Min-SNR-γ)."""
    alphas: Tensor = scheduler.alphas_cumprod
    snr = alphas / (1 - alphas)
    return snr.clamp(max=_SNR_GAMMA) / snr


@dataclass
class _Pool:
    latents: Tensor  # [N, 4, 16, 16], scaled
    tokens: Tensor  # [N, MAX_TOKENS]


class DiffusionTrainer:
    """Holds everything that a checkpoint saves; `run` trains up to `rounds` rounds in all."""

    def __init__(self, vae: AutoencoderKL, folder: Path, seed: int) -> None:
        """Start anew in `folder`, or go on from its checkpoint if there is one.

        Raises:
            OutputError: the checkpoint is of another seed.
        """
        torch.manual_seed(seed)
        self.vae = vae.requires_grad_(False).eval()
        self.folder = folder
        self.seed = seed
        self.tokenizer = build_tokenizer()
        self.unet = build_unet()
        self.text_encoder = build_text_encoder(self.tokenizer)
        self.scheduler = DDPMScheduler(**NOISE)
        self.weights = min_snr_weights(self.scheduler)
        self.parameters = [*self.unet.parameters(), *self.text_encoder.parameters()]
        self.optimizer = torch.optim.AdamW(
            self.parameters, lr=_LEARNING_RATE, betas=(0.9, 0.99), weight_decay=1e-3, fused=True
        )
        self.ema = EMAModel(self.parameters, decay=0.9995, use_ema_warmup=True, power=0.75)
        self.round = self._rounds = 0
        if self._checkpoint.exists():
            self._resume()

    @property
    def _checkpoint(self) -> Path:
        return self.folder / "diffusion.pt"

    def run(self, rounds: int, progress: Callable[[int, str], None]) -> None:
        """Train until `rounds` rounds are done; a checkpoint follows each.

        The learning rate is constant and falls to zero over the last quarter, so a longer run
        can take over any checkpoint made before its own last quarter.

        Raises:
            OutputError: the checkpoint there is was made for other rounds, in the last quarter of
                them or of these, or cannot be written.
        """
        if self.round and rounds != self._rounds and 4 * self.round > 3 * min(rounds, self._rounds):
            raise OutputError(
                f"{self._checkpoint} is of {self.round} rounds of {self._rounds}, from which "
                f"{rounds} rounds cannot go on: the learning rate falls in their last quarter",
                f"give another --checkpoints, or --rounds {self._rounds}",
            )
        self._rounds = rounds
        while self.round < rounds:
            started = time.monotonic()
            loss = self._train_round(rounds)
            self.round += 1
            self._save()
            rate = STEPS_PER_ROUND * _BATCH / (time.monotonic() - started)
            progress(self.round, f"loss {loss:.4f}, {rate:.0f} images/s")

    def export(self) -> tuple[UNet2DConditionModel, CLIPTextModel, CLIPTokenizer]:
        """The averaged (EMA) models, in evaluation mode."""
        self.ema.store(self.parameters)
        self.ema.copy_to(self.parameters)
        unet, text_encoder = build_unet(), build_text_encoder(self.tokenizer)
        unet.load_state_dict(self.unet.state_dict())
        text_encoder.load_state_dict(self.text_encoder.state_dict())
        self.ema.restore(self.parameters)
        return unet.eval(), text_encoder.eval(), self.tokenizer

    def _train_round(self, rounds: int) -> float:
        rng = np.random.default_rng([self.seed, 2, self.round])
        generator = torch.Generator().manual_seed(self.seed * 1_000_003 + self.round)
        pool = self._render_pool(rng)
        losses = []
        for i, batch in enumerate(_batches(_POOL, generator)):
            step = self.round * STEPS_PER_ROUND + i
            for group in self.optimizer.param_groups:
                group["lr"] = _LEARNING_RATE * _rate(step, rounds * STEPS_PER_ROUND)
            losses.append(self._train_step(pool.latents[batch], pool.tokens[batch], generator))
        return sum(losses) / len(losses)

    @torch.no_grad()
    def _render_pool(self, rng: np.random.Generator) -> _Pool:
        names = subjects()
        scenes = [sample_scene(rng, names, _PEOPLE) for _ in range(_POOL)]
        latents = []
        for start in range(0, _POOL, 64):
            pixels = np.stack([render_array(scene, rng) for scene in scenes[start : start + 64]])
            latents.append(self.vae.encode(to_tensor(pixels)).latent_dist.mean)
        keep = rng.random(_POOL) >= _EMPTY_CAPTIONS
        captions = [scene.caption if k else "" for scene, k in zip(scenes, keep, strict=True)]
        return _Pool(
            torch.cat(latents) * self.vae.config.scaling_factor, tokenize(self.tokenizer, captions)
        )

    def _train_step(self, latents: Tensor, tokens: Tensor, generator: torch.Generator) -> float:
        noise = torch.randn(latents.shape, generator=generator)
        timesteps = torch.randint(0, 1000, (len(latents),), generator=generator)
        noisy = self.scheduler.add_noise(latents, noise, timesteps)
        # Half as long again in float32 on a CPU with AVX-512 BF16; the master weights stay float32.
        # Plain attention: for heads this small, the fused one's backward takes ten times as long.
        with (
            torch.autocast(latents.device.type, torch.bfloat16),
            sdpa_kernel(SDPBackend.MATH),
        ):
            text = self.text_encoder(tokens)[0]
            predicted = self.unet(noisy, timesteps, text).sample
        error: Tensor = (predicted.float() - noise).square().mean((1, 2, 3))
        self.optimizer.zero_grad()
        (error * self.weights[timesteps]).mean().backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(self.parameters, 1.0)
        self.optimizer.step()
        self.ema.step(self.parameters)
        return error.mean().item()

    def _save(self) -> None:
        state = {
            "round": self.round,
            "seed": self.seed,
            "rounds": self._rounds,
            "unet": self.unet.state_dict(),
            "text_encoder": self.text_encoder.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "ema": self.ema.state_dict(),
        }
        data = io.BytesIO()  # torch's own writer makes a RuntimeError of a full disk
        torch.save(state, data)
        write_file(self._checkpoint, data.getvalue())

    def _resume(self) -> None:
        state = torch.load(self._checkpoint, weights_only=True)
        if state["seed"] != self.seed:
            raise OutputError(
                f"{self._checkpoint} is of the seed {state['seed']}, not of {self.seed}",
                f"give another --checkpoints, or --seed {state['seed']}",
            )
        self.unet.load_state_dict(state["unet"])
        self.text_encoder.load_state_dict(state["text_encoder"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.ema.load_state_dict(state["ema"])
        self.round, self._rounds = state["round"], state["rounds"]


def tokenize(tokenizer: CLIPTokenizer, captions: list[str]) -> Tensor:
    """Token ids of shape [B, MAX_TOKENS], padded as the pipeline pads them."""
    encoded = tokenizer(captions, padding="max_length", truncation=True, return_tensors="pt")
    ids: Tensor = encoded.input_ids
    return ids


def _batches(count: int, generator: torch.Generator) -> Iterator[Tensor]:
    for _ in range(_PASSES):
        yield from torch.split(torch.randperm(count, generator=generator), _BATCH)


def _rate(step: int, steps: int) -> float:
    cool_down = min(1.0, (steps - step) / (steps / 4))
    return min(1.0, (step + 1) / _WARMUP) * (0.5 - 0.5 * math.cos(math.pi * cool_down))

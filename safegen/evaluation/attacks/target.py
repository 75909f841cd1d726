"""What white-box attacks work on: the model with a plan in force, differentiable in its text."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from safegen.adapters.diffusers import DiffusersAdapter
from safegen.concepts.discovery.noising import noised
from safegen.nouns import Intervention
from safegen.steering.layout import UNGUIDED
from safegen.steering.plan import NORM_CAP, Plan

Steer = Sequence[Intervention]


class Target:
    """A pipeline of the Stable Diffusion kind, steered or not, with gradients for its text."""

    def __init__(
        self,
        pipeline: Any,
        adapter: DiffusersAdapter | None,
        norm_cap: float | None = NORM_CAP,
    ) -> None:
        """Attack `pipeline` through `adapter` (None: the bare model), which plans with this cap."""
        self.pipeline, self._adapter, self._norm_cap = pipeline, adapter, norm_cap
        for part in (pipeline.unet, pipeline.text_encoder, pipeline.vae):
            part.requires_grad_(False)
        self.words: Tensor = pipeline.text_encoder.get_input_embeddings().weight

    def ids(self, prompt: str) -> Tensor:
        """Token ids [1, L], padded as at inference."""
        tokenizer = self.pipeline.tokenizer
        found: Tensor = tokenizer(
            prompt,
            padding="max_length",
            max_length=tokenizer.model_max_length,
            truncation=True,
            return_tensors="pt",
        ).input_ids.to(self.pipeline.device)
        return found

    def text(self, ids: Tensor, replaced: Tensor | None = None, at: int = 1) -> Tensor:
        """Text embeddings [1, L, D]; the token embeddings from place `at` on may be `replaced`."""

        def swap(_: nn.Module, __: Any, output: Tensor) -> Tensor:
            if replaced is None:
                return output
            return torch.cat([output[:, :at], replaced[None], output[:, at + len(replaced) :]], 1)

        handle = self.pipeline.text_encoder.get_input_embeddings().register_forward_hook(swap)
        try:
            embedded: Tensor = self.pipeline.text_encoder(ids)[0]
            return embedded
        finally:
            handle.remove()

    def noise(self, latents: Tensor, timestep: Tensor, text: Tensor, steer: Steer) -> Tensor:
        """What the conditional pass predicts, ε or the velocity: [B, 4, h, w].

        It is steered by `steer` where there is an adapter.
        """
        rows = text.expand(len(latents), -1, -1)
        with self._steered(steer, len(latents)):
            predicted: Tensor = self.pipeline.unet(latents, timestep, rows).sample
        return predicted

    @contextmanager
    def _steered(self, steer: Steer, rows: int) -> Iterator[None]:
        if self._adapter is None or not steer:
            yield
            return
        plan = Plan.of([steer] * rows, norm_cap=self._norm_cap)
        # One call is no whole denoising: at most timesteps some window is shut.
        with self._adapter.steering.using(plan, UNGUIDED, whole=False):
            yield

    @torch.no_grad()
    def encode(self, image: Tensor) -> Tensor:
        """Clean latents of images [B, 3, H, W] in [-1, 1]."""
        latents: Tensor = self.pipeline.vae.encode(image).latent_dist.mean
        return latents * float(self.pipeline.vae.config.scaling_factor)

    def noised(self, clean: Tensor, noise: Tensor, timesteps: Tensor) -> tuple[Tensor, Tensor]:
        """Clean latents [B, 4, h, w] with noise, and what the model was trained to predict."""
        return noised(self.pipeline.scheduler.config, clean, noise, timesteps)

    def decode(self, ids: Sequence[int]) -> str:
        """The prompt in words."""
        told: str = self.pipeline.tokenizer.decode(list(ids), skip_special_tokens=True)
        return told.strip()

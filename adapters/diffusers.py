"""Adapter for diffusers pipelines with a UNet: Stable Diffusion 1.x and kin."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from diffusers import DiffusionPipeline, UNet2DConditionModel
from PIL import Image

from safegen.concepts.digest import model_digest
from safegen.concepts.vector import ConceptVector, Passport
from safegen.errors import ConceptError, SteeringError, UnknownModelError
from safegen.nouns import Intervention
from safegen.steering.hook import GUIDED, UNGUIDED, Steering
from safegen.steering.plan import Plan


def load_pipeline(name: str) -> DiffusionPipeline:
    """Load a pipeline from a folder or a model hub.

    Raises:
        UnknownModelError: there is no such model, or it cannot be read.
    """
    try:
        return DiffusionPipeline.from_pretrained(name)
    except (OSError, ValueError) as error:
        first_line = str(error).strip().splitlines()[0]
        raise UnknownModelError(
            f"cannot load the model {name!r}: {first_line}",
            "give a folder written by save_pretrained, or a hub name you can reach",
        ) from error


@dataclass(frozen=True)
class Sampler:
    """Settings of the denoising loop that decide, with the seed, what an image looks like."""

    steps: int = 25
    guidance_scale: float = 5.0

    def as_record(self) -> dict[str, str | int | float]:
        """For the ledger."""
        return {"steps": self.steps, "guidance_scale": self.guidance_scale}


class DiffusersAdapter:
    """Steers one pipeline. Attach before `torch.compile`; `detach` leaves it as it was."""

    def __init__(
        self,
        pipeline: DiffusionPipeline,
        vectors: Mapping[str, ConceptVector],
        *,
        other_model: bool = False,
    ) -> None:
        """Attach to `pipeline` at every site that `vectors` need, and prove that it works.

        Args:
            pipeline: anything with a diffusers UNet and a noise schedule.
            vectors: all concepts that will ever be asked for, by name.
            other_model: accept vectors that were learned on other weights.

        Raises:
            UnknownModelError: the pipeline has no UNet to steer.
            ConceptError: a vector was made for another model.
            SteeringError: the self-test found that steering does not take effect.
        """
        unet = getattr(pipeline, "unet", None)
        if not isinstance(unet, UNet2DConditionModel):
            raise UnknownModelError(
                f"{type(pipeline).__name__} has no diffusers UNet to steer",
                "use a Stable Diffusion pipeline; other models: see docs/adapters.md",
            )
        self.digest = model_digest(unet)
        if not other_model:
            for vector in vectors.values():
                _demand_model(vector.passport, self.digest)
        self.pipeline: Any = pipeline
        self.vectors = vectors
        sites = sorted({site for vector in vectors.values() for site in vector.arrays})
        timesteps = int(self.pipeline.scheduler.config.num_train_timesteps)
        self.steering = Steering(unet, sites, timesteps)
        try:
            self._self_test(unet)
        except BaseException:
            self.detach()
            raise

    def detach(self) -> None:
        """Remove every hook."""
        self.steering.detach()

    def generate(
        self,
        prompts: Sequence[str],
        seeds: Sequence[int],
        interventions: Sequence[Sequence[Intervention]],
        sampler: Sampler,
        negative_prompts: Sequence[str] | None = None,
    ) -> list[Image.Image]:
        """Generate one batch, one image per prompt, each from its own seed.

        A sample without interventions and negative prompt comes out exactly as the bare pipeline
        makes it in the same batch.

        Raises:
            SteeringError: the plan asked for an addition that did not happen.
        """
        generators = [torch.Generator().manual_seed(seed) for seed in seeds]
        guided = sampler.guidance_scale > 1
        plan = Plan.of(interventions, self.vectors)
        with self.steering.using(plan, GUIDED if guided else UNGUIDED):
            output = self.pipeline(
                list(prompts),
                negative_prompt=list(negative_prompts) if negative_prompts and guided else None,
                num_inference_steps=sampler.steps,
                guidance_scale=sampler.guidance_scale,
                generator=generators,
            )
        return list(output.images)

    @torch.no_grad()
    def _self_test(self, unet: UNet2DConditionModel) -> None:
        """One call of the UNet with and without each site's addition.

        Raises:
            SteeringError: the addition does not change what is conditional, or changes what is not.
        """
        if not self.vectors:
            return
        size = unet.config.sample_size
        generator = torch.Generator().manual_seed(0)
        shape = (1, unet.config.in_channels, size, size)
        noise = torch.randn(shape, generator=generator).to(unet.device, unet.dtype)
        width = unet.config.cross_attention_dim
        text = torch.randn(1, 4, width, generator=generator).to(unet.device, unet.dtype)
        extra = _extra_conditions(unet)

        def call(plan: Plan) -> tuple[torch.Tensor, torch.Tensor]:
            with self.steering.using(plan, GUIDED):
                out = unet(
                    torch.cat([noise] * 2), 500, torch.cat([text] * 2), added_cond_kwargs=extra
                ).sample
            return out[0], out[1]

        for concept in self.vectors:
            steered = Plan.of([[Intervention(concept=concept)]], self.vectors)
            bare_uncond, bare = call(Plan.of([[]], self.vectors))
            uncond, cond = call(steered)
            if not torch.equal(uncond, bare_uncond) or torch.equal(cond, bare):
                raise SteeringError(
                    f"self-test: concept {concept!r} does not change the conditional rows alone",
                    "attach before torch.compile and without other code on the same modules",
                )


def _demand_model(passport: Passport, digest: str) -> None:
    if passport.model_digest != digest:
        raise ConceptError(
            f"concept {passport.concept!r} was learned on the model {passport.model_digest[:19]}…, "
            f"this one is {digest[:19]}…",
            "learn it on this model (safegen vectors discover), or pass other_model=True and "
            "measure the effect yourself",
        )


def _extra_conditions(unet: UNet2DConditionModel) -> dict[str, torch.Tensor] | None:
    """What SDXL's UNet wants beside the text."""
    if unet.config.addition_embed_type != "text_time":
        return None
    pooled = unet.config.projection_class_embeddings_input_dim
    pooled -= 6 * unet.config.addition_time_embed_dim
    made = {"device": unet.device, "dtype": unet.dtype}
    return {
        "text_embeds": torch.zeros(2, pooled, **made),
        "time_ids": torch.zeros(2, 6, **made),
    }

"""The images of a graph through the guard: inspect, climb the ladder, record."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import torch
from PIL import Image, ImageDraw
from safegen.adapters.comfyui.request import Assessed
from safegen.adapters.comfyui.steer import steer
from safegen.adapters.diffusers import Sampler
from torch import Tensor

from safegen.concepts.vector import ConceptVector
from safegen.errors import InputError, SafeGenError, SteeringError
from safegen.guard import Guard, GuardedPipeline, Result
from safegen.nouns import Context, Decision, Intervention, Outcome, Scores
from safegen.policy import Policy

_PLACEHOLDER = (512, 512)


@dataclass(frozen=True)
class Again:
    """How the graph makes its images, so that a flagged one can be made anew."""

    model: Any
    positive: Any
    negative: Any
    latent: Mapping[str, Any]
    vae: Any
    steps: int
    cfg: float
    sampler_name: str
    scheduler: str
    denoise: float

    def make(
        self,
        assessed: Assessed,
        seeds: Sequence[int],
        interventions: Sequence[Sequence[Intervention]],
    ) -> list[Tensor]:
        """One image [H, W, 3] per seed.

        Raises:
            SteeringError: the additions did not happen, or the latents are not alike: ComfyUI does
                not say which of them an image came from.
        """
        from nodes import common_ksampler

        latents = self.latent["samples"]
        if not torch.equal(latents, latents[:1].expand_as(latents)):
            raise SteeringError(
                "a flagged image can be made anew only where all latents are alike",
                "leave Regenerate out, or queue one image at a time",
            )
        latent = {**self.latent, "samples": latents[:1]}
        made = []
        for seed, steers in zip(seeds, interventions, strict=True):
            model = self.model
            if steers:
                # `other_model` was asked for, or not needed, when Steer Model ran.
                model, _ = steer(model, assessed.vectors or {}, [steers], other_model=True)
            (sampled,) = common_ksampler(
                model,
                seed,
                self.steps,
                self.cfg,
                self.sampler_name,
                self.scheduler,
                self.positive,
                self.negative,
                latent,
                denoise=self.denoise,
            )
            made.append(self.vae.decode(sampled["samples"])[0])
        return made


@dataclass(frozen=True)
class GraphSampler(Sampler):
    """What is known of a graph's sampler: all that Regenerate says, or just whose it was."""

    again: Again | None = None

    def as_record(self) -> dict[str, str | int | float]:
        """For the ledger."""
        known: dict[str, str | int | float] = {"engine": "ComfyUI"}
        if self.again is not None:
            known |= {"steps": self.again.steps, "guidance_scale": self.again.cfg}
            known |= {"sampler": self.again.sampler_name, "scheduler": self.again.scheduler}
        return known


class GraphAdapter:
    """Gives the guard the images that the graph has made, and makes flagged ones anew."""

    def __init__(self, assessed: Assessed, images: Tensor | None, again: Again | None) -> None:
        """Serve `images` [B, H, W, 3] first, if there are any."""
        self.digest = assessed.model_digest
        self.vectors: Mapping[str, ConceptVector] = assessed.vectors or {}
        self.unavailable = _unavailable(assessed)
        self.tensors: dict[int, Tensor] = {}
        """By the id of each image given, what it was made from."""
        self._assessed, self._made, self._again = assessed, images, again

    def detach(self) -> None:
        """Nothing was attached."""

    def generate(
        self,
        prompts: Sequence[str],
        seeds: Sequence[int],
        interventions: Sequence[Sequence[Intervention]],
        sampler: Sampler,
        negative_prompts: Sequence[str] | None = None,
    ) -> list[Image.Image]:
        """The graph's own images at the first call, others afterwards.

        Raises:
            SteeringError: see `Again.make`.
            InputError: the graph made another number of images.
        """
        made: Sequence[Tensor] | None = self._made
        self._made = None
        if made is None:
            if self._again is None:  # the ladder has no such rung then
                raise SteeringError("the images of the graph were not given", "queue it again")
            made = self._again.make(self._assessed, seeds, interventions)
        if len(made) != len(seeds):
            raise InputError(
                f"the graph made {len(made)} images, the decision is for {len(seeds)}",
                "set images in Guard Prompt to the batch size of the latents",
            )
        images = [to_image(each) for each in made]
        self.tensors |= {id(image): each for image, each in zip(images, made, strict=True)}
        return images


class _Decided:
    """Stands in for the policy with what it decided when Guard Prompt ran.

    Images are judged under the decision that they were made under, and classifiers run once.
    Without a way to make images anew, the ladder is the policy's without those rungs.
    """

    def __init__(self, assessed: Assessed, *, again: bool) -> None:
        self._policy, self._scores = assessed.loaded.policy, assessed.scores
        ladder = tuple(r for r in assessed.decision.ladder if again or r.action != "regenerate")
        self._decision = assessed.decision.model_copy(update={"ladder": ladder})

    def assess(self, prompt: str, context: Context) -> tuple[Scores, Decision]:
        return self._scores, self._decision

    def __getattr__(self, name: str) -> Any:
        return getattr(self._policy, name)


def audit(assessed: Assessed, images: Tensor | None, again: Again | None) -> tuple[Tensor, Result]:
    """Images [B, H, W, 3] after the ladder, placeholders where one is withheld, and the record.

    An image that nothing was done to is the very tensor that came in.

    Raises:
        SafeGenError: a stage failed; it is on record, and no image comes out.
    """
    policy = cast("Policy", _Decided(assessed, again=again is not None))
    loaded = assessed.loaded
    guard = Guard(policy, assessed.vectors or {}, loaded.detectors, loaded.ledger)
    adapter = GraphAdapter(assessed, images, again)
    result = GuardedPipeline(guard, adapter).generate(
        assessed.prompt,
        images=assessed.context.images,
        seed=assessed.context.seed,
        context=assessed.context,
        sampler=GraphSampler(again=again),
    )
    if result.outcome == Outcome.ERROR:
        raise SafeGenError(
            f"no image comes out: {result.error}",
            f"it is record {result.record_id} of the ledger" if result.record_id else None,
        )
    size = _PLACEHOLDER if images is None else (images.shape[2], images.shape[1])
    rows = []
    for each in result.images:
        shown = each.image or placeholder(f"{each.outcome}\n{each.reason}", size)
        rows.append(adapter.tensors.get(id(shown), to_tensor(shown)))
    return torch.stack([row.to(rows[0].device) for row in rows]), result


def _unavailable(assessed: Assessed) -> str:
    """Why the images cannot have been steered although the decision asks for it."""
    if not any(assessed.decision.interventions):
        return ""
    if assessed.steering is None:
        return "Steer Model is not between the model and the sampler of these images"
    if not assessed.steering.runs:
        return "no sampler ran with the MODEL that Steer Model put out"
    return ""


def to_image(tensor: Tensor) -> Image.Image:
    """A row [H, W, 3] of an IMAGE, in the eight bits that ComfyUI's own nodes save."""
    pixels = (255.0 * tensor.detach().cpu().numpy()).clip(0, 255).astype(np.uint8)
    return Image.fromarray(pixels).convert("RGB")


def to_tensor(image: Image.Image) -> Tensor:
    """A row [H, W, 3] of an IMAGE; its eight bits come back from `to_image` as they are."""
    # Half a step up, because what saves an IMAGE cuts off and does not round.
    pixels = (np.asarray(image.convert("RGB"), np.float32) + 0.5) / 255
    return torch.from_numpy(pixels.clip(0, 1))


def placeholder(text: str, size: tuple[int, int]) -> Image.Image:
    """A grey picture that says why there is no other."""
    image = Image.new("RGB", size, (96, 96, 96))
    draw = ImageDraw.Draw(image)
    lines = ["withheld by SafeGen", *text.splitlines()]
    font_size = max(8, min(size) // 18)
    for number, line in enumerate(lines):
        draw.text(
            (size[0] / 2, size[1] / 2 + (number - len(lines) / 2) * 1.5 * font_size),
            line,
            fill=(235, 235, 235),
            anchor="mm",
            font_size=font_size,
        )
    return image

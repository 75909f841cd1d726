"""The images of a graph through the guard: inspect, climb the ladder, record."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from PIL import Image, ImageDraw
from torch import Tensor

from safegen.adapters.adapter import Note
from safegen.adapters.comfyui.request import Assessed
from safegen.adapters.comfyui.steer import steer
from safegen.adapters.early import EarlyLook
from safegen.adapters.sampler import Sampler
from safegen.assessment import Assessment
from safegen.audit.ladder import placeholder
from safegen.errors import InputError, SafeGenError, SteeringError
from safegen.guarded import GuardedPipeline, Result
from safegen.nouns import Intervention, Outcome

_PLACEHOLDER = (512, 512)
_CHANNELS = 3


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

        latent = dict(self.latent)
        latent.pop("batch_index", None)  # of the whole batch; each is sampled by itself here
        for key in ("samples", "noise_mask"):
            if (rows := latent.get(key)) is None:
                continue
            if not torch.equal(rows, rows[:1].expand_as(rows)):
                raise SteeringError(
                    "a flagged image can be made anew only where all latents are alike",
                    "leave Regenerate out, or queue one image at a time",
                )
            latent[key] = rows[:1]
        made = []
        for seed, steers in zip(seeds, interventions, strict=True):
            model, steering = self.model, None
            if steers:
                vectors, other = assessed.vectors, assessed.other_model
                model, steering = steer(model, vectors, [steers], other_model=other)
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
            if steering is not None:
                steering.demand_strength()
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

    def __init__(
        self,
        assessed: Assessed,
        images: Tensor | None,
        again: Again | None,
        not_steered: str,
        *,
        edited: bool,
    ) -> None:
        """Serve `images` [B, H, W, 3] first, if there are any.

        Args:
            assessed: what was decided of them.
            images: those of the graph.
            again: how to make them anew; None: that cannot be done.
            not_steered: why a decision to steer did not reach them; empty: it did.
            edited: whether they are a picture that the graph was given, changed.
        """
        self._edited = edited
        self.digest = assessed.model_digest
        self.vectors = assessed.vectors
        self.unavailable = not_steered
        # What was made, beside the images that the guard was given for it. Both are kept: the id of
        # an image that is gone may become that of another.
        self._given: list[tuple[Image.Image, Tensor]] = []
        self._assessed, self._made, self._again = assessed, images, again
        self._shape = images[0].shape if images is not None else None

    def detach(self) -> None:
        """Nothing was attached."""

    def edits(self, sampler: Sampler) -> bool:
        """As the graph says; its sampler is not known."""
        return self._edited

    def negative_unread(self, sampler: Sampler | None) -> str:
        """Never known: the graph says where its texts go, and not what a sampler makes of them."""
        return ""

    def generate(
        self,
        prompts: Sequence[str],
        seeds: Sequence[int],
        interventions: Sequence[Sequence[Intervention]],
        sampler: Sampler,
        negative_prompts: Sequence[str] | None = None,
        early: EarlyLook | None = None,
        note: Note | None = None,
    ) -> list[Image.Image | None]:
        """The graph's own images at the first call, others afterwards.

        `note` is told nothing: the graph is on record where ComfyUI keeps it, in the image's
        metadata.

        Raises:
            SteeringError: see `Again.make`.
            InputError: the graph made another number of images, or of other channels than RGB, or
                the policy wants an early look.
        """
        if early is not None:
            raise InputError(
                "in ComfyUI there is no early look: a sampler is done when images are audited",
                "leave early_look out of the policy",
            )
        made: Sequence[Tensor] | Tensor | None = self._made
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
        if wrong := [each for each in made if each.shape[-1] != _CHANNELS]:
            raise InputError(
                f"expected images of {_CHANNELS} channels, got {wrong[0].shape[-1]}",
                "audit them before alpha is joined to them",
            )
        if any(each.shape != self._shape for each in made):
            raise SteeringError(
                f"an image was made anew as {tuple(made[0].shape)}, those of the graph are "
                f"{tuple(self._shape or ())}",
                "give Regenerate the latents and settings that made the images, or leave it out",
            )
        images = [to_image(each) for each in made]
        self._given += zip(images, made, strict=True)
        return list(images)

    def tensor(self, image: Image.Image) -> Tensor:
        """A row [H, W, 3] of an IMAGE; the very one that was made, if nothing was done to it."""
        for given, made in self._given:
            if given is image:
                return made
        return to_tensor(image)


def audit(
    assessed: Assessed,
    images: Tensor | None,
    again: Again | None,
    not_steered: str,
    *,
    edited: bool,
) -> tuple[Tensor, Result]:
    """Images [B, H, W, 3] after the ladder, placeholders where one is withheld, and the record.

    An image that nothing was done to is the very tensor that came in. Without a way to make images
    anew, the ladder is the policy's without those rungs.

    Raises:
        SafeGenError: a stage failed; it is on record, and no image comes out.
    """
    ladder = assessed.decision.ladder
    if again is None:
        ladder = tuple(each for each in ladder if each.action != "regenerate")
    adapter = GraphAdapter(assessed, images, again, not_steered, edited=edited)
    result = GuardedPipeline(assessed.guard, adapter).generate(
        assessed.prompt,
        images=assessed.context.images,
        seed=assessed.context.seed,
        context=assessed.context,
        sampler=GraphSampler(again=again),
        decided=Assessment(
            assessed.prompt,
            assessed.context,
            assessed.scores,
            assessed.decision.model_copy(update={"ladder": ladder}),
        ),
    )
    if result.outcome == Outcome.ERROR:
        raise SafeGenError(
            f"no image comes out: {result.error}",
            f"it is record {result.record_id} of the ledger" if result.record_id else None,
        )
    size = _PLACEHOLDER if images is None else (images.shape[2], images.shape[1])
    rows = []
    for each in result.images:
        shown = each.image or withheld(f"{each.outcome}\n{each.reason}", size)
        rows.append(adapter.tensor(shown))
    return torch.stack([row.to(rows[0].device) for row in rows]), result


def to_image(tensor: Tensor) -> Image.Image:
    """A row [H, W, 3] of an IMAGE, in the eight bits that ComfyUI's own nodes save."""
    pixels = (255.0 * tensor.detach().cpu().numpy()).clip(0, 255).astype(np.uint8)
    return Image.fromarray(pixels).convert("RGB")


def to_tensor(image: Image.Image) -> Tensor:
    """A row [H, W, 3] of an IMAGE; its eight bits come back from `to_image` as they are."""
    # Half a step up, because what saves an IMAGE cuts off and does not round.
    pixels = (np.asarray(image.convert("RGB"), np.float32) + 0.5) / 255
    return torch.from_numpy(pixels.clip(0, 1))


def withheld(reason: str, size: tuple[int, int]) -> Image.Image:
    """A placeholder that says why there is no other picture."""
    picture = placeholder(size)
    lines = ["withheld by SafeGen", *reason.splitlines()]
    font_size = min(1.6 * size[0] / max(len(line) for line in lines), size[1] / 8)
    ImageDraw.Draw(picture).text(
        (size[0] / 2, size[1] / 2),
        "\n".join(lines),
        fill=(40, 40, 40),
        anchor="mm",
        align="center",
        font_size=max(6, font_size),
    )
    return picture

"""Adapter for diffusers pipelines: Stable Diffusion 1.x, 2.x, XL, 3, FLUX, PixArt, and variants."""

import inspect
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, Self

import torch
from diffusers import DiffusionPipeline, ModularPipeline
from PIL import Image
from torch import nn

from safegen.adapters.adapter import Note
from safegen.adapters.arguments import call_arguments, edits
from safegen.adapters.denoisers import (
    called,
    find_denoiser,
    kind_of,
    probe,
)
from safegen.adapters.early import EarlyLook, generated
from safegen.adapters.guiders import guided, guider_calls
from safegen.adapters.identity import Attached
from safegen.adapters.negative import demand_read, unread, unread_ever
from safegen.adapters.sampler import Sampler
from safegen.adapters.settings import settings
from safegen.adapters.timing import demand_timed
from safegen.adapters.turns import turn
from safegen.adapters.whole import demand_whole
from safegen.concepts.vector import ConceptVector, Passport
from safegen.errors import ConceptError, InputError, SteeringError, UnknownModelError
from safegen.nouns import Intervention
from safegen.steering.hook import Steering
from safegen.steering.layout import GUIDED, SPLIT, UNGUIDED, Rows
from safegen.steering.plan import Plan, planned

_SKIPS = "skip_guidance_layers"  # of Stable Diffusion 3


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


def moved(pipeline: Any, device: str) -> Any:
    """The pipeline on a torch device.

    Raises:
        UnknownModelError: the device is not there, or cannot hold it.
    """
    try:
        return pipeline.to(device)
    except (AssertionError, RuntimeError) as error:  # torch raises whatever its backends do
        raise UnknownModelError(
            f"cannot move the model to the device {device!r}: {error}",
            "give another --device; `safegen doctor` says which work",
        ) from error


class PipelineAdapter(ABC):
    """Makes images with one pipeline; how that is called, `run` says."""

    def __init__(self, pipeline: Any) -> None:
        self.pipeline = pipeline
        self._attached = Attached(pipeline)
        self.digest = self._attached.digest

    def negative_unread(self, sampler: Sampler | None) -> str:
        """Why a negative prompt changes nothing; empty: it does. None: whatever the sampler."""
        if sampler is None:
            return unread_ever(self.pipeline)
        return unread(self.pipeline, sampler.guidance_scale, sampler.more)

    def edits(self, sampler: Sampler) -> bool:
        """Whether images are a picture of the sampler's, changed, and not made from nothing."""
        return edits(self.pipeline, sampler.pictures)

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
        """Generate one batch, one image per prompt, each from its own seed.

        Where an early look stopped an image, or the pipeline's own safety checker found fault with
        it, there is None. `note` is told how the pipeline is set up when its turn has come.

        A sample without interventions and negative prompt comes out exactly as the bare pipeline
        makes it in the same batch.

        Raises:
            InputError: what is asked for does not fit together; see `call_arguments` and `run`.
            SteeringError: an addition was asked for that did not happen, the pipeline has another
                denoiser by now, was interrupted, or reads no negative prompts at this guidance
                scale.
        """
        if negative_prompts:
            demand_read(self.pipeline, sampler.guidance_scale, sampler.more)
        arguments = call_arguments(prompts, seeds, sampler, negative_prompts, self.pipeline)

        def call() -> Any:
            if note is not None:
                note(settings(self.pipeline))
            return guided(self.pipeline, partial(self.run, interventions), arguments)

        return generated(self.pipeline, early, call)

    @abstractmethod
    def run(
        self, interventions: Sequence[Sequence[Intervention]], *args: Any, **kwargs: Any
    ) -> Any:
        """Call the pipeline with these arguments, steered so."""


class DiffusersAdapter(PipelineAdapter):
    """Steers one pipeline. Attach before `torch.compile`; `detach` leaves it as it was."""

    unavailable = ""
    """Why the pipeline cannot be steered; empty: it is."""

    def __init__(
        self,
        pipeline: Any,
        vectors: Mapping[str, ConceptVector],
        *,
        other_model: bool = False,
    ) -> None:
        """Attach to `pipeline` at every site that `vectors` need, and prove that it works.

        Args:
            pipeline: a diffusers pipeline with a UNet or a transformer that is supported.
            vectors: all concepts that will ever be asked for, by name.
            other_model: accept vectors that were learned on other weights.

        Raises:
            UnknownModelError: the pipeline has no denoiser that can be steered.
            ConceptError: a vector was made for another model.
            SteeringError: the self-test found that steering does not take effect.
        """
        denoiser = find_denoiser(pipeline)
        if any(parameter.is_meta for parameter in denoiser.parameters()):
            raise SteeringError(
                "the denoiser's weights are offloaded one by one, so that its self-test cannot run",
                "attach before enable_sequential_cpu_offload()",
            )
        super().__init__(pipeline)
        if not other_model:
            for vector in vectors.values():
                _demand_model(vector.passport, self.digest)
        self.vectors = vectors
        self.steering = Steering(denoiser, vectors, timesteps=kind_of(denoiser).timesteps)
        try:
            self._self_test(denoiser)
        except BaseException:
            self.detach()
            raise

    def detach(self) -> None:
        """Remove every hook."""
        self.steering.detach()

    def __enter__(self) -> Self:
        """Itself; leaving the block detaches."""
        return self

    def __exit__(self, *_: object) -> None:
        """Detach."""
        self.detach()

    def run(
        self, interventions: Sequence[Sequence[Intervention]] | Plan, *args: Any, **kwargs: Any
    ) -> Any:
        """Call the pipeline with these arguments while one plan is in force.

        Args:
            interventions: one sequence per image, or a single one for all of them; or a plan of
                such, which also says what else is steered and how far.
            args: as the pipeline takes them.
            kwargs: as the pipeline takes them.

        Returns:
            What the pipeline returns.

        Raises:
            InputError: the number of interventions is not that of the images.
            SteeringError: the plan asked for an addition that did not happen, or goes by time
                where the scheduler does not tell it, or the pipeline has another denoiser by now,
                or was interrupted.
        """
        bound = inspect.signature(type(self.pipeline).__call__).bind(self.pipeline, *args, **kwargs)
        bound.apply_defaults()
        arguments = bound.arguments | bound.arguments.get("kwargs", {})
        with (
            turn(self.pipeline),
            self.steering.using(*self._planned(interventions, arguments)),
            demand_whole(self.pipeline),
        ):
            return self.pipeline(*args, **kwargs)

    def _planned(
        self,
        interventions: Sequence[Sequence[Intervention]] | Plan,
        arguments: Mapping[str, Any],
    ) -> tuple[Plan, *tuple[tuple[Rows, ...], ...]]:
        """The plan of a call with these arguments, and the layouts of its calls of the denoiser."""
        self._attached.demand_same()
        images = _image_count(arguments)
        plan = planned(interventions)
        if len(plan.samples) == 1:
            plan = replace(plan, samples=plan.samples * images)
        if len(plan.samples) != images:
            raise InputError(
                f"got interventions for {len(plan.samples)} images, the call makes {images}",
                "give one sequence of interventions per image, or one for all",
            )
        demand_timed(self.pipeline, plan)
        if any(plan.samples) and arguments.get(_SKIPS) is not None:
            raise SteeringError(
                f"{_SKIPS!r} calls the denoiser once more in some steps, without layers that may "
                "be steered",
                f"leave {_SKIPS} out of the call",
            )
        return plan, *_calls(self.pipeline, self.steering.denoiser, arguments)

    @torch.no_grad()
    def _self_test(self, denoiser: nn.Module) -> None:
        """Call the denoiser with and without each concept, as the pipeline will call it.

        Raises:
            SteeringError: the addition does not change what is conditional, or changes what is not.
        """

        def call(*interventions: Intervention) -> tuple[torch.Tensor, torch.Tensor]:
            with self.steering.using(Plan.of([interventions]), GUIDED):
                uncond, cond = probe(denoiser, called(self.pipeline), 2)
            return uncond, cond

        bare_uncond, bare = call()
        for concept in self.vectors:
            uncond, cond = call(Intervention(concept=concept))
            if not torch.equal(uncond, bare_uncond) or torch.equal(cond, bare):
                raise SteeringError(
                    f"self-test: concept {concept!r} does not change the conditional rows alone",
                    "attach before torch.compile and without other code on the same modules",
                )


class SteeredPipeline:
    """A pipeline that can be steered, and else is the pipeline itself.

    `isinstance` and every attribute are the wrapped pipeline's; a call takes one argument more,
    `interventions`: one sequence per image, or a single one for all, or a `Plan` of such.
    """

    def __init__(self, adapter: DiffusersAdapter) -> None:
        """Wrap the pipeline of `adapter`."""
        object.__setattr__(self, "_adapter", adapter)

    def __call__(
        self,
        *args: Any,
        interventions: Sequence[Sequence[Intervention]] | Plan = ((),),
        **kwargs: Any,
    ) -> Any:
        """Call the pipeline, steered; see `DiffusersAdapter.run`."""
        return self._adapter.run(interventions, *args, **kwargs)

    def to(self, *args: Any, **kwargs: Any) -> Self:
        """Move the pipeline, and stay steered."""
        self._adapter.pipeline.to(*args, **kwargs)
        return self

    def __getattr__(self, name: str) -> Any:
        return getattr(object.__getattribute__(self, "_adapter").pipeline, name)

    def __setattr__(self, name: str, value: Any) -> None:
        setattr(self._adapter.pipeline, name, value)

    @property  # type: ignore[misc]
    def __class__(self) -> Any:
        return type(self._adapter.pipeline)


def _image_count(arguments: Mapping[str, Any]) -> int:
    prompt, embedded = arguments.get("prompt"), arguments.get("prompt_embeds")
    if prompt is not None:
        prompts = 1 if isinstance(prompt, str) else len(prompt)
    elif embedded is not None:
        prompts = len(embedded)
    else:
        raise InputError(
            "the call has neither prompt nor prompt_embeds", "give one of them to the pipeline"
        )
    return prompts * int(arguments.get("num_images_per_prompt") or 1)


def _calls(
    pipeline: Any, denoiser: Any, arguments: Mapping[str, Any]
) -> tuple[tuple[Rows, ...], ...]:
    """The layouts of the calls of the denoiser that make up one step of the pipeline."""
    distilled = getattr(denoiser.config, "time_cond_proj_dim", None) is not None
    if isinstance(pipeline, ModularPipeline):  # which turns its guider off, if distilled
        return (UNGUIDED,) if distilled else guider_calls(pipeline.guider)
    given = {name for name, value in arguments.items() if value is not None}
    if not kind_of(denoiser).guidance_doubles:
        embedded = {"negative_prompt_embeds", "negative_pooled_prompt_embeds"}
        negative = "negative_prompt" in given or embedded <= given
        return SPLIT if negative and (arguments.get("true_cfg_scale") or 1) > 1 else (UNGUIDED,)
    guided = arguments.get("guidance_scale", 0) > 1 and not distilled
    layout = GUIDED if guided else UNGUIDED
    return ((*layout, "perturbed"),) if (arguments.get("pag_scale") or 0) > 0 else (layout,)


def _demand_model(passport: Passport, digest: str) -> None:
    if not passport.made_for(digest):
        unknown = not passport.model_digest_bfloat16
        raise ConceptError(
            f"concept {passport.concept!r} was learned on the model {passport.model_digest[:19]}…, "
            f"this one is {digest[:19]}…",
            "learn it on this model (safegen vectors discover), or pass other_model=True and "
            "measure the effect yourself"
            + ("; if it is that model in bfloat16, cast it after attaching" if unknown else ""),
        )

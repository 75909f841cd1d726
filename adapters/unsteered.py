"""Adapter for pipelines that cannot be steered: they run as they are, and every result says so."""

from collections.abc import Mapping, Sequence
from typing import Any

from PIL import Image
from safegen.adapters.diffusers import call_arguments
from safegen.adapters.early import EarlyLook, generated
from safegen.adapters.guiders import guided
from safegen.adapters.identity import Attached
from safegen.adapters.negative import demand_read, unread, unread_ever
from safegen.adapters.sampler import Sampler
from safegen.adapters.settings import settings
from safegen.adapters.whole import demand_whole

from safegen.concepts.vector import ConceptVector
from safegen.errors import SteeringError
from safegen.nouns import Intervention


class UnsteeredAdapter:
    """Runs a diffusers pipeline without steering, for the sake of assessment, audit and ledger."""

    vectors: Mapping[str, ConceptVector] = {}

    def __init__(self, pipeline: Any, unavailable: str) -> None:
        """Serve `pipeline`; `unavailable` says why it cannot be steered."""
        self.pipeline = pipeline
        self.unavailable = unavailable
        self._attached = Attached(pipeline)
        self.digest = self._attached.digest

    def detach(self) -> None:
        """Nothing was attached."""

    def negative_unread(self, sampler: Sampler | None) -> str:
        """Why a negative prompt changes nothing; empty: it does. None: whatever the sampler."""
        if sampler is None:
            return unread_ever(self.pipeline)
        return unread(self.pipeline, sampler.guidance_scale, sampler.more)

    def settings(self) -> Mapping[str, str]:
        """How the pipeline is set up by now."""
        return settings(self.pipeline)

    def generate(
        self,
        prompts: Sequence[str],
        seeds: Sequence[int],
        interventions: Sequence[Sequence[Intervention]],
        sampler: Sampler,
        negative_prompts: Sequence[str] | None = None,
        early: EarlyLook | None = None,
    ) -> list[Image.Image | None]:
        """Generate one batch, one image per prompt, each from its own seed.

        Where an early look stopped an image, or the pipeline's own safety checker found fault with
        it, there is None.

        Raises:
            SteeringError: `interventions` are not empty, the pipeline has another denoiser by now,
                was interrupted, or does not read negative prompts at this guidance scale.
        """
        self._attached.demand_same()
        if any(interventions):
            raise SteeringError(
                f"steering is unavailable: {self.unavailable}", "ask for no interventions"
            )
        if negative_prompts:
            demand_read(self.pipeline, sampler.guidance_scale, sampler.more)
        arguments = call_arguments(prompts, seeds, sampler, negative_prompts, self.pipeline)
        return generated(self.pipeline, early, lambda: guided(self.pipeline, self._call, arguments))

    def _call(self, **arguments: Any) -> Any:
        with demand_whole(self.pipeline):
            return self.pipeline(**arguments)

"""Adapter for pipelines that cannot be steered: they run as they are, and every result says so."""

from collections.abc import Mapping, Sequence
from typing import Any

from safegen.adapters.diffusers import PipelineAdapter
from safegen.adapters.whole import demand_whole
from safegen.concepts.vector import ConceptVector
from safegen.errors import SteeringError
from safegen.nouns import Intervention


class UnsteeredAdapter(PipelineAdapter):
    """Runs a diffusers pipeline without steering, for the sake of assessment, audit and ledger."""

    vectors: Mapping[str, ConceptVector] = {}

    def __init__(self, pipeline: Any, unavailable: str) -> None:
        """Serve `pipeline`; `unavailable` says why it cannot be steered."""
        super().__init__(pipeline)
        self.unavailable = unavailable

    def detach(self) -> None:
        """Nothing was attached."""

    def run(
        self, interventions: Sequence[Sequence[Intervention]], *args: Any, **kwargs: Any
    ) -> Any:
        """Call the pipeline with these arguments.

        Raises:
            SteeringError: `interventions` are not empty, or the pipeline has another denoiser by
                now, or was interrupted.
        """
        self._attached.demand_same()
        if any(interventions):
            raise SteeringError(
                f"steering is unavailable: {self.unavailable}", "ask for no interventions"
            )
        with demand_whole(self.pipeline):
            return self.pipeline(*args, **kwargs)

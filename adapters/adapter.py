"""What a guard needs of an adapter: `DiffusersAdapter`, or one like it."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Protocol

from PIL import Image

from safegen.concepts.vector import ConceptVector
from safegen.nouns import Intervention

if TYPE_CHECKING:
    from safegen.adapters.early import EarlyLook
    from safegen.adapters.sampler import Sampler


class Adapter(Protocol):
    """Makes images with a model, steered by vectors."""

    digest: str
    unavailable: str
    vectors: Mapping[str, ConceptVector]

    def negative_unread(self, sampler: "Sampler | None") -> str:
        """Why a negative prompt changes nothing; empty: it does. None: whatever the sampler."""

    def settings(self) -> Mapping[str, str]:
        """How the model is set up by now, for the record, by name; see `settings.settings`."""

    def generate(
        self,
        prompts: Sequence[str],
        seeds: Sequence[int],
        interventions: Sequence[Sequence[Intervention]],
        sampler: "Sampler",
        negative_prompts: Sequence[str] | None = None,
        early: "EarlyLook | None" = None,
    ) -> list[Image.Image | None]:
        """One image per prompt.

        None where an early look stopped one, or the pipeline's own safety checker withheld it.
        """

    def detach(self) -> None:
        """Leave the model as it was."""

"""What a guard needs of an adapter: `DiffusersAdapter`, or one like it."""

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Protocol

from PIL import Image

from safegen.concepts.vector import ConceptVector
from safegen.nouns import Intervention

if TYPE_CHECKING:
    from safegen.adapters.early import EarlyLook
    from safegen.adapters.sampler import Sampler


Note = Callable[[Mapping[str, str]], None]
"""Told how a model is set up as it begins to make images, by name; see `settings.settings`."""


class Adapter(Protocol):
    """Makes images with a model, steered by vectors."""

    digest: str
    unavailable: str
    vectors: Mapping[str, ConceptVector]

    def negative_unread(self, sampler: "Sampler | None") -> str:
        """Why a negative prompt changes nothing; empty: it does. None: whatever the sampler."""

    def edits(self, sampler: "Sampler") -> bool:
        """Whether images are a picture of the sampler's, changed, and not made from nothing."""

    def generate(
        self,
        prompts: Sequence[str],
        seeds: Sequence[int],
        interventions: Sequence[Sequence[Intervention]],
        sampler: "Sampler",
        negative_prompts: Sequence[str] | None = None,
        early: "EarlyLook | None" = None,
        note: Note | None = None,
    ) -> list[Image.Image | None]:
        """One image per prompt, after `note` was told of the call's settings, for the record.

        None where an early look stopped one, or the pipeline's own safety checker withheld it.
        """

    def detach(self) -> None:
        """Leave the model as it was."""

"""`Plan`: what is added, for every sample of a batch, at every site and phase of the denoising."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from safegen.concepts.vector import ConceptVector
from safegen.nouns import Intervention


@dataclass(frozen=True)
class Plan:
    """Interventions per sample (an empty tuple leaves the sample alone) and their vectors."""

    samples: tuple[tuple[Intervention, ...], ...]
    vectors: Mapping[str, ConceptVector]

    @classmethod
    def of(
        cls, samples: Sequence[Sequence[Intervention]], vectors: Mapping[str, ConceptVector]
    ) -> "Plan":
        """A plan of these interventions; `vectors` holds every concept they name."""
        return cls(tuple(tuple(sample) for sample in samples), vectors)

    @property
    def idle(self) -> bool:
        """Whether no sample is steered at all."""
        return not any(self.samples)

    def delta(self, site: str, progress: float, shape: tuple[int, int, int]) -> Tensor | None:
        """The addition at `site` when a share `progress` in [0, 1] of the denoising is done.

        Args:
            site: name of the site.
            progress: 0 at pure noise, 1 at the image.
            shape: (C, H, W) of the site's activation; a spatial vector of another size is
                interpolated bilinearly.

        Returns:
            float32 of shape [B, C, H, W], or None where nothing is added.
        """
        rows: list[Tensor | None] = [
            self._row(sample, site, progress, shape) for sample in self.samples
        ]
        if all(row is None for row in rows):
            return None
        zeros = torch.zeros(shape)
        return torch.stack([zeros if row is None else row for row in rows])

    def _row(
        self,
        sample: tuple[Intervention, ...],
        site: str,
        progress: float,
        shape: tuple[int, int, int],
    ) -> Tensor | None:
        row: Tensor | None = None
        for intervention in sample:
            array = self.vectors[intervention.concept].arrays.get(site)
            if array is None or not intervention.start <= progress <= intervention.stop:
                continue
            addition = intervention.strength * _fitted(torch.from_numpy(array), shape)
            row = addition if row is None else row + addition
        return row


def _fitted(vector: Tensor, shape: tuple[int, int, int]) -> Tensor:
    """`vector` ([C], [C, 1, 1] or [C, h, w]) as [C, H, W]."""
    vector = vector.reshape(vector.shape[0], *(vector.shape[1:] or (1, 1)))
    if vector.shape[1:] in ((1, 1), shape[1:]):
        return vector.expand(shape)
    return functional.interpolate(vector[None], shape[1:], mode="bilinear", align_corners=False)[0]

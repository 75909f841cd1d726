"""`Plan`: what is added, for every sample of a batch, at every site and phase of the denoising.

A plan becomes one table of coefficients per site: [phases, samples, concepts]. Everything that
depends on requests is in those numbers, so a denoiser compiled once serves every plan.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from safegen.concepts.vector import ConceptVector, position_norm
from safegen.errors import ConceptError, InputError, SteeringError, UnknownConceptError
from safegen.nouns import Intervention

PHASES = 1000
"""How finely the denoising is divided: phase p is the fraction p / PHASES, 0 at pure noise."""

_PURE_NOISE = 1000  # as a timestep
_FAINT = 1e-3
"""A share of the strength below which an addition is lost in half precision's rounding."""

NORM_CAP = 2.0
"""By default several vectors together add at most this multiple of a typical activation's norm."""


@dataclass(frozen=True)
class Plan:
    """Interventions per sample of a batch; an empty tuple leaves a sample alone.

    `every_row` steers the unconditional rows too; by default only conditional rows are, as in the
    paper (Li et al. 2024, §3), so the effect grows with the guidance scale. `norm_cap` bounds the
    sum of a sample's additions, in typical activation norms; None: unbounded.
    """

    samples: tuple[tuple[Intervention, ...], ...]
    every_row: bool = False
    norm_cap: float | None = NORM_CAP

    @classmethod
    def of(
        cls,
        samples: Sequence[Sequence[Intervention]],
        *,
        every_row: bool = False,
        norm_cap: float | None = NORM_CAP,
    ) -> "Plan":
        """A plan of these interventions.

        Raises:
            InputError: they are not one sequence of interventions per sample.
        """
        if not _listed(samples):
            raise InputError(
                "expected one list of interventions per image, got "
                f"{type(samples).__name__} {str(samples)[:80]}",
                'give a list of lists, as in [[Intervention(concept="woman")], []]',
            )
        return cls(tuple(tuple(sample) for sample in samples), every_row, norm_cap)

    @property
    def idle(self) -> bool:
        """Whether nothing is added to any sample."""
        return not any(i.strength for sample in self.samples for i in sample)

    @property
    def concepts(self) -> frozenset[str]:
        """The concepts that are added to some sample."""
        return frozenset(i.concept for sample in self.samples for i in sample if i.strength)

    @property
    def scheduled(self) -> bool:
        """Whether the strength of some intervention depends on how far the denoising is."""
        return any(
            (i.start, i.stop, i.schedule) != (0, 1, "constant")
            for sample in self.samples
            for i in sample
            if i.strength
        )

    @property
    def timed(self) -> bool:
        """Whether what is added depends on how far the denoising is, by schedules or gates."""
        return self.scheduled or any(
            i.gate != "open" for sample in self.samples for i in sample if i.strength
        )

    def demand_strength(self, reached: NDArray[np.bool_]) -> None:
        """Check that the denoising gave every intervention some of its strength.

        Args:
            reached: the phases at which the denoiser was called, [PHASES].

        Raises:
            SteeringError: one had none at any of them, so that nothing was added.
        """
        for each in {i: None for sample in self.samples for i in sample if i.strength}:
            if schedule(each)[reached].max(initial=0.0) < _FAINT:
                raise SteeringError(
                    f"the concept {each.concept!r} added nothing: {each.schedule} from "
                    f"{each.start:g} to {each.stop:g} of the denoising, it has strength at none "
                    f"of the {reached.sum()} moment(s) at which the denoiser was called",
                    "take more steps, or widen its window (`start`, `stop`); from an image, only "
                    "the last part is denoised, by `strength`",
                )

    def coefficients(
        self, site: str, vectors: Mapping[str, ConceptVector], gram: NDArray[np.float64]
    ) -> NDArray[np.float32]:
        """How much of each vector is added at `site`: [PHASES, B, K], K in the order of `vectors`.

        `gram` is `relative_gram(site, vectors)`, computed once for many plans.

        Raises:
            UnknownConceptError: the plan names a concept that is not among `vectors`.
            ConceptError: a strength is relative to an activation norm that was not measured.
        """
        names = list(vectors)
        self.demand_known(names)
        phases = PHASES if self.scheduled else 1  # all are alike, and calculated once
        table = np.zeros((phases, len(self.samples), len(names)))
        for row, sample in enumerate(self.samples):
            for each in sample:
                if site in vectors[each.concept].arrays:
                    strength = each.strength * _unit(each, vectors[each.concept], site)
                    table[:, row, names.index(each.concept)] += strength * schedule(each)[:phases]
        if self.norm_cap is not None:
            norms = np.sqrt((table @ gram * table).sum(-1).clip(0))
            table *= np.minimum(1.0, self.norm_cap / np.maximum(norms, 1e-12))[..., None]
        return np.broadcast_to(table.astype(np.float32), (PHASES, *table.shape[1:])).copy()

    def gated(self, names: Sequence[str]) -> NDArray[np.bool_]:
        """Which concepts of which samples are gated by projection: [B, K].

        Raises:
            UnknownConceptError: the plan names a concept that is not among `names`.
            SteeringError: a sample has one concept both with and without a gate.
        """
        self.demand_known(names)
        table = np.zeros((len(self.samples), len(names)), dtype=bool)
        for row, sample in enumerate(self.samples):
            for concept in {i.concept for i in sample}:
                gates = {i.gate for i in sample if i.concept == concept}
                if len(gates) > 1:
                    raise SteeringError(
                        f"sample {row} has {concept!r} with and without a gate",
                        "give all interventions of one concept the same gate",
                    )
                table[row, names.index(concept)] = gates == {"projection"}
        return table

    def demand_known(self, names: Iterable[str]) -> None:
        """Check that every concept of the plan is among `names`.

        Raises:
            UnknownConceptError: one is not.
        """
        if unknown := sorted({i.concept for s in self.samples for i in s} - set(names)):
            raise UnknownConceptError(
                f"the plan names the concept {unknown[0]!r}, which is not attached",
                f"attached are: {', '.join(names) or 'none'}",
            )


def _listed(samples: object) -> bool:
    """Whether these are sequences of interventions; one itself could be iterated over, too."""
    return isinstance(samples, Sequence) and all(
        isinstance(sample, Sequence) and all(isinstance(each, Intervention) for each in sample)
        for sample in samples
    )


def planned(interventions: Sequence[Sequence[Intervention]] | Plan) -> Plan:
    """A plan as it is, or the plan of interventions per sample.

    Raises:
        InputError: they are not one sequence of interventions per sample.
    """
    return interventions if isinstance(interventions, Plan) else Plan.of(interventions)


def schedule(each: Intervention) -> NDArray[np.float64]:
    """The share of the strength in force at every phase: [PHASES], in [0, 1]."""
    progress = np.arange(PHASES) / PHASES
    inside = (each.start <= progress) & (progress <= each.stop)
    if each.schedule == "constant":
        return inside.astype(np.float64)
    width = max(each.stop - each.start, 1 / PHASES)
    bell = np.sin(np.pi * np.clip((progress - each.start) / width, 0, 1)) ** 2
    return np.where(inside, bell, 0.0)


def window(first: float, last: float) -> tuple[float, float]:
    """(start, stop) of an intervention that acts from timestep `first` down to `last`.

    Raises:
        SteeringError: they are not timesteps of a denoising, 1000 ≥ first ≥ last ≥ 0.
    """
    if not _PURE_NOISE >= first >= last >= 0:
        raise SteeringError(
            f"expected {_PURE_NOISE} ≥ first ≥ last ≥ 0, got first {first:g}, last {last:g}",
            "timesteps fall while the image forms",
        )
    return 1 - first / _PURE_NOISE, 1 - last / _PURE_NOISE


def _unit(each: Intervention, vector: ConceptVector, site: str) -> float:
    if each.unit == "learned":
        return 1.0
    typical = vector.passport.activation_norms.get(site, 0.0)
    if not typical:
        raise ConceptError(
            f"concept {each.concept!r} has no typical activation norm at {site!r}",
            'use unit "learned", or learn the vector again',
        )
    return typical / position_norm(vector.arrays[site])


def relative_gram(site: str, vectors: Mapping[str, ConceptVector]) -> NDArray[np.float64]:
    """Scalar products of the vectors at `site`, in squared typical activation norms: [K, K].

    A vector whose site's norm was not measured counts as 0: it is not capped.
    """
    known = {
        name: vector.passport.activation_norms[site]
        for name, vector in vectors.items()
        if site in vector.arrays and vector.passport.activation_norms.get(site)
    }
    maps = stacked(site, vectors).astype(np.float64)
    for row, name in enumerate(vectors):
        maps[row] *= name in known and 1 / max(known.values())
    flat = maps.reshape(len(maps), -1)
    gram: NDArray[np.float64] = flat @ flat.T / (maps.shape[2] * maps.shape[3])
    return gram


def stacked(site: str, vectors: Mapping[str, ConceptVector]) -> NDArray[np.float32]:
    """All vectors at `site`: [K, C, H, W] in their order, zeros for those that do not act there.

    H = W = 1 if all are pooled; else pooled ones are spread over the others' positions.

    Raises:
        ConceptError: two vectors at `site` differ in channels or in their spatial size.
    """
    arrays = {n: v.arrays[site] for n, v in vectors.items() if site in v.arrays}
    maps = {
        n: array.reshape(len(array), *(array.shape[1:] or (1, 1))) for n, array in arrays.items()
    }
    largest = max((each.shape for each in maps.values()), key=lambda shape: shape[1] * shape[2])
    stack = np.zeros((len(vectors), *largest), np.float32)
    for row, name in enumerate(vectors):
        if name not in maps:
            continue
        shape = maps[name].shape
        if shape[0] != largest[0] or shape[1:] not in ((1, 1), largest[1:]):
            raise ConceptError(
                f"concept {name!r} has the shape {shape} at {site!r}, another one {largest}",
                "vectors of one site must be learned at one size, or be pooled to [C]",
            )
        stack[row] = maps[name]
    return stack


def demand_width(site: str, vectors: Mapping[str, ConceptVector], channels: int) -> None:
    """Check that the vectors at `site` are as wide as what a denoiser has there.

    Raises:
        ConceptError: one is not.
    """
    for name, vector in vectors.items():
        if site in vector.arrays and (width := len(vector.arrays[site])) != channels:
            raise ConceptError(
                f"concept {name!r} has {width} channels at {site!r}, the denoiser has {channels} "
                "there",
                "learn it on this model (safegen vectors discover), or use vectors of its kind",
            )


def pools(site: str, vectors: Mapping[str, ConceptVector]) -> bool:
    """Whether the vectors at `site` meet another latent size by their mean over positions."""
    return all(v.passport.resize == "pool" for v in vectors.values() if site in v.arrays)

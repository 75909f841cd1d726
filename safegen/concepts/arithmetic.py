"""Sums, centring and comparison of concept vectors of one model."""

import datetime
from collections.abc import Mapping, Sequence

import numpy as np

from safegen.concepts.vector import Array, ConceptVector, Passport, position_norm
from safegen.errors import ConceptError
from safegen.nouns import Frozen

LEAST_LEFT = 1e-3
"""A share of the parts' norms: what a sum leaves below it is rounding (fp16 keeps 11 bits)."""


def compose(
    name: str, vectors: Mapping[str, ConceptVector], weights: Mapping[str, float]
) -> ConceptVector:
    """The weighted sum of vectors, as one vector; weights that add up to 1 interpolate.

    A site at which one of them does not act counts as zeros there; one at which the parts cancel
    out, but for rounding, is left out. The sum has no levels, which are those of a direction, so no
    gate either; its typical norms are the mean of the parts'.

    Args:
        name: of the new concept.
        vectors: the parts, by name.
        weights: one for every part.

    Raises:
        ConceptError: they are of different models or shapes, nothing is left of them, the sum is
            too large, or a weight is not finite.
    """
    demand_one_model(vectors)
    if not np.isfinite([*weights.values()]).all():
        raise ConceptError(f"{name}: a weight is not finite: {dict(weights)}", "give a number")
    first = next(iter(vectors.values())).passport
    arrays: dict[str, Array] = {}
    for site in _sites(vectors):
        with np.errstate(over="ignore", invalid="ignore"):  # it is told below
            parts = [
                weights[part] * array.astype(np.float64)
                for part, array in _at(site, vectors).items()
            ]
            total = np.sum(parts, axis=0).astype(np.float32)
            least = LEAST_LEFT * sum(np.linalg.norm(part) for part in parts)
        if not np.isfinite(total).all():
            raise ConceptError(
                f"{name}: with these weights the sum is too large at {site!r}: {dict(weights)}",
                "give smaller weights, and raise the strength by as much",
            )
        if np.linalg.norm(total.astype(np.float64)) > least:
            arrays[site] = total
    if not arrays:
        raise ConceptError(
            f"{name}: with these weights nothing is left of {', '.join(vectors)}",
            "give weights that do not cancel out",
        )
    norms = {
        site: [v.passport.activation_norms.get(site) for v in _holders(site, vectors)]
        for site in arrays
    }
    licences = sorted({vector.passport.licence for vector in vectors.values()})
    shares = {f"weight of {part}": float(weight) for part, weight in weights.items()}
    digests = {f"digest of {part}": vector.digest for part, vector in vectors.items()}
    passport = Passport(
        concept=name,
        model_family=first.model_family,
        model_digest=first.model_digest,
        model_digest_bfloat16=next(
            filter(None, (v.passport.model_digest_bfloat16 for v in vectors.values())), ""
        ),
        site_shapes={site: array.shape for site, array in arrays.items()},
        method="composed",
        settings=shares | digests,
        seed=0,
        prompts={},
        date=datetime.datetime.now(datetime.UTC).date().isoformat(),
        licence=" AND ".join(licences),
        activation_norms={
            site: float(np.mean([norm for norm in known if norm]))
            for site, known in norms.items()
            if all(known)
        },
        resize="interpolate" if first.resize == "interpolate" else "pool",
    )
    return ConceptVector(passport, arrays)


def centre(vectors: Mapping[str, ConceptVector]) -> dict[str, ConceptVector]:
    """Each vector less the mean of all: what all share is the concept of none.

    The published vectors of opposites have a cosine of +0.25 or so to each other; what they share
    pushes every sample the same way, whichever of them is added.

    Raises:
        ConceptError: fewer than two, or of different models or shapes, or all are the same.
    """
    if len(vectors) < 2:
        raise ConceptError(
            f"expected at least two vectors to centre, got {len(vectors)}",
            "name all concepts of the group",
        )
    share = 1 / len(vectors)
    return {
        name: compose(name, vectors, {part: (part == name) - share for part in vectors})
        for name in vectors
    }


class AtSite(Frozen):
    """Vectors at one site, in the order of `names`."""

    names: tuple[str, ...]
    norms: tuple[float, ...]
    """RMS over positions of the L2 norm over channels."""
    relative: tuple[float | None, ...]
    """The same in typical activation norms of the site; None: that was not measured."""
    pooled: tuple[float, ...]
    """Share of the squared norm that is in the mean over positions, 0 to 1."""
    cosines: tuple[tuple[float, ...], ...]


def compare(vectors: Mapping[str, ConceptVector]) -> dict[str, AtSite]:
    """Lengths and directions at each site; pooled and spatial vectors are compared by their means.

    Raises:
        ConceptError: they are of different models: their directions say nothing to each other.
    """
    demand_one_model(vectors)
    return {site: _compared(site, vectors) for site in _sites(vectors)}


def _compared(site: str, vectors: Mapping[str, ConceptVector]) -> AtSite:
    here = {name: v.arrays[site] for name, v in vectors.items() if site in v.arrays}
    flat = {name: array.reshape(len(array), -1) for name, array in here.items()}
    means = {name: array.mean(1) for name, array in flat.items()}
    alike = len({array.shape for array in flat.values()}) == 1
    rows = [(flat if alike else means)[name].ravel() for name in here]
    norms = [position_norm(array) for array in here.values()]
    typical = [vectors[name].passport.activation_norms.get(site) for name in here]
    return AtSite(
        names=tuple(here),
        norms=tuple(norms),
        relative=tuple(n / t if t else None for n, t in zip(norms, typical, strict=True)),
        pooled=tuple(_energy(means[n]) * flat[n].shape[1] / _energy(flat[n]) for n in here),
        cosines=tuple(tuple(_cosine(a, b) for b in rows) for a in rows),
    )


def _energy(array: Array) -> float:
    return float((array.astype(np.float64) ** 2).sum()) or 1.0


def _cosine(a: Array, b: Array) -> float:
    return float(a.astype(np.float64) @ b.astype(np.float64) / np.sqrt(_energy(a) * _energy(b)))


def _sites(vectors: Mapping[str, ConceptVector]) -> list[str]:
    return sorted({site for vector in vectors.values() for site in vector.arrays})


def _holders(site: str, vectors: Mapping[str, ConceptVector]) -> Sequence[ConceptVector]:
    return [vector for vector in vectors.values() if site in vector.arrays]


def _at(site: str, vectors: Mapping[str, ConceptVector]) -> dict[str, Array]:
    here = {name: v.arrays[site] for name, v in vectors.items() if site in v.arrays}
    if len({array.shape for array in here.values()}) > 1:
        shapes = ", ".join(f"{name} {array.shape}" for name, array in here.items())
        raise ConceptError(
            f"the vectors differ in shape at {site!r}: {shapes}",
            "vectors that are added up must be learned at one size",
        )
    return here


def demand_one_model(vectors: Mapping[str, ConceptVector]) -> None:
    """Refuse vectors that were learned on different weights.

    Raises:
        ConceptError: they were.
    """
    digests = {name: vector.passport.model_digest for name, vector in vectors.items()}
    if len(set(digests.values())) > 1:
        told = ", ".join(f"{name} of {digest[:19]}…" for name, digest in digests.items())
        raise ConceptError(
            f"the vectors were made for different models: {told}",
            "take vectors that were learned on the same weights",
        )

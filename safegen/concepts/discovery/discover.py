"""Discovery of several concepts in one pass: what they share is computed once."""

import datetime
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import torch
from torch.nn import functional

from safegen.concepts.arithmetic import LEAST_LEFT
from safegen.concepts.discovery.contrast import contrast
from safegen.concepts.discovery.kept import settings_of
from safegen.concepts.discovery.learn import Learned
from safegen.concepts.discovery.score_matching import score_matching
from safegen.concepts.discovery.self_discovery import self_discovery
from safegen.concepts.discovery.spec import Budget, ConceptSpec
from safegen.concepts.discovery.trajectories import choose_pairs, has_bfloat16, sample_trajectories
from safegen.concepts.discovery.work import Workbench
from safegen.concepts.vector import ConceptVector, Levels, Method, Passport
from safegen.errors import ConceptError, InputError
from safegen.steering.site import find_site

METHODS: dict[Method, Callable[[Workbench, ConceptSpec, Budget], Learned]] = {
    "self-discovery": self_discovery,
    "score-matching": score_matching,
    "contrast": contrast,
}
_MEASURED = 16  # runs that say where activations lie without and with the concept


def discover(
    bench: Workbench, specs: Sequence[ConceptSpec], method: Method, budget: Budget
) -> dict[str, ConceptVector]:
    """Learn all of `specs`, which are one concept or one attribute group.

    Several are centred together, if the budget says so: what all of them share is no part of any.

    Raises:
        InputError: there is no such method.
        SteeringError: the model lacks a site.
        ConceptError: nothing was learned, or the loss is not finite.
    """
    if method not in METHODS:
        raise InputError(f"no method {method!r}", f"expected one of: {', '.join(METHODS)}")
    for spec in specs:
        for site in spec.sites:
            find_site(bench.pipeline.unet, site)
    learned = {}
    for spec in specs:
        name = bench.name("learned", method, spec, budget)
        kept = bench.piece(name, lambda spec=spec: vars(METHODS[method](bench, spec, budget)))  # type: ignore[misc]
        learned[spec.name] = Learned(**kept)
    if budget.centre and len(specs) > 1:
        learned = _centred(learned)
    return {
        spec.name: _finished(bench, spec, specs, method, budget, learned[spec.name])
        for spec in specs
    }


def _centred(learned: Mapping[str, Learned]) -> dict[str, Learned]:
    sites = {site for each in learned.values() for site in each.tensors}
    means = {
        site: torch.stack([each.tensors[site] for each in learned.values()]).mean(0)
        for site in sites
    }
    for name, each in learned.items():
        for site, tensor in each.tensors.items():
            if not (tensor - means[site]).norm() > LEAST_LEFT * tensor.norm():
                raise ConceptError(
                    f"nothing is left of {name!r} at {site} without what its group shares: "
                    f"{', '.join(learned)} came out the same",
                    "give the concepts of a group prompts that differ",
                )
    return {
        name: replace(
            each, tensors={site: tensor - means[site] for site, tensor in each.tensors.items()}
        )
        for name, each in learned.items()
    }


def _finished(
    bench: Workbench,
    spec: ConceptSpec,
    together: Sequence[ConceptSpec],
    method: Method,
    budget: Budget,
    learned: Learned,
) -> ConceptVector:
    """The learned tensors with their passport and their levels.

    "Before" are runs of what the concept leads away from (the prompts to avoid, or the neutral
    ones), "after" runs of the target prompts. Levels are what a projection gate goes by; the
    typical activation norm is the unit of relative strengths and of the norm cap.
    """
    measured = budget.model_copy(update={"sampling_steps": min(budget.sampling_steps, 10)})
    count = min(_MEASURED, max(2, budget.trajectories // 2))
    pairs = choose_pairs(spec, count, budget.seed)
    before, after = (
        sample_trajectories(bench, prompts, away, spec.sites, measured)
        for prompts, away in (
            ([pair.avoid or pair.neutral for pair in pairs], [""] * count),
            ([pair.target for pair in pairs], [pair.avoid for pair in pairs]),
        )
    )
    levels = {}
    for site, tensor in learned.tensors.items():
        unit = functional.normalize(tensor, dim=0)
        levels[site] = Levels(
            *(
                torch.einsum("schw,chw->shw", made.means[site].mean(0), unit).numpy()
                for made in (before, after)
            )
        )
    settings = settings_of(spec, together, budget)
    if not has_bfloat16(bench.device):
        settings["precision"] = "full"
    passport = Passport(
        concept=spec.name,
        model_family=type(bench.pipeline.unet).__name__,
        model_digest=bench.digest,
        model_digest_bfloat16=bench.digest_bfloat16,
        site_shapes={site: tuple(tensor.shape) for site, tensor in learned.tensors.items()},
        method=method,
        settings=settings,
        seed=budget.seed,
        prompts=spec.prompts(),
        held_out=tuple((pair.neutral, pair.target, pair.avoid) for pair in spec.held_out),
        date=datetime.datetime.now(datetime.UTC).date().isoformat(),
        activation_norms=dict(before.norms),
        work={"unet_forwards": round(learned.forwards, 1), **learned.evidence},
    )
    arrays = {site: tensor.numpy() for site, tensor in learned.tensors.items()}
    return ConceptVector(passport, arrays, levels)

"""Contrast: the difference of mean activations over paired prompts, in closed form.

    c = mean over runs and steps of h(y_target) − mean of h(y_neutral)

Both runs of a pair start from the same noise, so what they share cancels. No gradient is needed;
the cost is that of sampling a few dozen images.
"""

from torch import Tensor
from torch.nn import functional

from safegen.concepts.discovery.learn import Learned
from safegen.concepts.discovery.spec import Budget, ConceptSpec
from safegen.concepts.discovery.trajectories import choose_pairs, sample_trajectories
from safegen.concepts.discovery.work import Workbench
from safegen.errors import ConceptError

_LEAST_AGREEMENT = 0.2


def contrast(bench: Workbench, spec: ConceptSpec, budget: Budget) -> Learned:
    """Learn `spec` from runs of its neutral and its target prompts, guided away from `avoid`.

    Raises:
        ConceptError: the differences of one half of the runs are not those of the other half:
            there is nothing in common to learn, or too few runs.
    """
    pairs = choose_pairs(spec, budget.trajectories // 2, budget.seed)
    neutral = [pair.neutral for pair in pairs]
    start = sample_trajectories(bench, neutral, [""] * len(pairs), spec.sites, budget)
    end = sample_trajectories(
        bench, [p.target for p in pairs], [p.avoid for p in pairs], spec.sites, budget
    )
    tensors, evidence = {}, {}
    for site in spec.sites:
        halves = (end.means[site] - start.means[site]).mean(1)  # [2, C, H, W]
        even, odd = halves.flatten(1)
        agreement = functional.cosine_similarity(even, odd, dim=0).item()
        evidence[f"agreement {site}"] = agreement
        if not agreement > _LEAST_AGREEMENT:
            raise ConceptError(
                f"at {site} the two halves of the runs disagree on {spec.name!r}: the cosine of "
                f"their differences is {agreement:.2f}, expected more than {_LEAST_AGREEMENT}",
                "give it a larger budget, and prompts that differ in the concept alone",
            )
        tensors[site] = _sized(halves.mean(0), start.norms[site], budget)
    return Learned(tensors, start.forwards + end.forwards, evidence)


def _sized(difference: Tensor, typical: float, budget: Budget) -> Tensor:
    if not budget.normalise:
        return difference
    return difference * (typical / difference.square().sum(0).mean().sqrt().clamp(min=1e-12))

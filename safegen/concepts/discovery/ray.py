"""Discovery on a Ray cluster: one task per concept or attribute group."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from safegen.cluster import gpus_of, joined
from safegen.concepts.discovery.discover import discover
from safegen.concepts.discovery.spec import Budget, ConceptSpec
from safegen.concepts.discovery.work import Workbench
from safegen.concepts.vector import ConceptVector, Method


def discover_on_ray(
    open_model: Callable[[], Any],
    units: Sequence[Sequence[ConceptSpec]],
    method: Method,
    budget: Budget,
    folder: Path,
    run: str,
) -> Iterator[dict[str, ConceptVector]]:
    """Learn every unit in a task of its own; each comes back as it is finished, in any order.

    Joins the cluster that Ray finds (`RAY_ADDRESS`), or starts one on this machine. A task takes a
    GPU where the cluster has one.

    Args:
        open_model: opens the pipeline in a task; must be picklable.
        units: concepts to learn together.
        method: of all units.
        budget: of all units.
        folder: where the state of the work is kept; shared by the machines, or lost with a task.
        run: its name, under which the pieces of the work are noted.

    Raises:
        MissingExtraError: Ray is not installed.
        SafeGenError: what `discover` raises.
    """

    def learn(unit: Sequence[ConceptSpec]) -> dict[str, ConceptVector]:
        return discover(Workbench(open_model(), folder=folder, run=run), unit, method, budget)

    with joined("discovery on a cluster") as ray:
        task = ray.remote(num_gpus=min(1, gpus_of(ray)))(learn)
        waiting = [task.remote(unit) for unit in units]
        while waiting:
            done, waiting = ray.wait(waiting)
            try:
                yield ray.get(done[0])
            except ray.exceptions.RayTaskError as error:
                raise error.cause or error from None

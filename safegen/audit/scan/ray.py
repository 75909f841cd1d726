"""A scan on a Ray cluster: Ray Data hands units of work to actors that hold the detectors."""

import logging
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

from safegen.audit.scan.examine import Examiner, Seen
from safegen.audit.scan.result import Scanned
from safegen.audit.scan.sources import WorkUnit
from safegen.cluster import gpus_of, joined
from safegen.errors import DetectorError, MissingExtraError
from safegen.policy import Policy
from safegen.policy.bundle import as_one_file

_BLOCK = 16  # units that one task is given


class _Worker:
    """In an actor: the detectors, loaded once."""

    def __init__(self, policy: bytes, detectors: Sequence[str]) -> None:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "policy"
            path.write_bytes(policy)
            self._examiner = Examiner(Policy.load(path), detectors)

    def __call__(self, batch: dict[str, Any]) -> Iterator[Any]:
        import pyarrow

        for seen in self._examiner.examine(map(WorkUnit.load, batch["unit"])):
            results = [each.result.model_dump_json() if each.result else "" for each in seen]
            yield pyarrow.table(
                {
                    "name": [each.name for each in seen],
                    "result": results,
                    "thumbnail": [each.thumbnail for each in seen],
                }
            )


def examine_on_ray(
    policy: str | Path,
    detectors: Sequence[str],
    units: Iterable[WorkUnit],
    actors: int | None,
) -> Iterator[list[Seen]]:
    """As `Examiner.examine`, by actors on the cluster that Ray finds, or one made on this machine.

    The machines must see the files under the same paths. The list of the files lies in Ray's object
    store, which spills to disk.

    Args:
        policy: a file, a bundle, or a shipped pack; it travels to the actors.
        detectors: names of further detectors.
        units: what to look at.
        actors: how many hold the detectors; by default one a GPU, or one a machine, whose cores
            its detectors share.

    Raises:
        MissingExtraError: Ray, or what Ray Data needs, is not installed.
        DetectorError: the work failed on the cluster.
    """
    with joined("a scan on a cluster") as ray:
        try:
            import pyarrow
            import ray.data as data
        except ImportError as error:
            raise MissingExtraError("ray[data]", "ray", "a scan on a cluster") from error
        logging.getLogger("ray.data").setLevel("WARNING")
        blocks: list[Any] = []
        dumped = (unit.dump() for unit in units)
        while block := list(islice(dumped, _BLOCK)):
            blocks.append(ray.put(pyarrow.table({"unit": block})))
        if not blocks:
            return
        data.DataContext.get_current().enable_progress_bars = False
        gpus = gpus_of(ray)
        try:
            found = data.from_arrow_refs(blocks).map_batches(
                _Worker,
                batch_size=1,
                compute=data.ActorPoolStrategy(size=actors or gpus or len(ray.nodes())),
                fn_constructor_args=(as_one_file(policy), detectors),
                num_gpus=min(1, gpus),
            )
            batches: Iterator[Any] = iter(
                found.iter_batches(batch_size=None, batch_format="pyarrow")
            )
            for batch in batches:
                yield [_seen(**row) for row in batch.to_pylist()]
        except ray.exceptions.RayError as error:
            raise DetectorError(
                f"the scan failed on the cluster: {error}",
                "run the same command again, it goes on where it was",
            ) from error


def _seen(name: str, result: str, thumbnail: bytes) -> Seen:
    return Seen(name, Scanned.model_validate_json(result) if result else None, thumbnail)

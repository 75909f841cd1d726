"""Ray, where work is spread over machines or GPUs."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Literal, get_args

from safegen.errors import MissingExtraError

Engine = Literal["local", "ray"]
"""Where work is done: on this machine, or by tasks or actors on a cluster."""
ENGINES: tuple[Engine, ...] = get_args(Engine)


@contextmanager
def joined(what: str) -> Iterator[Any]:
    """Ray, on the cluster that it finds (`RAY_ADDRESS`), or on one started here and ended after.

    Args:
        what: shall be done there, for the error.

    Raises:
        MissingExtraError: Ray is not installed.
    """
    try:
        import ray
    except ImportError as error:
        raise MissingExtraError("ray", "ray", what) from error
    ours = not ray.is_initialized()
    if ours:
        ray.init(log_to_driver=False, include_dashboard=False, logging_level=logging.WARNING)
    try:
        yield ray
    finally:
        if ours:
            ray.shutdown()


def gpus_of(ray: Any) -> int:
    """How many GPUs the cluster has."""
    return int(ray.cluster_resources().get("GPU", 0))

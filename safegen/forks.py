"""Torch does not survive a fork: the threads that it calculates with stay behind in the parent.

The child would wait for them for ever. So it is told, where torch calculated on several threads
before the fork; on one (`OMP_NUM_THREADS=1`) there is none to wait for.
"""

import os

from safegen.errors import InputError

_CALCULATED: dict[int, str] = {}
"""For what, by process: this one, or those that it is a fork of."""


def demand_torch() -> None:
    """Check that torch can calculate in this process.

    Raises:
        InputError: this process is a fork of one in which it calculated, on several threads.
    """
    for process, purpose in _CALCULATED.items():
        if process != os.getpid():
            raise InputError(
                f"this process is a fork of one in which torch calculated, for {purpose}, and here "
                "it would wait for ever for threads that stayed there",
                "make guard and pipeline in each worker, after the fork, and none before it; or "
                "start the workers by spawn",
            )


def torch_runs(purpose: str) -> None:
    """Note that torch is about to calculate in this process.

    Raises:
        InputError: it cannot, see `demand_torch`.
    """
    import torch

    demand_torch()
    if torch.get_num_threads() > 1:
        _CALCULATED.setdefault(os.getpid(), purpose)

"""What a fork leaves behind in the parent: threads, and the locks that they hold.

Torch does not survive it: the child would wait for ever for the threads that it calculated with. So
it is told, where torch calculated on several threads before the fork; on one (`OMP_NUM_THREADS=1`)
there is none to wait for.
"""

import os
from collections.abc import Callable
from typing import Any, TypeVar
from weakref import WeakKeyDictionary

from safegen.errors import InputError

Owner = TypeVar("Owner")

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


_IN_CHILD: WeakKeyDictionary[Any, Callable[[Any], None]] = WeakKeyDictionary()


def in_each_child(owner: Owner, does: Callable[[Owner], None]) -> None:
    """Have `does(owner)` done in every process that is forked while the owner is in use.

    Args:
        owner: what had threads or locks in the parent; it is not kept alive.
        does: a function of its class, not a method bound to it.
    """
    _IN_CHILD[owner] = does


def _begin_again() -> None:
    for owner, does in list(_IN_CHILD.items()):
        does(owner)


os.register_at_fork(after_in_child=_begin_again)

"""One call at a time: a pipeline and its scheduler keep the state of the call they are in."""

from contextlib import AbstractContextManager
from threading import RLock
from typing import Any
from weakref import WeakKeyDictionary

_LOCKS: "WeakKeyDictionary[Any, AbstractContextManager[bool]]" = WeakKeyDictionary()


def turn(pipeline: Any) -> AbstractContextManager[bool]:
    """The right to call `pipeline`; others wait for it, those of the same thread do not.

    It goes with the scheduler, which the pipelines that `from_pipe` makes of one another share.
    """
    scheduler = getattr(pipeline, "scheduler", None)
    return _LOCKS.setdefault(pipeline if scheduler is None else scheduler, RLock())

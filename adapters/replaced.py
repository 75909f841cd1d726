"""A method of an object, replaced for a while."""

import functools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any


@contextmanager
def replaced(owner: Any, name: str, by: Callable[..., Any]) -> Iterator[None]:
    """Have calls of the method go to `by` within the block; afterwards all is as it was.

    It passes for what it replaces: pipelines look which arguments a scheduler's `step` takes.
    """
    method, own = getattr(owner, name), vars(owner).get(name)
    setattr(owner, name, functools.wraps(method)(by))
    try:
        yield
    finally:
        delattr(owner, name)
        if own is not None:  # another replacement's, or the caller's
            setattr(owner, name, own)

"""What is under way, for whoever has to wait for its end."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from threading import Condition

_WITHIN: ContextVar[tuple["UnderWay", ...]] = ContextVar("under_way", default=())


class UnderWay:
    """Pieces of work in any threads, until it is closed."""

    def __init__(self) -> None:
        """Nothing is under way."""
        self._changed = Condition()
        self._pieces: set[object] = set()
        self._closed = False

    @contextmanager
    def piece(self) -> Iterator[bool]:
        """One piece of work, as long as the block; False: it is closed, and waits for no more."""
        piece = object()
        before = _WITHIN.set((*_WITHIN.get(), self))
        try:
            with self._changed:
                if not self._closed:
                    self._pieces.add(piece)
            yield piece in self._pieces
        finally:
            with self._changed:
                self._pieces.discard(piece)
                self._changed.notify_all()
            _WITHIN.reset(before)

    @property
    def within(self) -> bool:
        """Whether this is asked in a piece of it, which cannot wait for its own end."""
        return self in _WITHIN.get()

    def close(self) -> None:
        """Take no more, and wait for the end of what has begun; from within, for nothing."""
        with self._changed:
            self._closed = True
            self._changed.wait_for(lambda: self.within or not self._pieces)

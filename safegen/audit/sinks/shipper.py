"""`Shipper`: brings what a ledger holds to a sink, now or for as long as it is written."""

import random
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from hashlib import sha256
from pathlib import Path

from safegen.audit.ledger.event import now
from safegen.audit.sinks.base import Batch, Cursor, Sink
from safegen.audit.sinks.kept import alone, load, save
from safegen.audit.sinks.source import Source
from safegen.diagnostics import Diagnostics
from safegen.errors import LedgerError, SafeGenError, SinkError
from safegen.nouns import Frozen

FOLDER = "sinks"  # in that of the ledger, by default
_STATE = "state.json"
_FIRST_PAUSE, _LONGEST_PAUSE = 0.5, 60.0  # seconds, after the first failure and after many
_FAREWELL = 10.0  # seconds that a sink is waited for at the end

_log = Diagnostics("safegen.sinks")


class Status(Frozen):
    """How a sink stands: the lines of the ledger that it holds and lacks, and what ails it.

    Lines that were purged before they could be delivered count as delivered. `time` is that of the
    last delivery or failure.
    """

    to: str
    delivered: int
    behind: int
    error: str = ""
    time: str


class Shipped(Status):
    """How a sink stands after a run, and the first line that was left for that run."""

    begin: int


class _State(Frozen):
    """What is kept between runs."""

    to: str
    cursor: Cursor
    error: str
    time: str

    def status(self, count: int) -> Status:
        delivered = self.cursor.seq + 1
        behind = max(0, count - delivered)
        return Status(
            to=self.to, delivered=delivered, behind=behind, error=self.error, time=self.time
        )


class Shipper:
    """Delivers a ledger's lines to one sink, each at least once, in order.

    Best run in a process of its own (`safegen audit ship --follow`). In the process of a guard,
    `following` runs it in a thread, which no request ever waits for, but which shares the
    interpreter with them.
    """

    def __init__(self, ledger: str | Path, sink: Sink, *, state: str | Path | None = None) -> None:
        """Ship from a ledger's folder.

        Args:
            ledger: the folder.
            sink: where to; see `sink_at`.
            state: folder for what is kept between runs; by default `sinks` in the ledger's.

        Raises:
            LedgerError: there is no such ledger.
        """
        self.source = Source(ledger)
        self.sink = sink
        self._states = _state_folder(self.source.folder, state)
        self._folder = self._states / _name_of(sink.to)
        self._cursor = Cursor(ledger=self.source.ledger)

    def begin(self) -> int:
        """The line at which a run would begin, as far as is kept here.

        Raises:
            LedgerError: what is kept here is of another ledger.
            OutputError: it is damaged.
        """
        return self._kept().seq + 1

    def once(self, progress: Callable[[int, int], None] = lambda done, total: None) -> Shipped:
        """Deliver what the ledger holds now.

        Args:
            progress: called after each batch with lines delivered and lines to deliver.

        Raises:
            SinkError: the sink does not take them, or the disk is full; what it took counts.
            LedgerError: the ledger is not what was written, or not the one delivered so far.
            OutputError: what is kept between runs cannot be written.
        """
        count = self.source.count()

        def enough() -> bool:
            progress(self._cursor.seq + 1, count)
            return self._cursor.seq + 1 >= count

        with self._session():
            begin = self._cursor.seq + 1
            self._pass(enough)  # even if there is nothing new: is it still the same ledger?
            while not enough():
                self._pass(enough)
            return Shipped(**self._keep().status(count).model_dump(), begin=begin)

    def follow(self, stop: threading.Event) -> None:
        """Deliver what is there and what comes, until `stop` is set.

        A sink that fails, and a full disk where it is kept how far one has come, are tried again
        after pauses that grow to a minute.

        Raises:
            LedgerError: the ledger is not what was written, or not the one delivered so far.
            InputError: the sink can never take these records, or what is kept between runs
                cannot be written, though the disk has space.
        """
        failures = 0
        while not stop.is_set():
            try:
                with self._session():
                    self._pass(stop.is_set)
                    self._keep()
                    if failures:
                        _log.info("a sink takes records again", to=self.sink.to)
                        failures = 0
                    while not stop.wait(self.sink.pause):
                        self._pass(stop.is_set)
            except SinkError as error:
                longest = min(_FIRST_PAUSE * 2 ** min(failures, 20), _LONGEST_PAUSE)
                failures += 1
                pause = longest * random.uniform(0.5, 1)  # not all shippers at once
                _log.warning(
                    "a sink takes no records; they wait in the ledger",
                    to=self.sink.to,
                    error=error.message,
                    next_try_seconds=round(pause, 1),
                )
                stop.wait(pause)

    @contextmanager
    def following(self) -> Iterator[None]:
        """`follow` in a thread of its own for as long as the block runs."""
        stop = threading.Event()
        thread = threading.Thread(target=self._follow_and_tell, args=(stop,), daemon=True)
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join(_FAREWELL)

    def _follow_and_tell(self, stop: threading.Event) -> None:
        try:
            self.follow(stop)
        except SafeGenError as error:
            _log.error("shipping ended", to=self.sink.to, error=error.message, mend=error.mend)

    @contextmanager
    def _session(self) -> Iterator[None]:
        """Alone with the open sink; what goes wrong is kept for `statuses`."""
        with alone(self._folder, self.sink.to):
            self._cursor = self._kept()  # before anything is kept in its place
            try:
                with _whatever_it_raises(self.sink.to):
                    self._cursor = self.sink.open(self._cursor)
                yield
            except SafeGenError as error:
                with suppress(SafeGenError):  # what failed is told first
                    self._keep(error.message)
                raise
            finally:
                self.sink.close()

    def _pass(self, enough: Callable[[], bool]) -> None:
        """Deliver what is there, until it is enough or somebody else turns out to deliver too."""
        self.source.require(self._cursor, self.sink.to)
        for batch in self.source.batches(self._cursor, self.sink.most):
            self._deliver(batch)
            if self._cursor != batch.after or enough():
                return

    def _deliver(self, batch: Batch) -> None:
        with _whatever_it_raises(self.sink.to):
            self._cursor = self.sink.deliver(batch)
        self._keep()

    def _kept(self) -> Cursor:
        state = load(self._folder / _STATE, _State)
        if state is None:
            return Cursor(ledger=self.source.ledger)
        if state.cursor.ledger != self.source.ledger:
            raise LedgerError(
                f"{self.sink.to} was fed from another ledger than {self.source.folder}, by what is "
                f"kept in {self._states}: that ledger's key has the digest "
                f"{state.cursor.ledger[:16]}…, this one's {self.source.ledger[:16]}…",
                "give each ledger a --state of its own; if this one took the other's place, "
                f"restore that one, or move {self._folder} away to have everything delivered anew",
            )
        return state.cursor

    def _keep(self, error: str = "") -> _State:
        state = _State(to=self.sink.to, cursor=self._cursor, error=error, time=now())
        save(self._folder / _STATE, state)
        return state


def statuses(ledger: str | Path, state: str | Path | None = None) -> list[Status]:
    """How every sink stands that was ever shipped to from here, by this ledger.

    Raises:
        LedgerError: there is no such ledger.
        OutputError: what is kept of a sink is damaged.
    """
    source = Source(ledger)
    count = source.count()
    files = sorted(_state_folder(source.folder, state).glob(f"*/{_STATE}"))
    kept = filter(None, (load(file, _State) for file in files))
    return [each.status(count) for each in kept if each.cursor.ledger == source.ledger]


@contextmanager
def _whatever_it_raises(to: str) -> Iterator[None]:
    """A sink's driver may raise anything; none of it may end the shipping."""
    try:
        yield
    except SafeGenError:
        raise
    except Exception as error:
        raise SinkError(f"{to} failed: {type(error).__name__}: {error}") from error


def _state_folder(ledger: Path, state: str | Path | None) -> Path:
    return Path(state) if state else ledger / FOLDER


def _name_of(to: str) -> str:
    """A folder's name for a sink: readable, and its own."""
    readable = re.sub(r"[^A-Za-z0-9]+", "-", to).strip("-")[:60]
    return f"{readable}-{sha256(to.encode()).hexdigest()[:8]}"

"""How a command ends when nobody reads it, its disk is full, or it is told to end.

Exit code 1 is an answer and 70 a bug, and none of these is either. A command whose reader left
ends as other Unix programs do, by SIGPIPE; one that was told to end, by that signal; in both cases
after every `finally`, so that temporary files are gone.
"""

import codecs
import errno
import io
import json
import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any, NoReturn

import typer

from safegen.errors import SafeGenError

_ESCAPED = "safegen.escaped"
_TOLD = (signal.SIGTERM, signal.SIGHUP)


class _Told(io.RawIOBase):
    """Standard error: what cannot be written there is lost, and the work goes on."""

    def __init__(self) -> None:
        self.error: OSError | None = None
        self.file = -1

    def writable(self) -> bool:
        """That is all it is."""
        return True

    def fileno(self) -> int:
        """The number of the open file."""
        return self.file

    def isatty(self) -> bool:
        """Whether people see it."""
        return os.isatty(self.file)

    def write(self, data: Any) -> int:
        """Write, until that fails once; the rest is dropped."""
        if self.error is None:
            try:
                return os.write(self.file, data)
            except OSError as error:
                self.error = error
                self._fail()
        return len(data)

    def _fail(self) -> None:
        pass


class _Results(_Told):
    """Standard output: where nobody gets the results, the work is in vain."""

    def _fail(self) -> NoReturn:
        # No OSError: rich and typer make exit code 1 of one.
        raise SystemExit(2)


def refuse(error: SafeGenError, *, to_stderr: bool = False) -> NoReturn:
    """End with exit code 2 and what can be mended: on stderr, or as JSON where that was asked for.

    JSON goes to stdout, unless something else stands there that machines read.
    """
    if "--json" in sys.argv:
        mended = {"message": error.message, "mend": error.mend}
        told = json.dumps({"error": {"type": type(error).__name__, **mended}})
        typer.echo(told, err=to_stderr)
    else:
        typer.echo(f"error: {error}", err=True)
    sys.exit(2)


@contextmanager
def ending() -> Iterator[None]:
    """While the block runs, a lost reader, a full disk, SIGTERM and SIGHUP end it as they should.

    Commands with handlers of their own put them in the place of these. In another thread than the
    main one, and where others have taken the streams or the signals, these stay as they are.
    """
    signals: list[int] = []
    handlers = _hear(signals)
    streams = sys.stdout, sys.stderr
    results = _Results()
    sys.stdout = _over(sys.stdout, sys.__stdout__, results)
    sys.stderr = _over(sys.stderr, sys.__stderr__, _Told())
    try:
        try:
            yield
        finally:
            if sys.stdout is not None:
                sys.stdout.flush()
    finally:
        error = results.error
        if error and error.errno == errno.EPIPE:
            signals.append(signal.SIGPIPE)
        elif error and not signals:
            print(f"error: cannot write the results: {error}", file=sys.stderr)
        sys.stdout, sys.stderr = streams
        for number, handler in handlers.items():
            signal.signal(number, handler)
        if signals:
            _end_by(signals[0])
        if error:  # whatever the command made of it
            raise SystemExit(2)


def _escaped(error: UnicodeError) -> tuple[str, int]:
    """What an encoding cannot say, escaped as in JSON, so that JSON stays JSON."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    return json.dumps(error.object[error.start : error.end])[1:-1], error.end


codecs.register_error(_ESCAPED, _escaped)


def _over(stream: Any, own: Any, raw: _Told) -> Any:
    """The same stream by way of `raw`, if it is the process's own and open."""
    if stream is None or stream is not own:
        return stream
    raw.file = stream.fileno()
    return io.TextIOWrapper(
        io.BufferedWriter(raw),
        encoding=stream.encoding,
        errors=_ESCAPED if stream.errors == "strict" else stream.errors,
        line_buffering=stream.line_buffering,
        write_through=stream.write_through,
    )


def _hear(signals: list[int]) -> dict[int, Any]:
    """Let the signals that end a process raise SystemExit, once; gives the handlers before."""

    def end(number: int, _: FrameType | None) -> NoReturn:
        signal.signal(number, signal.SIG_DFL)  # a second one ends it at once
        signals.append(number)
        raise SystemExit(128 + number)

    if threading.current_thread() is not threading.main_thread():
        return {}
    # One that is ignored, as under nohup, stays so.
    free = [number for number in _TOLD if signal.getsignal(number) == signal.SIG_DFL]
    return {number: signal.signal(number, end) for number in free}


def _end_by(number: int) -> NoReturn:
    """End by a signal, as if nobody had heard it; the first process of a container cannot."""
    if threading.current_thread() is threading.main_thread():
        signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)
    raise SystemExit(128 + number)

"""Everything SafeGen raises that a user can mend.

SafeGenError
├── InputError              a value from the caller cannot be used
│   ├── UnknownModelError   no such model, or not one SafeGen can steer
│   ├── UnknownConceptError no such concept in the store
│   └── OutputError         a folder or file cannot be written
├── MissingExtraError       an optional package is not installed
├── PolicyError             a policy file is wrong: file:line:column, reason, mend
├── ConceptError            a concept vector is damaged or made for something else
├── SteeringError           steering cannot be attached, or its self-test failed
├── ClassifierError         a risk classifier failed
├── DetectorError           an image detector failed
├── MarkingError            an image could not be marked as generated
├── SinkError               what records are shipped to does not take them now
└── LedgerError             the ledger cannot be read or written
    └── LedgerTamperedError a record is not what was written; names the record
"""

import difflib
from collections.abc import Iterable
from enum import StrEnum
from typing import Any

_LONGEST = 2000  # characters of what other code says


class SafeGenError(Exception):
    """Base of all: `message` says what was expected and what came, `mend` how to put it right."""

    def __init__(self, message: str, mend: str | None = None) -> None:
        super().__init__(message if mend is None else f"{message}\n  mend: {mend}")
        self.message = message
        self.mend = mend

    def __reduce__(self) -> tuple[Any, ...]:
        """For pickles and copies: as it is, where the default would call the constructor anew."""
        return _again, (type(self), self.args), self.__dict__


def _again(kind: type[SafeGenError], args: tuple[Any, ...]) -> SafeGenError:
    return kind.__new__(kind, *args)


class InputError(SafeGenError):
    """A value from the caller cannot be used."""


class UnknownModelError(InputError):
    """No such model, or not one SafeGen can steer."""


class UnknownConceptError(InputError, KeyError):
    """No such concept in the store; a KeyError too, for a store is a mapping."""

    __str__ = SafeGenError.__str__  # KeyError's would quote the message


class OutputError(InputError):
    """A folder or file cannot be written."""


class MissingExtraError(SafeGenError):
    """An optional package is not installed."""

    def __init__(self, package: str, extra: str, purpose: str) -> None:
        super().__init__(
            f"{purpose} needs the package `{package}`, which is not installed",
            f"pip install 'safegen[{extra}]'",
        )
        self.package = package
        self.extra = extra


class PolicyError(SafeGenError):
    """A policy file is wrong; `line` and `column` count from 1."""

    def __init__(
        self,
        reason: str,
        *,
        source: str = "<policy>",
        line: int | None = None,
        column: int | None = None,
        mend: str | None = None,
    ) -> None:
        where = ":".join(str(part) for part in (source, line, column) if part is not None)
        super().__init__(f"{where}: {reason}", mend)
        self.reason = reason
        self.source = source
        self.line = line
        self.column = column


class ConceptError(SafeGenError):
    """A concept vector is damaged or made for something else."""


class SteeringError(SafeGenError):
    """Steering cannot be attached, or its self-test failed."""


class ClassifierError(SafeGenError):
    """A risk classifier failed."""


class DetectorError(SafeGenError):
    """An image detector failed."""


class MarkingError(SafeGenError):
    """An image could not be marked as generated, so that it is not returned."""


class SinkError(SafeGenError):
    """What records are shipped to does not take them now; they are kept, and offered again."""


class LedgerError(SafeGenError):
    """The ledger cannot be read or written."""


class Tampering(StrEnum):
    """What was done to a ledger."""

    ALTERED = "altered"
    REMOVED = "removed"
    REORDERED = "reordered"
    TRUNCATED = "truncated"
    FORKED = "forked"


class LedgerTamperedError(LedgerError):
    """A record is not what was written; `seq` is its number, counted from 0."""

    def __init__(self, message: str, seq: int, mend: str | None = None, *, kind: Tampering) -> None:
        super().__init__(message, mend)
        self.seq = seq
        self.kind = kind


def nearest(name: str, known: Iterable[str], alike: float = 0.6) -> str:
    """Of known names the nearest, if one is that much alike; else empty."""
    return next(iter(difflib.get_close_matches(name, sorted(known), n=1, cutoff=alike)), "")


def did_you_mean(name: str, known: Iterable[str], alike: float = 0.6) -> str:
    """How to mend an unknown name: the nearest one, if it is that much alike, or all."""
    names = sorted(known)
    if near := nearest(name, names, alike):
        return f"did you mean {near}?"
    return f"known are: {', '.join(names) or 'none'}"


def words(said: object) -> str:
    """What other code says, an exception for instance, so that any record and log can hold it.

    Half a surrogate pair is replaced, and what is longer than 2,000 characters is cut.
    """
    try:
        text = str(said)
    except Exception as error:  # noqa: BLE001 - of other code
        text = f"({type(error).__name__} when asked for its words)"
    if len(text) > _LONGEST:
        text = f"{text[:_LONGEST]}… ({len(text)} characters)"
    return text.encode("utf-8", "replace").decode()

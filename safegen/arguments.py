"""What a caller without types may give as well, where it would pass silently or fail far inside."""

from collections.abc import Collection
from os import PathLike
from pathlib import Path

from safegen.errors import InputError


def demand(name: str, value: object, kind: type | tuple[type, ...], mend: str) -> None:
    """Check the type of an argument.

    Raises:
        InputError: it is of none of these.
    """
    if not isinstance(value, kind):
        kinds = kind if isinstance(kind, tuple) else (kind,)
        names = " or ".join(each.__name__ for each in kinds)
        raise InputError(f"expected a {names} as {name}, got a {type(value).__name__}", mend)


def demand_each(name: str, values: object, kind: type, mend: str) -> None:
    """Check an argument that is a list, tuple or the like of such.

    Raises:
        InputError: it is none, as one text is not, which to Python is a sequence of its letters.
    """
    expected = f"expected a list of {kind.__name__} as {name}, got"
    if not isinstance(values, Collection) or isinstance(values, str | bytes):
        raise InputError(f"{expected} a {type(values).__name__}", mend)
    for value in values:
        if not isinstance(value, kind):
            raise InputError(f"{expected} a {type(value).__name__} in it", mend)


def as_path(name: str, value: object) -> Path:
    """The path of a file or a folder; an empty text is none, though Python takes it for ".".

    Raises:
        InputError: it is none.
    """
    if isinstance(value, str | PathLike) and value != "":
        return Path(value)
    got = "an empty text" if value == "" else f"a {type(value).__name__}"
    raise InputError(f"expected a path as {name}, got {got}", 'for the current folder, give "."')

"""Names of concepts, each of which becomes a file's name, on Windows and macOS too."""

import re
from collections.abc import Iterable

NAME = r"^[A-Za-z0-9][A-Za-z0-9_.-]*$"
_RESERVED = re.compile(r"(con|prn|aux|nul|com[0-9]|lpt[0-9])(\..*)?", re.IGNORECASE)


def wrong_with(name: str, others: Iterable[str] = ()) -> str | None:
    """Why a concept cannot have this name beside `others`; None: it can."""
    if not re.fullmatch(NAME[1:-1], name):
        return f"{name!r} is not a concept's name: letters, digits, '_', '.' and '-' make one"
    if _RESERVED.fullmatch(name):
        return f"{name!r} is a name that Windows keeps for itself"
    for other in others:
        if other != name and other.lower() == name.lower():
            return f"{name!r} and {other!r} are one file where case does not count"
    return None

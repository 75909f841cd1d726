"""What a record and a log say of a failure: nothing that could quote the prompt.

Other code that is given the prompt (a model, a classifier) may quote it in its exceptions in any
form: shortened, in tokens, as JSON. No search finds them all, so none of its words are kept.
"""

import errno
import traceback
from collections.abc import Iterator
from pathlib import Path

from safegen.errors import SafeGenError

_WORTH_HIDING = 4  # characters; taking out shorter ones would show them by what is left


def told(failure: BaseException, *private: str) -> str:
    """A failure in SafeGen's own words, without those that are private.

    Of another exception, one that an error of SafeGen's came of, and one that quotes what is too
    short to be taken out, there are its type and where it was raised.
    """
    foreign: BaseException | None = failure
    while isinstance(foreign, SafeGenError):
        foreign = foreign.__cause__
    if not isinstance(failure, SafeGenError):
        return _raised(failure)
    words = failure.message
    if foreign is not None:
        theirs = str(foreign)
        if not theirs or not words.endswith(theirs):  # who knows how it is quoted
            return f"{_raised(failure)}, from {_raised(foreign)}"
        words = words.removesuffix(theirs) + _raised(foreign)
    kept = without(words, raised := _raised(failure), *private)
    return raised if kept == raised else f"{type(failure).__name__}: {kept}"


def traced(failure: BaseException) -> str:
    """The traceback of a failure and of what led to it, the first one first, without any words."""
    return "\nwhich led to\n\n".join(
        "".join(
            (
                "Traceback (most recent call last):\n",
                *traceback.format_tb(each.__traceback__),
                f"{_raised(each)}\n",
            )
        )
        for each in reversed(list(_led_by(failure)))
    )


def without(text: str, instead: str, *private: str) -> str:
    """The text of an error without what may not stand there, such as the prompt.

    Short texts are parts of other words too: where one occurs, `instead` is all that is told.
    """
    short = (each for each in private if 0 < len(each) < _WORTH_HIDING)
    if any(each in text or repr(each)[1:-1] in text for each in short):
        return instead
    return hidden(text, *private)


def hidden(text: str, *private: str) -> str:
    """The text without those of these that are long enough to be taken out; see `without`.

    One may be part of another, of which then nothing is to be left.
    """
    for each in sorted(private, key=len, reverse=True):
        if len(each) >= _WORTH_HIDING:
            text = text.replace(each, "[hidden]").replace(repr(each)[1:-1], "[hidden]")
    return text


def _raised(error: BaseException) -> str:
    """Its type, of the system's failures their name, and the innermost place that it came from."""
    kind = type(error).__name__
    if isinstance(error, OSError) and isinstance(error.errno, int):
        kind = f"{kind} {errno.errorcode.get(error.errno, '')}".rstrip()
    if error.__traceback__ is None:
        return kind
    [frame] = traceback.extract_tb(error.__traceback__, limit=-1)
    return f"{kind} in {frame.name} ({Path(frame.filename).name}:{frame.lineno})"


def _led_by(failure: BaseException) -> Iterator[BaseException]:
    """A failure and what led to it, as far as Python's own tracebacks go back."""
    seen: set[int] = set()
    each: BaseException | None = failure
    while each is not None and id(each) not in seen:
        yield each
        seen.add(id(each))
        each = each.__cause__ or (None if each.__suppress_context__ else each.__context__)

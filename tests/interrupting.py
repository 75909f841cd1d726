"""Exceptions that a signal's handler raises, at each moment at which one can strike, in turn."""

import dis
import sys
from collections.abc import Callable, Iterator
from types import CodeType, FrameType
from typing import Any

# After these the interpreter looks whether a signal came; what is in C is whole or was not begun.
_LOOKS = ("RESUME", "CALL", "CALL_KW", "CALL_FUNCTION_EX", "JUMP_BACKWARD")


class Deadline(BaseException):
    """What the handler raises."""


def interrupted(
    work: Callable[[], object], *where: str, keep: list[Deadline] | None = None
) -> Iterator[int]:
    """Run `work` again and again, each time cut off one moment later, until it is whole.

    Args:
        work: what is cut off.
        where: parts of the names of the files in whose code that is to happen.
        keep: takes what was raised: who keeps that, as a notebook does, keeps all that was at work.
    """
    number = 1
    while not _whole(work, number, where, keep):
        yield number
        number += 1


def _whole(
    work: Callable[[], object], number: int, where: tuple[str, ...], keep: list[Deadline] | None
) -> bool:
    """Run it up to this moment; whether it ended before."""
    left, before = number, dict[int, str]()

    def at(frame: FrameType, event: str, _: Any) -> Any:
        nonlocal left
        if event == "call":
            if not any(part in frame.f_code.co_filename for part in where):
                return None
            before.pop(id(frame), None)
            frame.f_trace_opcodes = True
        elif event == "opcode":
            if before.get(id(frame)) in _LOOKS:
                left -= 1
                if left == 0:
                    raise Deadline
            before[id(frame)] = _name(frame.f_code, frame.f_lasti)
        return at

    tracing = sys.gettrace()
    sys.settrace(at)
    try:
        work()
    except Deadline as cut:
        if keep is not None:
            keep.append(cut)
        return False
    finally:
        sys.settrace(tracing)
    return True


def _name(code: CodeType, place: int) -> str:
    """What is done at this place."""
    return dis.opname[code.co_code[place]]

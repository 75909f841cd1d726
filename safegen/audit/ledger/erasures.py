"""Erasings that a ledger tells of and that are not done: a crash came, or a file from a backup.

The store of keys remembers up to which segment all is done, so that not the whole ledger is read.
"""

from collections.abc import Iterator
from pathlib import Path

from safegen.audit.ledger.format import number_of, segments
from safegen.audit.ledger.query import Place, SingleLines, entry_of, where
from safegen.audit.ledger.standalone import Check
from safegen.audit.ledger.subjects import SubjectKeys
from safegen.diagnostics import Diagnostics
from safegen.errors import LedgerError
from safegen.nouns import Event

ERASED = "erased"
_log = Diagnostics("safegen.ledger")
_MARK = f'"what":"{ERASED}"'.encode()  # as canonical JSON has it; a text would escape the quotes


def finish_told(folder: Path, keys: SubjectKeys, end: Place, check: Check) -> None:
    """Delete the keys that the ledger says are erased and that are still there.

    Where segments were purged that the store has not heard, nobody knows which of its keys are
    erased; from then on none of them encrypts anything.

    Args:
        folder: the ledger.
        keys: of its subjects.
        end: of what was signed.
        check: verifies signatures.

    Raises:
        LedgerTamperedError: a line that says so was not signed with the ledger's key.
        ForeignKeysError: the keys are another ledger's; nothing was changed.
        LedgerError: a line cannot be read.
        OutputError: the store cannot be written.
    """
    keys.demand_own()
    known, first = keys.heard, min(map(number_of, segments(folder)), default=end.segment)
    if known < first:
        keys.retire_all()
        _log.warning(
            "keys of subjects are from before what was purged: they encrypt nothing more",
            heard=known,
            first_segment=first,
        )
    # Where the ledger came back from a backup, its segments begin again from an earlier one.
    if told := _erased(folder, min(known, end.segment), end, check):
        keys.delete(told)
    keys.set_heard(end.segment)


def _erased(folder: Path, start: int, end: Place, check: Check) -> set[str]:
    """The ids of the keys that lines from segment `start` up to `end` say are erased."""
    written, found = SingleLines(folder, check), set[str]()
    for place in _marked(folder, start, end):
        entry = entry_of(written.at(place), where(folder, place))
        if isinstance(entry, Event) and entry.what == ERASED:
            found.add(str(entry.details.get("key")))
    return found


def _marked(folder: Path, start: int, end: Place) -> Iterator[Place]:
    """Where the lines begin that hold the mark."""
    for path in segments(folder):
        number = number_of(path)
        if not start <= number <= end.segment:
            continue
        try:
            data = path.read_bytes()
        except FileNotFoundError:
            continue  # it was purged meanwhile
        except OSError as error:
            raise LedgerError(f"cannot read the ledger {folder}: {error}") from error
        stop = end.byte if number == end.segment else len(data)
        at = data.find(_MARK, 0, stop)
        while at >= 0:
            yield Place(number, data.rfind(b"\n", 0, at) + 1)
            at = data.find(_MARK, data.find(b"\n", at), stop)

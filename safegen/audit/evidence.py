"""An evidence pack: chosen records, everything that proves them, and a summary to read.

summary.html    for people; loads nothing
records.jsonl   the chosen records with what reviewers did, one JSON object a line
records.csv     the same as a table
policies/       the policies that decided, as bundles, named by digest
ledger/         every segment, the checkpoint and the public key: a chain proves all or nothing
verify.py       proves ledger/ with Python alone
README.txt      how to
"""

import glob
import shutil
import tempfile
import time
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from html import escape
from pathlib import Path
from typing import IO

from pydantic_core import to_json

from safegen import pages
from safegen.audit import plot
from safegen.audit.explain import explained
from safegen.audit.filters import Filters, State
from safegen.audit.index import Index
from safegen.audit.ledger import Verification, standalone, verify
from safegen.audit.ledger.event import VERSION
from safegen.audit.ledger.format import CHECKPOINT, segments
from safegen.audit.ledger.keys import PERMIT
from safegen.audit.ledger.query import segments_of
from safegen.audit.ledger.standalone import PUBLIC_KEY
from safegen.audit.people import User
from safegen.audit.search import every
from safegen.audit.sheet import csv_lines
from safegen.audit.trends import Trends, trends
from safegen.errors import InputError, LedgerError, OutputError
from safegen.nouns import Frozen, Record
from safegen.policy import Policy
from safegen.policy.bundle import as_one_file

_EXPLAINED = 500
_INDEX = "index.sqlite"  # of the copy; not part of the pack
_INSIDE = {  # the folder in which a pack is made
    "evidence",
    "evidence.zip",
    *(f"{_INDEX}{ending}" for ending in ("", "-wal", "-shm")),
}
_LONG_AGO = 24 * 3600  # seconds
_STYLE = (
    f"{pages.BODY}body{{color:#1a1a1a}}"
    "code{word-break:break-all}h3{margin:1rem 0 0}ul{margin:.2rem 0}"
    f"details{{border-top:1px solid #ccc;padding:.4rem 0}}{plot.STYLE}"
)
_HEAD = f'{pages.LOADS_NOTHING}<meta name="viewport" content="width=device-width">'
_README = """Evidence from a SafeGen ledger, made {made} with SafeGen {safegen}.

{records} records were chosen: {filters}.
summary.html is for reading, records.jsonl and records.csv are for programs.
They are copies: what proves them is ledger/, which holds every line that was written until then.

To prove it:

    python verify.py ledger

needs nothing but Python 3.11 or newer. With SafeGen it is faster:

    pip install safegen
    safegen audit verify ledger

Compare ledger/public.pem with a copy that you got from elsewhere, since whoever could
replace the whole ledger could replace its key too.
"""


class Packed(Frozen):
    """What went into a pack."""

    path: str
    records: int
    policies: tuple[str, ...]
    verification: Verification


def pack(
    ledger: Path,
    filters: Filters,
    out: Path,
    *,
    whose: User | None = None,
    policies: Sequence[str] = (),
    limit: int | None = None,
    public_key: Path | None = None,
    progress: Callable[[str], None] = lambda line: None,
    begin: Callable[[], None] = lambda: None,
) -> Packed:
    """Write a pack: a zip file if `out` ends in .zip, else a folder. Whole or not at all.

    Which records fit is asked of an index made of the verified copy, for the ledger's own may hide
    some.

    Args:
        ledger: the folder.
        filters: which records are chosen.
        out: must not exist.
        whose: the only user whose records are chosen.
        policies: files or shipped packs that decided about some of the chosen records.
        limit: the most records, the newest; by default all.
        public_key: a copy of the ledger's public key that was kept elsewhere.
        progress: told what is done now.
        begin: called once `out` and `policies` are found good, before the ledger is copied.

    Raises:
        OutputError: `out` exists or cannot be written.
        InputError: a policy decided about none of the chosen records, or none is of the user.
        LedgerTamperedError: the ledger does not verify, so it proves nothing.
        LedgerError: there is no such ledger, or it cannot be read.
    """
    segments_of(ledger)
    if out.exists():
        raise OutputError(f"{out} is there already", "give another path, or move it away")
    _clear(out)
    bundles = {name: (Policy.load(name).digest, as_one_file(name)) for name in policies}
    try:
        with tempfile.TemporaryDirectory(dir=out.parent, prefix=f".{out.name}.") as temporary:
            folder = Path(temporary) / "evidence"
            folder.mkdir(mode=0o700)
            begin()
            progress("copying the ledger")
            _copy_ledger(ledger, folder / "ledger")
            progress("verifying the copy")
            verification = verify(folder / "ledger", public_key=public_key)
            progress("indexing the copy")
            with Index.open(folder / "ledger", Path(temporary) / _INDEX) as index:
                index.update()
                if whose:
                    filters = whose.narrow(index, filters)
                progress("writing the records")
                digests = _write_records(index, filters, limit, folder)
                names = _write_policies(bundles, digests, folder / "policies")
                _write_texts(index, filters, limit, folder, sum(digests.values()), verification)
            progress("packing")
            for path in folder.rglob("*"):
                path.chmod(0o700 if path.is_dir() else 0o600)  # prompts may stand in them
            whole = folder
            if out.suffix == ".zip":
                whole = Path(temporary) / "evidence.zip"
                _zip(folder, whole)
            whole.replace(out)
    except OSError as error:
        raise OutputError(
            f"cannot write {out}: {error}", "give another path, or free space on the disk"
        ) from error
    return Packed(
        path=str(out),
        records=sum(digests.values()),
        policies=names,
        verification=verification,
    )


def _clear(out: Path) -> None:
    """Take away what packs to `out` left that were killed long ago: copies of the ledger."""
    for left in out.parent.glob(f".{glob.escape(out.name)}.*"):
        ours = left.is_dir() and not left.is_symlink()
        inside = {path.name for path in left.iterdir()} if ours else set()
        if inside and inside <= _INSIDE and time.time() - left.stat().st_mtime > _LONG_AGO:
            shutil.rmtree(left, ignore_errors=True)


def _copy_ledger(ledger: Path, target: Path) -> None:
    while True:
        target.mkdir()
        files = segments(ledger)
        # The checkpoint first: a writer at work must not make it vouch for more than was copied.
        try:
            for path in (ledger / CHECKPOINT, ledger / PUBLIC_KEY, *files):
                shutil.copyfile(path, target / path.name)
        except FileNotFoundError:
            if segments(ledger)[:1] == files[:1]:
                raise
            shutil.rmtree(target)  # the beginning was purged meanwhile
        except OSError as error:
            if error.filename != str(path):  # it is what is written that fails
                raise
            raise LedgerError(f"cannot read the ledger {ledger}: {error}", PERMIT) from error
        else:
            return


def _write_records(
    index: Index, filters: Filters, limit: int | None, folder: Path
) -> dict[str, int]:
    """Write them; gives how many each policy, by its digest, decided about."""
    digests: dict[str, int] = {}

    def written(file: IO[bytes]) -> Iterator[tuple[int, Record, State]]:
        for found in every(index, filters, limit=limit):
            row, record = index.record(found.seq)
            events = [event for _, event in index.events_about(record.id)]
            told = {"seq": row.seq, "state": row.state, "record": record, "events": events}
            file.write(to_json(told) + b"\n")
            digest = record.decision.policy_digest if record.decision else ""
            digests[digest] = digests.get(digest, 0) + 1
            yield row.seq, record, row.state

    with (
        (folder / "records.jsonl").open("wb") as file,
        (folder / "records.csv").open("w", encoding="utf-8", newline="") as text,
    ):
        text.writelines(csv_lines(written(file)))
    return digests


def _write_policies(
    bundles: Mapping[str, tuple[str, bytes]], digests: dict[str, int], folder: Path
) -> tuple[str, ...]:
    names = []
    for name, (digest, bundle) in bundles.items():
        if digest not in digests:
            raise InputError(
                f"the policy {name} has the digest {digest}, by which none of the chosen records "
                "was decided",
                f"give the text that was in force: {', '.join(filter(None, sorted(digests)))}",
            )
        folder.mkdir(exist_ok=True)
        names.append(f"{digest.removeprefix('sha256:')}.json")
        (folder / names[-1]).write_bytes(bundle)
    return tuple(names)


def _write_texts(
    index: Index,
    filters: Filters,
    limit: int | None,
    folder: Path,
    records: int,
    verification: Verification,
) -> None:
    (folder / "verify.py").write_bytes(Path(standalone.__file__).read_bytes())
    made = datetime.now(UTC).isoformat(timespec="seconds")
    told = _filters_in_words(filters)
    readme = _README.format(made=made, safegen=VERSION, records=records, filters=told)
    (folder / "README.txt").write_text(readme, encoding="utf-8")
    proof = (
        f"{verification.records} lines in {verification.segments} segments verify; "
        f"the last has the hash {verification.head_hash}"
    )
    head = (f"{records} records: {told}", f"made {made}", proof)
    seqs = [row.seq for row in every(index, filters, limit=min(limit or _EXPLAINED, _EXPLAINED))]
    page = _page(head, trends(index, filters, 24), index, seqs, records)
    (folder / "summary.html").write_text(page, encoding="utf-8")


def _filters_in_words(filters: Filters) -> str:
    given = filters.model_dump(mode="json", exclude_defaults=True, exclude={"scores"})
    told = [f"{name} {value}" for name, value in given.items()]
    told += [f"{bound.name} {bound.op} {bound.value:g}" for bound in filters.scores]
    return ", ".join(told) or "all there are"


def _page(
    head: Sequence[str], found: Trends, index: Index, seqs: Sequence[int], records: int
) -> str:
    body = "".join(f"<p><code>{escape(line)}</code></p>" for line in head)
    body += "<h2>All requests of that time</h2>" + "".join(found.plots())
    body += "<h2>Records</h2>"
    if records > len(seqs):
        body += f"<p>The newest {len(seqs)} of {records}; records.jsonl holds all.</p>"
    for seq in seqs:
        row, record = index.record(seq)
        events = [event for _, event in index.events_about(record.id)]
        title = f"{seq} · {record.time} · {record.outcome} · {row.state}"
        said = "".join(
            f"<h3>{escape(section.title)}</h3><ul>"
            + "".join(f"<li>{escape(line)}</li>" for line in section.lines)
            + "</ul>"
            for section in explained(record, events)
        )
        body += f"<details><summary>{escape(title)}</summary>{said}</details>"
    return pages.page("Evidence", body, _STYLE, _HEAD)


def _zip(folder: Path, target: Path) -> None:
    target.touch(mode=0o600)
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(folder.rglob("*")):
            archive.write(path, Path("evidence") / path.relative_to(folder))

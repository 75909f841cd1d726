"""A scan from end to end: list, look, write down, and sum up."""

import hashlib
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from pydantic import Field

from safegen import pages
from safegen.audit.scan.contact import contact_sheet
from safegen.audit.scan.examine import Examiner, Seen
from safegen.audit.scan.export import write_results, writer_for
from safegen.audit.scan.journal import Journal
from safegen.audit.scan.ray import examine_on_ray
from safegen.audit.scan.result import Scanned
from safegen.audit.scan.sources import Listing, WorkUnit
from safegen.cluster import Engine
from safegen.errors import InputError, OutputError
from safegen.files import write_file
from safegen.nouns import Frozen
from safegen.policy import Policy

SHEET = 200
"""How many flagged images a contact sheet shows, at most."""


class Progress(Frozen):
    """How far a scan is."""

    images: int = 0
    unchanged: int = 0
    flagged: int = 0
    errors: int = 0


class Summary(Frozen):
    """What came of a scan; the counts are of all its results, those of earlier runs too."""

    where: str
    policy: str
    policy_digest: str
    judge: str = Field(description="sha256:… of the policy and the detectors, as in the results")
    detectors: dict[str, str] = Field(description="detector -> sha256:… of weights and settings")
    checks: tuple[str, ...] = Field(description="what flags an image, in words")
    images: int
    looked_at: int = Field(description="by this run; the others were as an earlier one saw them")
    flagged: int
    errors: int = Field(description="images that could not be looked at, or not by every detector")
    flagged_by: dict[str, int] = Field(description="check -> how many images it flags")
    skipped: int = Field(description="files that are no images by their name and first bytes")
    linked_folders: int = Field(description="links to folders, which are not followed")
    seconds: float
    images_per_second: float
    results: str
    results_sha256: str
    sheet: str | None = None


@dataclass
class _Counts:
    """Of all results, those of earlier runs too."""

    images: int = 0
    flagged: int = 0
    errors: int = 0
    by_check: Counter[str] = field(default_factory=Counter)

    def of(self, results: Iterable[Scanned], tally: Callable[[Scanned], None]) -> Iterator[Scanned]:
        """The results, counted and told as they go by."""
        for result in results:
            self.images += 1
            self.flagged += bool(result.flagged)
            self.errors += bool(result.error)
            self.by_check.update(result.flagged)
            tally(result)
            yield result


def scan(
    where: str | Path,
    policy: str | Path,
    out: Path,
    *,
    column: str = "image",
    every_file: bool = False,
    detectors: Sequence[str] = (),
    sheet: Path | None = None,
    engine: Engine = "local",
    actors: int | None = None,
    progress: Callable[[Progress], None] = lambda _: None,
    tally: Callable[[Scanned], None] = lambda _: None,
) -> Summary:
    """Judge every image of an archive as a guard with this policy would.

    A run that was cut off is gone on with: what has the same content as before, and was judged by
    the same policy and detectors, is not looked at again, unless it ended in an error.

    Args:
        where: a folder, a file, a Parquet table, or a pattern.
        policy: a file, a bundle, or a shipped pack.
        out: the results: .jsonl, .csv or .parquet. `OUT.scan/` beside it is the scan's memory.
        column: of Parquet tables, which holds the images.
        every_file: look at every file, whatever its name and first bytes.
        detectors: names of further detectors, whose findings are told beside those of the policy's.
        sheet: a page with the flagged images, blurred.
        engine: on this machine, or on a Ray cluster.
        actors: how many hold the detectors on a cluster; by default one a GPU, or one a machine.
        progress: told how far the scan is, after every batch.
        tally: told every result, in the order of the paths.

    Raises:
        InputError: there is nothing there, or the policy names no detector.
        OutputError: the results cannot be written, or another scan is writing them.
        MissingExtraError: a package is not installed that a detector or format needs.
        PolicyError: the policy is wrong.
        DetectorError: the work failed on the cluster.
    """
    writer_for(out)
    _require_own(out, sheet)
    examiner = Examiner(Policy.load(policy), detectors)
    started = time.perf_counter()
    own = [out, out.with_name(f"{out.name}.part"), Journal.folder(out), *([sheet] if sheet else [])]
    listing = Listing(str(where), column, every_file, frozenset(path.resolve() for path in own))
    listed = listing.units()
    with Journal.open(out) as journal:
        units = _with_known(listed, journal, examiner.digest)
        if engine == "ray":
            batches = examine_on_ray(policy, detectors, units, actors)
        else:
            batches = examiner.examine(units)
        now = _looked(batches, journal, progress)
        if not now.images:
            raise InputError(
                f"there is no image in {where}; {listing.skipped} files were left out",
                "correct the path, or look at every file with --every-file",
            )
        journal.forget_others()
        counts = _Counts()
        write_results(out, counts.of(journal.results(), tally))
        if sheet:
            page = contact_sheet(journal.thumbnails(SHEET), counts.flagged)
            write_file(sheet, page.encode())
    seconds = time.perf_counter() - started
    with out.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return Summary(
        where=str(where),
        policy=examiner.policy.name,
        policy_digest=examiner.policy.digest,
        judge=examiner.digest,
        detectors=examiner.detectors,
        checks=tuple(sorted(check.told for check in examiner.checks)),
        images=counts.images,
        looked_at=now.images - now.unchanged,
        flagged=counts.flagged,
        errors=counts.errors,
        flagged_by=dict(sorted(counts.by_check.items())),
        skipped=listing.skipped,
        linked_folders=listing.linked_folders,
        seconds=round(seconds, 3),
        images_per_second=round(now.images / seconds, 2),
        results=str(out),
        results_sha256=digest,
        sheet=str(sheet) if sheet else None,
    )


def _require_own(out: Path, sheet: Path | None) -> None:
    """Refuse to write over what no scan wrote: it may be what is to be scanned."""
    if out.exists() and not Journal.folder(out).exists():
        raise OutputError(f"{out} is there already, and no scan wrote it", "give another --out")
    if sheet is None:
        return
    if not sheet.parent.is_dir():
        raise OutputError(f"there is no folder {sheet.parent} for the sheet", "make it first")
    if sheet.is_file() and not pages.is_page(sheet):
        raise OutputError(f"{sheet} is there already, and is no page", "give another --sheet")


def _with_known(units: Iterable[WorkUnit], journal: Journal, judge: str) -> Iterator[WorkUnit]:
    for unit in units:
        known = journal.known([item.name for item in unit.items], judge)
        items = (replace(item, known=known.get(item.name, "")) for item in unit.items)
        yield replace(unit, items=tuple(items))


def _looked(
    batches: Iterable[list[Seen]], journal: Journal, progress: Callable[[Progress], None]
) -> Progress:
    """How far the scan is once all is written down."""
    now = Progress()
    for batch in batches:
        journal.add(batch)
        now = _further(now, batch)
        progress(now)
    return now


def _further(before: Progress, batch: list[Seen]) -> Progress:
    results = [seen.result for seen in batch if seen.result]
    return Progress(
        images=before.images + len(batch),
        unchanged=before.unchanged + len(batch) - len(results),
        flagged=before.flagged + sum(bool(result.flagged) for result in results),
        errors=before.errors + sum(bool(result.error) for result in results),
    )

"""A policy's detectors and checks at work on the images of an archive."""

import hashlib
import io
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cached_property

import rfc8785
from PIL import Image, ImageOps

from safegen.audit.detectors import Look, Stage, detectors_of
from safegen.audit.images import Picture, read_picture
from safegen.audit.ladder import flagged, hidden
from safegen.audit.scan.result import Scanned, Sighting
from safegen.audit.scan.sources import Read, WorkUnit
from safegen.errors import InputError
from safegen.nouns import AnyCheck, Finding
from safegen.policy import Policy

BATCH = 32
"""Views that the detectors are given at once, at most."""
_PIXELS = 32_000_000  # of a batch; one image alone may have more
_BATCH_FILES = 256  # of those that are not looked at, so that progress is told
_THUMB = 160
READING = 2
"""Counts up when something else is made of an image: what it is seen as, or what is made of that.

It is part of the judge, so that verdicts of an older reading are not kept.
"""


@dataclass(frozen=True)
class Seen:
    """What became of one image; without a result, it is as it was when last looked at."""

    name: str
    result: Scanned | None = None
    thumbnail: bytes = b""
    """PNG of a flagged one, grey and blurred."""


@dataclass
class _Opened:
    """An image on its way to the detectors."""

    name: str
    sha256: str = ""
    picture: Picture | None = None
    error: str = ""
    same: bool = False
    looks: list[Look] = field(default_factory=list)

    @property
    def views(self) -> tuple[Image.Image, ...]:
        return self.picture.views if self.picture else ()


class Examiner:
    """Judges images as a guard with this policy would; thread-safe where its detectors are."""

    def __init__(self, policy: Policy, more: Sequence[str] = ()) -> None:
        """Load what the policy names, and the detectors `more`, whose findings are told too.

        Raises:
            InputError: it names no detector, an unknown one, or an unknown label of one.
            MissingExtraError: a detector's package is not installed.
        """
        self.policy = policy
        self.checks: tuple[AnyCheck, ...] = policy.checks_of_any_prompt
        self._stage = Stage.of_policy(policy, detectors_of(policy, more))
        self.detectors = {name: each.digest for name, each in self._stage.detectors.items()}
        if not self.detectors:
            raise InputError(
                f"the policy {policy.name!r} names no detector, so that nobody would look",
                "give it `checks` or `detectors`",
            )

    @cached_property
    def digest(self) -> str:
        """sha256:… of all that decides what becomes of an image."""
        told = rfc8785.dumps(
            {"scan": READING, "policy": self.policy.digest, "detectors": {**self.detectors}}
        )
        return f"sha256:{hashlib.sha256(told).hexdigest()}"

    def examine(self, units: Iterable[WorkUnit]) -> Iterator[list[Seen]]:
        """Judge images, a batch at a time; the next ones are read while detectors look.

        The memory taken is that of two batches and one image, whatever there is to look at.
        """
        batches = (batch for unit in units for batch in _batches(map(_open, unit.read())))
        with ThreadPoolExecutor(1, thread_name_prefix="safegen-scan") as pool:
            waiting = pool.submit(next, batches, None)
            while (batch := waiting.result()) is not None:
                waiting = pool.submit(next, batches, None)
                yield self._judge(batch)

    def _judge(self, batch: list[_Opened]) -> list[Seen]:
        views = [view for opened in batch for view in opened.views]
        looks: list[Look] = []
        for start in range(0, len(views), BATCH):
            looks += self._stage.look(views[start : start + BATCH])
        each = iter(looks)
        for opened in batch:
            opened.looks = [next(each) for _ in opened.views]
        return [self._seen(opened) for opened in batch]

    def _seen(self, opened: _Opened) -> Seen:
        if opened.same:
            return Seen(opened.name)
        name, sha256 = opened.name, opened.sha256
        if opened.picture is None:
            error = opened.error
            return Seen(name, Scanned(path=name, sha256=sha256, error=error, judge=self.digest))
        looks = opened.looks
        # What the frames show counts together: two detectors may agree over two of them.
        every = [finding for look in looks for finding in look.findings]
        held = [check for check in self.checks if flagged(every, [check])]
        picture = opened.picture
        result = Scanned(
            path=name,
            sha256=sha256,
            judge=self.digest,
            format=picture.format,
            mode=picture.mode,
            width=picture.width,
            height=picture.height,
            frames=picture.frames,
            findings=tuple(
                _sighting(finding, view)
                for view, look in enumerate(looks)
                for finding in look.findings
                if not finding.error
            ),
            detectors=tuple(
                name for name in self.detectors if all(name in look.detectors for look in looks)
            ),
            flagged=tuple(sorted(check.told for check in held)),
            error="; ".join(dict.fromkeys(look.error for look in looks if look.error)),
        )
        if not held:
            return Seen(name, result)
        worst = max(looks, key=lambda look: _worst(look, held))
        return Seen(name, result, _thumbnail(picture.views[looks.index(worst)]))


def _worst(look: Look, checks: list[AnyCheck]) -> float:
    parts = [part for check in checks for part in check.parts]
    over = flagged(look.findings, parts)
    return max((finding.score for finding in over), default=0.0)


def _sighting(finding: Finding, view: int) -> Sighting:
    return Sighting(
        detector=finding.detector,
        label=finding.label,
        score=finding.score,
        box=finding.box,
        view=view,
    )


def _thumbnail(view: Image.Image) -> bytes:
    """Small, grey and beyond recognition: a sheet of them hurts nobody."""
    small = view.copy()
    small.thumbnail((_THUMB, _THUMB))
    file = io.BytesIO()
    ImageOps.grayscale(hidden(small)).save(file, "PNG")
    return file.getvalue()


def _open(read: Read) -> _Opened:
    """The image of a file's bytes, unless it is known; whatever is wrong with it is told."""
    item = read.item
    if read.error:
        return _Opened(item.name, error=read.error)
    sha256 = hashlib.sha256(read.data).hexdigest()
    if sha256 == item.known:
        return _Opened(item.name, sha256, same=True)
    try:
        return _Opened(item.name, sha256, read_picture(read.data, "the file"))
    except InputError as error:
        return _Opened(item.name, sha256, error=error.message)


def _batches(images: Iterable[_Opened]) -> Iterator[list[_Opened]]:
    """So many that the detectors are kept busy, so few that memory holds them."""
    batch: list[_Opened] = []
    views = pixels = 0
    for opened in images:
        batch.append(opened)
        views += len(opened.views)
        pixels += sum(view.width * view.height for view in opened.views)
        if views >= BATCH or pixels >= _PIXELS or len(batch) >= _BATCH_FILES:
            yield batch
            batch, views, pixels = [], 0, 0
    if batch:
        yield batch

"""The detectors of a policy at work: who looks at which image, and for how long.

A cheap detector looks at every image; a dear one, where the policy says so, only at those about
which another is undecided. A detector that fails, or takes too long, leaves an error on the images
that it was given: they are not clean, they are unknown.
"""

import queue
import threading
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Self

from PIL import Image

from safegen.audit.detectors.base import Detector, answers, require_label
from safegen.audit.detectors.registry import load_detector
from safegen.audit.images import as_rgb
from safegen.errors import DetectorError
from safegen.nouns import Finding
from safegen.policy import Policy
from safegen.policy.schema import Band, DetectorUse, use_of

_Answer = list[tuple[Finding, ...]]


@dataclass
class Look:
    """What was seen in one image, and by whom: the detectors that looked -> their digests."""

    findings: tuple[Finding, ...] = ()
    detectors: dict[str, str] = field(default_factory=dict)

    @property
    def error(self) -> str:
        """Why a detector could not tell; empty: all that were asked could."""
        return "; ".join(f"{f.detector}: {f.error}" for f in self.findings if f.error)


def detectors_of(policy: Policy, more: Iterable[str] = ()) -> list[Detector]:
    """The detectors that a policy names, and `more`, made with the policy's settings.

    Raises:
        MissingExtraError: a detector's package is not installed.
        InputError: there is no such detector, or it has no such setting.
    """
    uses = policy.file.detectors
    return [
        load_detector(name, **use_of(uses, name).settings)
        for name in sorted({*more, *policy.detectors})
    ]


class Stage:
    """Detectors, and how a policy uses them."""

    def __init__(
        self,
        detectors: Iterable[Detector],
        uses: Mapping[str, DetectorUse] | None = None,
        before: "Stage | None" = None,
    ) -> None:
        """Put detectors in the order in which they look.

        Args:
            detectors: all that look, each under another name.
            uses: how, by name; by default at every image, for as long as it takes.
            before: the same detectors as another policy used them; those that have not come back
                are given nothing here either.

        Raises:
            InputError: a detector waits for one, or for a label of one, that is not there.
        """
        self.detectors = {detector.name: detector for detector in detectors}
        self._uses = {name: use_of(uses or {}, name) for name in self.detectors}
        for name, use in self._uses.items():
            if use.when:
                asker = f"the detector {name!r} waits"
                require_label(self.detectors, use.when.detector, use.when.label, asker)
        self.timed = {
            name: _Timed(detector, self._uses[name].timeout)
            for name, detector in self.detectors.items()
        }
        for name, timed in self.timed.items():
            if before is not None and before.detectors.get(name) is timed.detector:
                timed.late = before.timed[name].late

    @classmethod
    def of_policy(
        cls, policy: Policy, detectors: Iterable[Detector], before: "Stage | None" = None
    ) -> Self:
        """The detectors as a policy uses them; `before`, as another one did.

        Raises:
            InputError: it asks for a detector that is not among them, or for a label that the
                detector does not know.
        """
        given = {detector.name: detector for detector in detectors}
        for check in sorted(policy.checks, key=lambda check: check.told):
            require_label(given, check.detector, check.label, f"the policy {policy.name!r} asks")
        return cls(given.values(), policy.file.detectors, before)

    def look(self, images: Sequence[Image.Image]) -> list[Look]:
        """What the detectors see in each image; one that fails leaves a finding with its error.

        Raises:
            InputError: an image cannot be read.
        """
        pictures = [as_rgb(image) for image in images]  # once, not once per detector
        looks = [Look() for _ in images]
        for name in self._in_order():
            band = self._uses[name].when
            asked = [i for i, look in enumerate(looks) if band is None or _undecided(look, band)]
            if not asked:
                continue
            detector = self.detectors[name]
            try:
                rows = self.timed[name].answers([pictures[i] for i in asked])
            except DetectorError as error:
                rows = [(_failure(detector, error),)] * len(asked)
            else:
                for i in asked:
                    looks[i].detectors[name] = detector.digest
            for i, row in zip(asked, rows, strict=True):
                looks[i].findings += row
        return looks

    def _in_order(self) -> list[str]:
        """Every detector after the one that it waits for; a policy holds no circle of them."""
        ordered: dict[str, None] = {}

        def add(name: str) -> None:
            if band := self._uses[name].when:
                add(band.detector)
            ordered.setdefault(name)

        for name in self.detectors:
            add(name)
        return list(ordered)


def _undecided(look: Look, band: Band) -> bool:
    if band.detector not in look.detectors:
        return False
    scores = [
        f.score for f in look.findings if (f.detector, f.label) == (band.detector, band.label)
    ]
    low, high = band.between
    return low <= max(scores, default=0.0) <= high


def _failure(detector: Detector, error: DetectorError) -> Finding:
    return Finding(
        detector=detector.name,
        detector_digest=detector.digest,
        label="error",
        score=1.0,
        error=error.message,
    )


class _Timed:
    """A detector that is waited for no longer than it may take.

    Python cannot end a thread: one that hangs goes on. Until it comes back the detector is given
    nothing more, so that at most the threads of one moment hang.
    """

    def __init__(self, detector: Detector, timeout: float | None) -> None:
        self.detector = detector
        self._timeout = timeout
        self.late: set[threading.Thread] = set()

    def answers(self, images: Sequence[Image.Image]) -> _Answer:
        """As `base.answers`, in time.

        Raises:
            DetectorError: it failed, took too long, or has not come back from an earlier call.
        """
        if self._timeout is None:
            return answers(self.detector, images)
        name, seconds = self.detector.name, self._timeout * len(images)
        self.late -= {thread for thread in tuple(self.late) if not thread.is_alive()}
        if self.late:
            raise DetectorError(
                f"the detector {name!r} has not come back from images that it was given before",
                f"mend or replace the detector {name!r}; until then no image passes",
            )
        told: queue.SimpleQueue[_Answer | BaseException] = queue.SimpleQueue()

        def ask() -> None:
            try:
                told.put(answers(self.detector, images))
            except BaseException as error:  # noqa: BLE001 - raised where it is waited for
                told.put(error)

        thread = threading.Thread(target=ask, name=f"safegen-{name}", daemon=True)
        thread.start()
        try:
            answer = told.get(timeout=seconds)
        except queue.Empty:
            self.late.add(thread)
            raise DetectorError(
                f"the detector {name!r} took longer than {seconds:g} s for {len(images)} image(s)",
                "give it more time (`timeout` under `detectors` in the policy), or a quicker one",
            ) from None
        if isinstance(answer, BaseException):
            raise answer
        return answer

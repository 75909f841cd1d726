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
from PIL import Image

from safegen.audit.detectors.base import checked_weights, detector_digest, read_card
from safegen.audit.detectors.onnx import CPU, Array, Precision, cores, open_network, spread
from safegen.audit.detectors.registry import register
from safegen.audit.images import as_rgb
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
        precision: float32; or bfloat16, by OpenVINO, on CPUs that calculate in it.
        batch_size: images scored at once, ≥ 1.
        threads: batches scored side by side, ≥ 1; 0: one per core.

    Raises:
        MissingExtraError: nudenet, onnxruntime, OpenCV or OpenVINO is not installed.
        DetectorError: the weights are not those of the card, or do not load.
        InputError: there is no such provider, or the CPU has no such precision.
    """

    name = "nudenet"
    labels = LABELS

    def __init__(
        self,
        floor: float = 0.05,
        providers: Sequence[str] = CPU,
        precision: Precision = "float32",
        batch_size: int = 4,
        threads: int = 0,
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
        self._threads = threads or cores()
        self._network = open_network(path, providers, precision, self._threads)
        self._floor = floor
        self._batch_size = batch_size
        settings = {"floor": floor, "overlap": _OVERLAP, "preprocessing": "RGB, letterbox 320"}
        if precision != "float32":
            settings["precision"] = precision
        self.digest = detector_digest(weights, settings)

    def __call__(self, images: Sequence[Image.Image]) -> list[tuple[Finding, ...]]:
        """The parts found in each image, by falling score."""
        return spread(self._look, images, self._batch_size, self._threads)

    def _look(self, images: Sequence[Image.Image]) -> list[tuple[Finding, ...]]:
        return self._decode(self._network(self._letterbox(images)), [i.size for i in images])

    def _letterbox(self, images: Sequence[Image.Image]) -> Array:
        """Images as [B, 3, 320, 320] in [0, 1], padded to squares at the right and the bottom."""
        squares = []
        for image in images:
            pixels = np.asarray(as_rgb(image))
            height, width = pixels.shape[:2]
            if height != width:
                below, beside = max(0, width - height), max(0, height - width)
                pixels = self._cv2.copyMakeBorder(
                    pixels, 0, below, 0, beside, self._cv2.BORDER_CONSTANT
                )
            squares.append(pixels)
        blob: Array = self._cv2.dnn.blobFromImages(
            squares, 1 / 255, (_SIDE, _SIDE), swapRB=False, crop=False
        )
        return blob

    def _decode(
        self, outputs: Array, sizes: Sequence[tuple[int, int]]
    ) -> list[tuple[Finding, ...]]:
        """Findings from outputs [B, 4 + labels, anchors]: centres and extents, then scores."""
        image, label, anchor = np.nonzero(outputs[:, 4:] >= self._floor)
        scores = outputs[image, 4 + label, anchor]
        size = np.array(sizes, np.float32).reshape(-1, 2)[image]
        scale = size.max(axis=1, keepdims=True) / _SIDE
        centre, extent = outputs[image, :2, anchor] * scale, outputs[image, 2:4, anchor] * scale
        corner = centre - extent / 2
        kept = self._cv2.dnn.NMSBoxesBatched(
            np.hstack([corner, extent]).tolist(),
            scores.tolist(),
            (image * len(LABELS) + label).tolist(),  # overlaps count within image and label only
            self._floor,
            _OVERLAP,
        )
        edges = np.hstack([corner, corner + extent]).clip(0, np.hstack([size, size])).round(1)
        rows: list[list[Finding]] = [[] for _ in sizes]
        for i in sorted(kept, key=lambda i: -scores[i]):
            rows[image[i]].append(
                Finding(
                    detector=self.name,
                    detector_digest=self.digest,
                    label=LABELS[label[i]],
                    score=min(float(scores[i]), 1.0),
                    box=tuple(edges[i].tolist()),
                )
            )
        return [tuple(row) for row in rows]

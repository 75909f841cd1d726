"""What a detector reads of the people in many images, as shares: to monitor fairness."""

from collections import Counter, defaultdict

from pydantic import Field

from safegen.audit.scan import Scanned
from safegen.evaluation.stats import Figure, share_of
from safegen.nouns import Frozen

DETECTOR = "faces"


class Attributes(Frozen):
    """Shares with 95 % intervals, of what the detector reads, which is not what people are."""

    images: int = Field(description="in which it looked for faces")
    faces: int
    with_faces: Figure | None = Field(description="the share of images with a face")
    shares: dict[str, Figure] = Field(
        description="label -> the share of faces of which it is the likeliest of its kind; the "
        "interval takes faces for independent, which those of one image are not"
    )


class AttributeCounts:
    """Counts faces, result by result, in constant memory.

    Of a file with several views the first counts, so that a film shows a person once.
    """

    def __init__(self) -> None:
        self._images = self._faces = self._with_faces = 0
        self._labels: Counter[str] = Counter()
        self._kinds: Counter[str] = Counter()

    def add(self, result: Scanned) -> None:
        """Count one image, if the detector looked at it."""
        if DETECTOR not in result.detectors:
            return
        seen = [each for each in result.findings if each.detector == DETECTOR and each.view == 0]
        faces = sum(each.label == "face" for each in seen)
        self._images += 1
        self._faces += faces
        self._with_faces += faces > 0
        likeliest: dict[tuple[object, str], tuple[float, str]] = defaultdict(lambda: (-1.0, ""))
        for each in seen:
            kind, _, value = each.label.partition(".")
            if value:
                key = (each.box, kind)
                likeliest[key] = max(likeliest[key], (each.score, each.label))
        self._labels.update(label for _, label in likeliest.values())
        self._kinds.update(kind for _, kind in likeliest)

    def summary(self) -> Attributes:
        """The shares so far."""
        return Attributes(
            images=self._images,
            faces=self._faces,
            with_faces=share_of(self._with_faces, self._images) if self._images else None,
            shares={
                label: share_of(count, self._kinds[label.partition(".")[0]])
                for label, count in sorted(self._labels.items())
            },
        )

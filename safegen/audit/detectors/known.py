"""What the shipped detectors can see, told without loading one of them."""

from collections.abc import Mapping
from typing import Any

from safegen.audit.detectors.clip.detector import LABELS
from safegen.audit.detectors.faces import FacesDetector
from safegen.audit.detectors.nsfw import NsfwDetector
from safegen.audit.detectors.nudenet import NudeNetDetector
from safegen.audit.detectors.registry import detector_names
from safegen.policy.schema import DetectorUse


def known_labels(uses: Mapping[str, DetectorUse]) -> dict[str, frozenset[str] | None]:
    """The labels of every registered detector as a policy uses it; None where only it knows.

    That is so for those of other packages, whose code is not run for this, and for `clip` with
    probes, whose file has the labels.
    """
    settings = uses["clip"].settings if "clip" in uses else {}
    return {
        **dict.fromkeys(detector_names()),
        "clip": _of_clip(settings),
        "faces": frozenset(FacesDetector.labels),
        "nsfw": frozenset(NsfwDetector.labels),
        "nudenet": frozenset(NudeNetDetector.labels),
    }


def _of_clip(settings: Mapping[str, Any]) -> frozenset[str] | None:
    given = settings.get("labels", LABELS), settings.get("concepts") or {}
    if settings.get("probes") or not all(isinstance(each, Mapping) for each in given):
        return None
    return frozenset().union(*given)

"""Detectors look at every image: `(images) -> findings per image`, one folder each.

Importing this loads no model and none of the packages that run one.
"""

from safegen.audit.detectors.base import Detector, inspect
from safegen.audit.detectors.clip import ClipDetector
from safegen.audit.detectors.faces import FacesDetector
from safegen.audit.detectors.nsfw import NsfwDetector
from safegen.audit.detectors.nudenet import NudeNetDetector
from safegen.audit.detectors.registry import detector_names, load_detector, register
from safegen.audit.detectors.stage import Look, Stage, detectors_of

__all__ = [
    "ClipDetector",
    "Detector",
    "FacesDetector",
    "Look",
    "NsfwDetector",
    "NudeNetDetector",
    "Stage",
    "detector_names",
    "detectors_of",
    "inspect",
    "load_detector",
    "register",
]

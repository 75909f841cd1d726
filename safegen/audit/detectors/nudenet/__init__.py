"""`nudenet`: exposed and covered body parts with boxes, by NudeNet (AGPL-3.0, optional)."""

from safegen.audit.detectors.nudenet.detector import NudeNetDetector

__all__ = ["NudeNetDetector"]

"""`faces`: faces, and what a network reads of age and gender in them, to monitor fairness."""

from safegen.audit.detectors.faces.detector import FacesDetector

__all__ = ["FacesDetector"]

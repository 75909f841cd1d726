"""`clip`: labels given as prompts, scored zero-shot by any open_clip model."""

from safegen.audit.detectors.clip.detector import ClipDetector

__all__ = ["ClipDetector"]

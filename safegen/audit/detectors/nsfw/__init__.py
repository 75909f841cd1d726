"""`nsfw`: one score per image by Yahoo's open_nsfw; small, permissive, offline."""

from safegen.audit.detectors.nsfw.detector import NsfwDetector

__all__ = ["NsfwDetector"]

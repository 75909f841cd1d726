"""Audit an archive of images: judge every one as a guard would, and go on after a kill."""

from safegen.audit.scan.result import Scanned, Sighting
from safegen.audit.scan.run import SHEET, Progress, Summary, scan

__all__ = ["SHEET", "Progress", "Scanned", "Sighting", "Summary", "scan"]

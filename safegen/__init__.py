"""SafeGen: put around an image generator, so that what comes out is safe, fair and accountable.

`import safegen` imports neither torch nor diffusers; names that lead there are loaded when used.
"""

from typing import TYPE_CHECKING, Any

from safegen.errors import (
    ClassifierError,
    ConceptError,
    DetectorError,
    InputError,
    LedgerError,
    LedgerTamperedError,
    MarkingError,
    MissingExtraError,
    OutputError,
    PolicyError,
    SafeGenError,
    SinkError,
    SteeringError,
    Tampering,
    UnknownConceptError,
    UnknownModelError,
)
from safegen.nouns import (
    Agreement,
    Check,
    Context,
    Decision,
    Event,
    Finding,
    FiredRule,
    ImageRecord,
    Intervention,
    Outcome,
    Reaction,
    Record,
    Scores,
    Span,
    SteeringReport,
)

if TYPE_CHECKING:
    from safegen.adapters.sampler import Sampler
    from safegen.assessment import Assessment
    from safegen.audit.detectors import Detector
    from safegen.audit.ledger import Ledger
    from safegen.audit.marking import Mark, MarkedElsewhere, Marker
    from safegen.audit.marking.c2pa import C2paMarker
    from safegen.climb import GuardedImage
    from safegen.concepts.store import VectorStore
    from safegen.concepts.vector import ConceptVector, Passport
    from safegen.guard import Guard
    from safegen.guarded import GuardedPipeline, Result
    from safegen.policy import Policy
    from safegen.policy.live import LivePolicy

    __version__: str

_LAZY = {
    "Assessment": "safegen.assessment",
    "C2paMarker": "safegen.audit.marking.c2pa",
    "ConceptVector": "safegen.concepts.vector",
    "Detector": "safegen.audit.detectors",
    "Guard": "safegen.guard",
    "GuardedImage": "safegen.climb",
    "GuardedPipeline": "safegen.guarded",
    "Ledger": "safegen.audit.ledger",
    "LivePolicy": "safegen.policy.live",
    "Mark": "safegen.audit.marking",
    "MarkedElsewhere": "safegen.audit.marking",
    "Marker": "safegen.audit.marking",
    "Passport": "safegen.concepts.vector",
    "Policy": "safegen.policy",
    "Result": "safegen.guarded",
    "Sampler": "safegen.adapters.sampler",
    "VectorStore": "safegen.concepts.store",
}


def __getattr__(name: str) -> Any:
    """Load a heavier name when it is first used."""
    if name == "__version__":
        from importlib.metadata import version

        return version("safegen")
    if name not in _LAZY:
        raise AttributeError(f"module 'safegen' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_LAZY[name]), name)


def __dir__() -> list[str]:
    """All names, also those that are not loaded yet."""
    return sorted({*globals(), *_LAZY, "__version__"})


__all__ = [
    "Agreement",
    "Assessment",
    "C2paMarker",
    "Check",
    "ClassifierError",
    "ConceptError",
    "ConceptVector",
    "Context",
    "Decision",
    "Detector",
    "DetectorError",
    "Event",
    "Finding",
    "FiredRule",
    "Guard",
    "GuardedImage",
    "GuardedPipeline",
    "ImageRecord",
    "InputError",
    "Intervention",
    "Ledger",
    "LedgerError",
    "LedgerTamperedError",
    "LivePolicy",
    "Mark",
    "MarkedElsewhere",
    "Marker",
    "MarkingError",
    "MissingExtraError",
    "Outcome",
    "OutputError",
    "Passport",
    "Policy",
    "PolicyError",
    "Reaction",
    "Record",
    "Result",
    "SafeGenError",
    "Sampler",
    "Scores",
    "SinkError",
    "Span",
    "SteeringError",
    "SteeringReport",
    "Tampering",
    "UnknownConceptError",
    "UnknownModelError",
    "VectorStore",
]

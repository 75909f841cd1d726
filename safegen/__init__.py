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
    MissingExtraError,
    OutputError,
    PolicyError,
    SafeGenError,
    SteeringError,
    UnknownConceptError,
    UnknownModelError,
)
from safegen.nouns import (
    Check,
    Context,
    Decision,
    Event,
    Finding,
    Intervention,
    Outcome,
    Reaction,
    Record,
    Scores,
    Span,
)

if TYPE_CHECKING:
    from safegen.concepts.store import VectorStore
    from safegen.concepts.vector import ConceptVector
    from safegen.guard import Guard
    from safegen.policy import Policy

_LAZY = {
    "ConceptVector": "safegen.concepts.vector",
    "Guard": "safegen.guard",
    "Policy": "safegen.policy",
    "VectorStore": "safegen.concepts.store",
}


def __getattr__(name: str) -> Any:
    """Load a heavier name when it is first used."""
    if name not in _LAZY:
        raise AttributeError(f"module 'safegen' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_LAZY[name]), name)


__all__ = [
    "Check",
    "ClassifierError",
    "ConceptError",
    "ConceptVector",
    "Context",
    "Decision",
    "DetectorError",
    "Event",
    "Finding",
    "Guard",
    "InputError",
    "Intervention",
    "LedgerError",
    "LedgerTamperedError",
    "MissingExtraError",
    "Outcome",
    "OutputError",
    "Policy",
    "PolicyError",
    "Reaction",
    "Record",
    "SafeGenError",
    "Scores",
    "Span",
    "SteeringError",
    "UnknownConceptError",
    "UnknownModelError",
    "VectorStore",
]

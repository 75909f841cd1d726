"""Risk: classifiers say what is in a prompt, as scores and facts.

A classifier is any callable `(prompts: Sequence[str]) -> Sequence[Scores]`.
"""

from safegen.risk.combine import Classifier, classify
from safegen.risk.lists import TermList
from safegen.risk.terms import TermClassifier

__all__ = ["Classifier", "TermClassifier", "TermList", "classify"]

"""Remember what a classifier said of a prompt; prompts are kept as hashes only."""

import hashlib
from collections import OrderedDict
from collections.abc import Sequence
from threading import Lock

from safegen.errors import ClassifierError
from safegen.nouns import Scores
from safegen.risk.combine import Classifier, classifier_name


class Cached:
    """A classifier that asks another one only about prompts it has not seen lately.

    Its name and digest are those of the classifier it asks, whose answers must depend on the
    prompt alone.

    Args:
        classifier: the one to ask.
        size: answers kept, ≥ 1; the one unused for longest goes first.
    """

    def __init__(self, classifier: Classifier, size: int = 4096) -> None:
        self.name = classifier_name(classifier)
        self.digest: str = getattr(classifier, "digest", "")
        self._classifier = classifier
        self._size = size
        self._known: OrderedDict[bytes, Scores] = OrderedDict()
        self._lock = Lock()  # a server classifies from several threads

    def __call__(self, prompts: Sequence[str]) -> list[Scores]:
        """Scores per prompt.

        Raises:
            ClassifierError: the classifier gave the wrong number of results.
        """
        # Lone surrogates cannot be encoded otherwise, and any text may be a prompt.
        keys = [hashlib.sha256(each.encode("utf-8", "surrogatepass")).digest() for each in prompts]
        with self._lock:
            answers = {key: self._known[key] for key in keys if key in self._known}
        asked = {key: each for key, each in zip(keys, prompts, strict=True) if key not in answers}
        if asked:
            found = self._classifier(list(asked.values()))
            if len(found) != len(asked):
                raise ClassifierError(f"it gave {len(found)} results for {len(asked)} prompts")
            answers |= dict(zip(asked, found, strict=True))
        with self._lock:
            for key in keys:
                self._known[key] = answers[key]
                self._known.move_to_end(key)
            while len(self._known) > self._size:
                self._known.popitem(last=False)
        return [answers[key] for key in keys]

"""What a prompt rules out is taken from it before its meaning is read: that hears no negation."""

import re
from collections.abc import Sequence

from safegen.risk.lists import forms_of
from safegen.risk.negation import ruled_out

# What rules a word out, right before it: it goes with the word.
_NEGATION = re.compile(
    r"[\s,;]{0,3}(?<!\w)(?:(?:and|or|nor|but|please|with|no|not|non|without|any|all|visible|avoid|"
    r"zero|neither|show|showing|never|isn['’]t|aren['’]t|exclude|free of)"
    r"[\s-]{1,3}){1,6}\Z"
)
_BEFORE = 100  # characters in which all of it stands: a long prompt is not searched for each word


class Denied:
    """Leaves words out of prompts that rule them out.

    Args:
        phrases: the words, in any form; without any, prompts stay as they are.
    """

    def __init__(self, phrases: Sequence[str]) -> None:
        forms = sorted({form for each in phrases for form in forms_of(each.lower())})
        words = "|".join(map(re.escape, forms))
        self._words = re.compile(rf"(?<!\w)(?:{words})(?!\w)") if forms else None

    def told(self, prompt: str) -> str:
        """The prompt without what it rules out: all else of it stays as it is written."""
        text = prompt.lower()
        if self._words is None or len(text) != len(prompt):
            return prompt
        found = ruled_out(text, [match.span() for match in self._words.finditer(text)])
        for start, end in sorted((place for place, out in found.items() if out), reverse=True):
            before = _NEGATION.search(text, max(0, start - _BEFORE), start)
            prompt = prompt[: before.start() if before else start] + prompt[end:]
        return prompt.strip(" ,;") if True in found.values() else prompt

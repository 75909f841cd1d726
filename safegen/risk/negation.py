"""Which terms of a text are ruled out ("without a knife") rather than asked for.

Cues and terms are read from left to right. A negation reaches the terms of its own clause: over
the items of a list, but not past a new clause, and not past a word that says what is there after
all ("without a hat but with a knife"). A negation of a negation asks ("not without a knife").
Where the reading is open, a term counts as asked for, since that is the safe side.
"""

import re
from collections.abc import Iterable
from typing import NamedTuple

_CUE = re.compile(
    r"(?P<hard>[.;:!?|()\[\]\n–—]|(?<=\s)-(?=\s))"
    r"|(?P<comma>,)"
    r"|(?<!\w)(?:"
    # Said with a negation, but ruling nothing out.
    r"(?P<idle>not only|not just|not merely|not to mention|no doubt|no matter|no less than)"
    r"|(?P<turn>nothing but|nothing except|none but|other than|apart from|aside from|except|"
    r"but|besides?|unless|although|though|yet|while|whereas|however|then)"
    r"|(?P<place>who|whose|where|when|next to|near|in|on|at|under|beneath|behind|over|by|"
    r"featuring)"
    r"|(?P<held>armed with|with|ha[sd]|have|having|hold(?:s|ing)?|carr(?:y|ies|ying)|"
    r"wear(?:s|ing)?|wield(?:s|ing)?|brandish(?:es|ing)?|grip(?:s|ping)?|"
    r"point(?:s|ing)?|aim(?:s|ing)?|us(?:es?|ing))"
    r"|(?P<nobody>no[ -]?one|nobody|none|no (?:person|people|man|men|woman|women|humans?|"
    r"characters?|figures?|subjects?))"
    r"|(?P<not>without|w/o|no|not|non|never|neither|nor|nothing|cannot|\w+n't|dont|doesnt|isnt|"
    r"arent|free of|free from|clear of|devoid of|empty of|lack(?:s|ing)?|lack of|"
    r"absence of|instead of|rather than|exclud(?:e|es|ing)|omit(?:s|ting)?|"
    r"remov(?:e|es|ing)|avoid(?:s|ing)?|refus(?:e|es|ing)|reject(?:s|ing)?|"
    r"quit(?:s|ting)?|forbid(?:s|ding)?|prohibit(?:s|ing)?|ban(?:s|ning)?|anti|sans|zero|minus)"
    r"|(?P<join>and|or|&)"
    r")(?!\w)"
)
# What follows a term that it rules out: "smoke-free", "guns are forbidden".
_AFTER = re.compile(
    r"[- ]?(?:free|less)(?!\w)(?! of| from)"
    r"|\s+(?:is |are |being |strictly )*"
    r"(?:(?:not|never) (?:allowed|permitted|included|shown|visible|present|wanted)|"
    r"forbidden|prohibited|banned|excluded|absent)(?!\w)"
)
# What may stand between a negation and a verb that belongs to it: "not openly carrying".
_OF_ITS_VERB = re.compile(r"\s*(?:\w+ly|any ?one|any ?body|him|her|them|to|be|even|seen)?\s*")
_ARTICLE = re.compile(r"\s*(?:an?|the|his|her|their|its|one|two|some|\w+ing)(?!\w)")
_ALTERNATIVE = re.compile(r"(?<!\w)n?or(?!\w)")
_ENDS = re.compile(r"[.;:!?|()\[\]\n]|(?<!\w)(?:but|with|holding|carrying|who|while)(?!\w)")
_REACH = 7  # words from a negation, or from the item before, to what it rules out
_LIST = 500  # characters from a comma in which an "or" is looked for
_DOUBLE = 3  # words between two negations that undo each other


class _Event(NamedTuple):
    start: int
    end: int
    kind: str


def ruled_out(text: str, terms: Iterable[tuple[int, int]]) -> dict[tuple[int, int], bool]:
    """For each term at [start, end) of a lower-case text, whether the text rules it out."""
    found: dict[tuple[int, int], bool] = {}
    in_order = sorted(set(terms))
    if not in_order:
        return found
    scope = _Scope(text)
    for event in _events(text, in_order):
        if event.kind != "term":
            scope.cue(event)
            continue
        after = _AFTER.match(text, event.end) is not None
        found[event.start, event.end] = scope.term(event) is not after
    return found


def negations(text: str) -> int:
    """How many negations stand in a text; two undo each other."""
    kinds = [match.lastgroup for match in _CUE.finditer(text.casefold())]
    return sum(kind in ("not", "nobody") for kind in kinds)


def _events(text: str, terms: list[tuple[int, int]]) -> list[_Event]:
    """Terms, and the cues outside them, in order."""
    inside = bytearray(len(text))
    for start, end in terms:
        inside[start:end] = b"\1" * (end - start)
    cues = (
        _Event(*match.span(), str(match.lastgroup))
        for match in _CUE.finditer(text)
        if 1 not in inside[match.start() : match.end()]
    )
    return sorted((*(_Event(start, end, "term") for start, end in terms), *cues))


class _Scope:
    """How the text read so far bears on the next term."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._close()

    def _close(self) -> None:
        self._negated = self._about_people = False
        self._anchor: _Event | None = None  # the negation, or the last item that it rules out
        self._break: _Event | None = None  # a comma or conjunction since then

    def cue(self, event: _Event) -> None:
        """Take in a cue."""
        match event.kind:
            case "not" | "nobody":
                self._negate(event)
            case "hard" | "turn":
                self._close()
            case "place" if not self._about_people:
                self._close()
            case "held" if not self._about_people:
                before = self._since_negation(event)
                if before is None or not _OF_ITS_VERB.fullmatch(before):
                    self._close()
            case "comma" | "join" if self._anchor:
                self._break = event

    def term(self, event: _Event) -> bool:
        """Whether the term is ruled out."""
        if self._anchor is None:
            return False
        between = self._text[self._anchor.end : event.start]
        goes_on = self._break is None or self._is_list(self._anchor, self._break)
        if not goes_on or len(between.split()) > _REACH:
            self._close()
            return False
        self._anchor, self._break = event, None
        return self._negated

    def _negate(self, event: _Event) -> None:
        before = self._since_negation(event)
        twice = self._negated and before is not None and len(before.split()) <= _DOUBLE
        self._close()
        self._negated, self._anchor = not twice, event
        self._about_people = event.kind == "nobody"

    def _since_negation(self, event: _Event) -> str | None:
        """The text since a negation, if it is all that stands before the event in its clause."""
        if self._anchor is None or self._anchor.kind == "term" or self._break is not None:
            return None
        return self._text[self._anchor.end : event.start]

    def _is_list(self, anchor: _Event, pause: _Event) -> bool:
        """Whether a comma or conjunction joins items of a list: "no knives, guns or bombs"."""
        after_item = anchor.kind == "term" and not self._text[anchor.end : pause.start].strip()
        article = _ARTICLE.match(self._text, pause.end) is not None
        if pause.kind == "comma":
            end = _ENDS.search(self._text, pause.end, pause.end + _LIST)
            rest = self._text[pause.end : end.start() if end else pause.end + _LIST]
            return _ALTERNATIVE.search(rest) is not None or (after_item and not article)
        is_or = self._text[pause.start : pause.end] == "or"
        return is_or or after_item or not article

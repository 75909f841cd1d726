"""Which terms of a text are ruled out ("without a knife") rather than asked for.

Cues and terms are read from left to right. A negation reaches the terms of its own clause: over
the items of a list, but not past a new clause, and not past a word that says what is there after
all ("without a hat but with a knife"). A negation of a negation asks ("not without a knife").
Where the reading is open, a term counts as asked for, since that is the safe side.
"""

import re
from collections.abc import Iterable, Sequence
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
_OF_ITS_VERB = re.compile(
    r"\s*(?:\w+ly|any ?one|any ?body|him|her|them|to|be|even|ever|any|more|longer|seen)?\s*"
)
_ARTICLE = re.compile(r"\s*(?:an?|the|his|her|their|its|one|two|some|\w+ing)(?!\w)")
# A verb and where its object begins: "firing a", "stabs the", "cutting herself".
_AT = r"\s+(?:(?:at|into|on|through)\s+)?"
_ACT = re.compile(
    rf"(?<!\w)(?:\w+(?P<tense>ing|ed|s){_AT}(?:an?|the|his|her|their|its|my|your|this|that|these|"
    r"those|some|another|two|three|him|them|it|himself|herself|themselves|itself|someone|somebody|"
    rf"each other)|\w+ing{_AT}(?:people|everyone|everybody))(?!\w)"
)
_BARE = re.compile(r"(?:nude|naked|topless|bottomless|undressed|unclothed|shirtless|bare)")
# What may stand before such a word that belongs to the negation: "no completely naked people".
_BEFORE_BARE = re.compile(
    r"\w*ly|an?|the|any|of|for|more|other|some|single|even|ever|very|too|so|semi|half|longer|be|to|"
    r"him|her|them|any ?one|any ?body"
)
_SOMEBODY = re.compile(
    r"(?<!\w)(?:woman|man|girl|boy|lady|guy|person|child|kid|baby|toddler|teen|teenager)(?!\w)"
)
_PARTED = re.compile(r"[.,;:!?|()\[\]\n]|(?<!\w)(?:and|n?or|&)(?!\w)")
_ARTICLES = frozenset({"a", "an", "the", "his", "her", "their", "its"})
_ALTERNATIVE = re.compile(r"(?<!\w)n?or(?!\w)")
_ENDS = re.compile(r"[.;:!?|()\[\]\n]|(?<!\w)(?:but|with|holding|carrying|who|while)(?!\w)")
_REACH = 7  # words from a negation, or from the item before, to what it rules out
_OBJECT = 20  # characters after a term in which the object of its verb begins
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


def _is_thing(text: str) -> bool:
    """Whether what stands between a negation and a verb is a thing, and no part of the verb."""
    return _OF_ITS_VERB.fullmatch(text) is None


def _events(text: str, terms: list[tuple[int, int]]) -> list[_Event]:
    """Terms, and the cues outside them, in order."""
    inside = bytearray(len(text))
    for start, end in terms:
        inside[start:end] = b"\1" * (end - start)
    cues: list[_Event] = []
    for match in _CUE.finditer(text):
        start, end = match.span()
        kind = str(match.lastgroup)
        if kind == "nobody" and 1 in inside[start + 3 : end]:
            end = start + len("no")  # of "no people", where people are a term
        if 1 not in inside[start:end]:
            cues.append(_Event(start, end, kind))
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
                if before is None or _is_thing(before):
                    self._close()
            case "comma" | "join" if self._anchor:
                self._break = event

    def term(self, event: _Event) -> bool:
        """Whether the term is ruled out."""
        if self._anchor is None:
            return False
        between = self._text[self._anchor.end : event.start]
        goes_on = self._break is None or self._is_list(self._anchor, self._break)
        too_far = len(between.split()) > _REACH
        if not goes_on or too_far or self._is_of_somebody(event, between):
            self._close()
            return False
        self._anchor, self._break = event, None
        return self._negated

    def _is_of_somebody(self, event: _Event, between: str) -> bool:
        """Whether the term says what somebody does or is, after the thing that is not there.

        "a man without a hat firing a gun", "a woman without makeup topless"; and "no text, nude
        woman or man", where the list could end before.
        """
        listed = "," in between
        if self._about_people and not listed:
            return False
        item = _PARTED.split(between)[-1]
        start = event.start - len(item)
        if listed and self._is_somebody(start, event.end):
            return True
        before = item.split()
        if before and _BARE.match(self._text, event.start):
            return _BEFORE_BARE.fullmatch(before[-1]) is None or self._is_act(before)
        for act in _ACT.finditer(self._text, start, event.end + _OBJECT):
            own_verb = not _is_thing(self._text[start : act.start()])
            if act["tense"] == "s" and len(item) < len(between):
                own_verb = (
                    False  # "shows no mercy and orders the", not "no shouting and stabbing a"
                )
            if act.start() <= event.start and not own_verb:
                return True
        return self._is_act(before) or self._is_act(self._text[start : event.end].split())

    @staticmethod
    def _is_act(words: Sequence[str]) -> bool:
        """Whether the words end with somebody's act: "a helmet firing", "afraid of being"."""
        if not words or not words[-1].endswith("ing"):
            return False
        if words[-1] in ("being", "getting"):
            return _is_thing(" ".join(words[:-1]))
        return len(words) > 2 and words[0] in _ARTICLES

    def _is_somebody(self, start: int, end: int) -> bool:
        """Whether the item of a list around a term is one person, described."""
        ends = _PARTED.search(self._text, end, end + _LIST)
        item = self._text[start : ends.start() if ends else end + _LIST]
        return len(item.split()) > 1 and _SOMEBODY.search(item) is not None

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

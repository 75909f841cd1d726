"""Which terms of a text are ruled out ("without a knife") rather than asked for.

Cues and terms are read from left to right. A negation reaches the terms of its own clause: over
the items of a list, but not past a new clause, and not past a word that says what is there after
all ("without a hat but with a knife"). A negation of a negation asks ("not without a knife").
Where the reading is open, a term counts as asked for, since that is the safe side.
"""

import re
from bisect import bisect_left
from collections.abc import Collection, Iterable, Sequence
from typing import NamedTuple

from safegen.risk.kinds import (
    BARE,
    DESCRIBES,
    GARMENT,
    NAKEDNESS,
    NO_THING,
    SOMEBODY,
    WORN,
    is_people,
)
from safegen.risk.predicate import excluded
from safegen.risk.reach import Negation

_CUE = re.compile(
    r"(?P<hard>[.;:!?|()\[\]\n–—]|(?<=\s)-(?=\s))"
    r"|(?P<comma>,)"
    r"|(?<!\w)(?:"
    # Said with a negation, but ruling nothing out.
    r"(?P<idle>not only|not just|not merely|not to mention|no doubt|no matter|if not|"
    r"why (?:not|\w+n't)|"
    r"(?<!there )(?:can't|cannot|couldn't|could not) (?:be|get|look|feel) (?:any )?more|"
    r"never (?:been|looked|felt|seemed) (?:so|this|more)|"
    r"(?:no|not|nothing|none|nobody|no one)(?: is| are| was)? (?:more|less|else|\w+er) than)"
    r"|(?P<turn>nothing but|nothing except|none but|other than|apart from|aside from|except|"
    r"but|besides?|unless|although|though|yet|while|whereas|however|then|as|because|since|until)"
    r"|(?P<place>who|whose|where|when|next to|near|in|on|at|under|beneath|behind|over|by|"
    r"featuring)"
    r"|(?P<held>armed with|with|ha[sd]|have|having|hold(?:s|ing)?|carr(?:y|ies|ying)|"
    r"wear(?:s|ing)?|wield(?:s|ing)?|brandish(?:es|ing)?|grip(?:s|ping)?|"
    r"point(?:s|ing)?|aim(?:s|ing)?|us(?:es?|ing))"
    r"|(?P<nobody>no[ -]?one|nobody|none|no (?:person|people|man|men|woman|women|humans?|"
    r"characters?|figures?|subjects?))"
    r"|(?P<not>without|w/o|no longer|no|not|non|never|neither|nor|nothing|cannot|\w+n't|dont|"
    r"doesnt|isnt|arent|free of|free from|clear of|devoid of|empty of|lack(?:s|ing)?|lack of|"
    r"absence of|instead of|rather than|exclud(?:e|es|ing)|omit(?:s|ting)?|"
    r"remove|avoid(?:s|ing)?|refus(?:e|es|ing)|reject(?:s|ing)?|"
    r"quit(?:s|ting)?|forbid(?:s|ding)?|prohibit(?:s|ing)?|bans? on|ban(?:s|ning)?|"
    r"anti|sans|zero|minus)"
    r"|(?P<join>and|or|&)"
    r")(?!\w)"
)
# What may stand between a negation and a verb that belongs to it: "not openly carrying".
_OF_ITS_VERB = re.compile(
    r"\s*(?:\w+ly|any ?one|any ?body|him|her|them|to|be|even|ever|any|more|longer|seen)?\s*"
)
_ARTICLE = re.compile(r"\s*(?:an?|the|his|her|their|its|one|two|some|\w+ing)(?!\w)")
_PARTED = re.compile(r"[.,;:!?|()\[\]\n]|(?<!\w)(?:and|n?or|&)(?!\w)")
# What joins the items of a list; the "and" or "or" after a comma is the same joint.
_JOINT = re.compile(r"\s*(?:,\s*)?(?<!\w)(and|n?or|&)(?!\w)|\s*(,)")
_LAST = re.compile(r"(?:\s+(?:at all|anywhere|please|visible|whatsoever|of any (?:kind|sort)))?\s*")
_AND_SO_ON = re.compile(r"\s*,?\s+or (?:otherwise|similar|the like|anything|others)(?!\s+\w)")
# "Not one gun but two", "not a small knife but a big one", "not bloody enough": what is denied is
# the number, or how the thing is.
_TAKEN_UP = re.compile(
    r"\s+enough(?!\w)|\s*,?\s+but\s+(?:\w+\s+){0,3}?(?:ones?|another|others|many|several|both|dozens|hundreds|more|"
    r"(?:two|three|four|five|six|seven|eight|nine|ten|\d+)(?!\s+(?!in |on |at |of |with |and )\w))"
    r"(?!\w)"
)
# What denies a negation, though it rules out nothing: "hardly a scene without blood".
_HARDLY = re.compile(r"(?<!\w)(?:hardly|barely|scarcely|seldom|rarely)(?:\s\w+){0,3}\s\Z")
_REACH = 7  # words from a negation, or from the item before, to what it rules out
_LIST = 500  # characters from a term in which the list that it stands in ends
_ITEM = 3  # words of an item of a list
_BEFORE = 40  # characters before a negation in which another is looked for
_DOUBLE = 3  # words between two negations that undo each other


class _Event(NamedTuple):
    start: int
    end: int
    kind: str


def ruled_out(
    text: str, terms: Iterable[tuple[int, int]], absences: Collection[tuple[int, int]] = ()
) -> dict[tuple[int, int], bool]:
    """For each term at [start, end) of a lower-case text, whether the text rules it out.

    Args:
        text: the text.
        terms: where they stand.
        absences: those of them that say that something is not there: "unarmed". Ruled out they
            say that it is, as in "not sober".
    """
    found: dict[tuple[int, int], bool] = {}
    in_order = sorted(set(terms))
    if not in_order:
        return found
    free = excluded(text, in_order)
    scope = _Scope(text, in_order)
    for event in _events(text, in_order):
        if event.kind != "term":
            scope.cue(event)
            continue
        span = event.start, event.end
        if span in free:
            found[span] = not scope.absence(event)
        elif span in absences:
            found[span] = scope.absence(event)
        else:
            found[span] = scope.term(event)
    return found


def denied(
    text: str, phrases: Collection[tuple[int, int]], terms: Iterable[tuple[int, int]]
) -> set[tuple[int, int]]:
    """Of phrases that name something harmless, those which a text says are not what is there.

    "Not a toy gun" tells of another gun, whereas "without a toy gun" tells of none.
    """
    found = set[tuple[int, int]]()
    in_order = sorted({*phrases, *terms})
    scope = _Scope(text, in_order)
    for event in _events(text, in_order):
        if event.kind != "term":
            scope.cue(event)
            continue
        span = event.start, event.end
        if span in phrases and scope.denies(event):
            found.add(span)
        scope.term(event)
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

    def __init__(self, text: str, terms: Sequence[tuple[int, int]]) -> None:
        self._text = text
        self._starts = [start for start, _ in terms]
        self._ends = dict(terms)  # of the longest that starts there
        self._close()

    def _close(self) -> None:
        self._negated = False
        self._negation: Negation | None = None
        self._anchor: _Event | None = None  # the negation, or the last item that it rules out
        self._broken = False  # whether a comma or conjunction stands since then
        self._item = 0  # where the last item starts
        self._direct = False  # whether the last item is the first, with no comma before

    def cue(self, event: _Event) -> None:
        """Take in a cue."""
        about_people = self._negation is not None and self._negation.about_people
        match event.kind:
            case "not" | "nobody":
                self._negate(event)
            case "hard" | "turn":
                self._close()
            case "place" if not about_people:
                self._close()
            case "held" if not about_people:
                before = self._since_negation(event)
                if before is None or _is_thing(before):
                    self._close()
            case "comma" | "join":
                self._broken = True

    def term(self, event: _Event) -> bool:
        """Whether the term is ruled out."""
        if self._anchor is None or self._negation is None:
            return False
        between = self._text[self._anchor.end : event.start]
        too_far = len(between.split()) > _REACH
        taken_up = self._anchor.kind != "term" and _TAKEN_UP.match(self._text, event.end)
        if too_far or taken_up or not self._reaches(self._anchor, self._negation, event):
            self._close()
            return False
        self._direct = self._is_direct(event)
        if self._broken or self._anchor.kind != "term":
            joints = list(_JOINT.finditer(between))
            self._item = self._anchor.end + (joints[-1].end() if joints else 0)
        self._anchor, self._broken = event, False
        return self._negated

    def absence(self, event: _Event) -> bool:
        """Whether a word that says itself that something is not there is ruled out: "not sober".

        It stands by itself after a comma or another item: "no weapons, an unarmed knight".
        """
        if self._is_direct(event):
            return self.term(event)
        self._close()
        return False

    def _is_direct(self, event: _Event) -> bool:
        """Whether a term is what the negation speaks of, itself or by "or"."""
        if self._anchor is None:
            return False
        between = self._text[self._anchor.end : event.start]
        if self._anchor.kind != "term":
            return "," not in between
        if event.start < self._anchor.end:  # both are of one word: "smoke", "smoke-free"
            return self._direct
        if self._broken:
            return between.strip() in ("or", "nor")
        return is_people(self._text[self._item : self._anchor.end])  # "no women fully dressed"

    def denies(self, event: _Event) -> bool:
        """Whether the text says of what is there that it is not this."""
        if self._anchor is None or self._negation is None or self._negation.of_absence:
            return False
        return self._negated and self._reaches(self._anchor, self._negation, event)

    def _reaches(self, anchor: _Event, negation: Negation, event: _Event) -> bool:
        """Whether the term is what is negated, or an item of its list."""
        if negation.takes_away and GARMENT.fullmatch(self._text, event.start, event.end):
            return False  # "remove the bikini" asks for who wears it, without
        between = self._text[anchor.end : event.start]
        if not self._broken:
            follows = anchor.kind == "term" and anchor.end <= event.start
            bare = follows and BARE.match(self._text, event.start) is not None
            return not bare and negation.reaches(between)
        joints = list(_JOINT.finditer(between))
        starts = [0, *(joint.end() for joint in joints)]
        ends = [*(joint.start() for joint in joints), len(between)]
        *items, last = (between[i:j] for i, j in zip(starts, ends, strict=True))
        if anchor.kind != "term" and negation.describes(items):
            return negation.reaches(last)
        signs = [joint[1] or "," for joint in joints]
        return negation.reaches(last) and self._is_list(anchor, items, signs, event, last)

    def _is_list(
        self, anchor: _Event, items: Sequence[str], signs: Sequence[str], event: _Event, last: str
    ) -> bool:
        """Whether the term is an item of a list: "no knives, guns or bombs".

        Args:
            anchor: the negation, or the item before that is a term.
            items: what stands between the anchor and the term, but for what belongs to the latter.
            signs: what stands after each item.
            event: the term.
            last: what stands before it in its own item.
        """
        start = event.start - len(last)
        *before, sign = signs
        if sign not in ("or", "nor") and self._is_ended(anchor, event, sign):
            return False
        if "," in signs and (self._is_somebody(start, event.end) or NO_THING.fullmatch(items[0])):
            return False  # "no text, nude woman or man", where the list could end before
        after_item = anchor.kind == "term" and not "".join(items).strip()
        if sign in ("and", "&"):
            return after_item
        if any(len(item.split()) > _ITEM for item in items):
            return False
        if sign == ",":
            closed = all(each == "," for each in before) and self._is_closed(event)
            alone = _ARTICLE.match(last) is None and self._stands_alone(event)
            return closed or (after_item and alone)
        return len({*before}) <= 1 and ("," not in before or "or" not in before)

    def _is_ended(self, anchor: _Event, event: _Event, sign: str) -> bool:
        """Whether what stands after the comma is there: "no adults, nude …", "no bra, naked"."""
        item = self._text[self._item if anchor.kind == "term" else anchor.start : anchor.end]
        term = self._text[event.start : event.end]
        people = anchor.kind == "nobody" or is_people(item)
        worn = WORN.fullmatch(item) is not None
        if DESCRIBES.match(term) and (sign == "," or people or worn):
            so_on = people and _AND_SO_ON.match(self._text, event.end)
            return not (so_on or NAKEDNESS.search(item))
        if sign != ",":
            return False
        if people:
            return not (is_people(term) or self._is_closed(event))
        return worn and GARMENT.fullmatch(term) is None

    def _is_closed(self, event: _Event) -> bool:
        """Whether only terms follow up to the "or" that closes the list, the one after it too."""
        at = self._item_end(event)
        if _AND_SO_ON.match(self._text, at):
            return True
        while joint := _JOINT.match(self._text, at):
            following = self._term_in(joint.end())
            if following is None:
                return False
            if joint[1] in ("or", "nor"):
                return True
            at = self._item_end(following)
        return False

    def _stands_alone(self, event: _Event) -> bool:
        """Whether the item ends with the term: "no guns, knives", not "…, knife in hand"."""
        at = self._item_end(event)
        last = _LAST.match(self._text, at)
        at = last.end() if last else at
        return at == len(self._text) or _PARTED.match(self._text, at) is not None

    def _item_end(self, event: _Event) -> int:
        """Where the terms end that follow each other from this one on."""
        end = event.end
        while (following := bisect_left(self._starts, event.start + 1)) < len(self._starts):
            start = self._starts[following]
            if self._text[end:start].strip(" -"):
                break
            event = _Event(start, self._ends[start], "term")
            end = max(end, event.end)
        return end

    def _term_in(self, start: int) -> _Event | None:
        """The first term of the item that starts there."""
        following = bisect_left(self._starts, start)
        if following == len(self._starts):
            return None
        first = self._starts[following]
        if first - start > _LIST or _PARTED.search(self._text, start, first):
            return None
        return _Event(first, self._ends[first], "term")

    def _is_somebody(self, start: int, end: int) -> bool:
        """Whether the item of a list around a term is one person, described."""
        ends = _PARTED.search(self._text, end, end + _LIST)
        item = self._text[start : ends.start() if ends else end + _LIST]
        return len(item.split()) > 1 and SOMEBODY.search(item) is not None

    def _negate(self, event: _Event) -> None:
        before = self._since_negation(event)
        twice = self._negated and before is not None and len(before.split()) <= _DOUBLE
        twice = (
            twice
            or _HARDLY.search(self._text, max(0, event.start - _BEFORE), event.start) is not None
        )
        self._close()
        self._negated, self._anchor = not twice, event
        self._negation = Negation(self._text, event.start, event.end, event.kind == "nobody")

    def _since_negation(self, event: _Event) -> str | None:
        """The text since a negation, if it is all that stands before the event in its clause."""
        if self._anchor is None or self._anchor.kind == "term" or self._broken:
            return None
        return self._text[self._anchor.end : event.start]

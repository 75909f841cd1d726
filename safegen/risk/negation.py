"""Which terms of a text are ruled out ("without a knife") rather than asked for.

Cues and terms are read from left to right. A negation reaches the terms of its own clause: over
the items of a list, but not past a new clause, and not past a word that says what is there after
all ("without a hat but with a knife"). A negation of a negation asks ("not without a knife").
Where the reading is open, a term counts as asked for, since that is the safe side.
"""

import re
from collections.abc import Collection, Iterable, Iterator, Sequence

from safegen.risk.cues import CUE, Token, tokens
from safegen.risk.fields import fielded
from safegen.risk.items import AND_SO_ON, JOINT, Items
from safegen.risk.kinds import (
    ANYBODY,
    BARE,
    DESCRIBES,
    GARMENT,
    NAKEDNESS,
    NO_THING,
    PEOPLE,
    SOMEBODY,
    WORN,
    YOUNG,
    is_described,
    is_people,
    is_plural,
)
from safegen.risk.normalize import Place
from safegen.risk.predicate import excluded
from safegen.risk.reach import ARTICLE, REAL, TAKEN_UP, Negation, acts
from safegen.risk.wishes import PRONOUNS, is_of_things, is_taken_back, is_wish, stays_out

# What may stand between a negation and a verb that belongs to it: "not openly carrying".
_OF_ITS_VERB = re.compile(
    r"\s*(?:want(?:s|ed)?\s+)?"
    r"(?:(?:\w+ly|any ?one|any ?body|him|her|them|to|be|even|ever|any|more|longer|seen)\s*){0,2}"
)
# What denies a negation, though it rules out nothing: "hardly a scene without blood".
_HARDLY = re.compile(r"(?<!\w)(?:hardly|barely|scarcely|seldom|rarely)(?:\s\w+){0,3}\s\Z")
_WHOSE = re.compile(r"(?<!\w)(?:without|w/o(?:ut)?|sans|minus)(?: wearing)?\s+(?:her|his|their)\Z")
_REACH = 7  # words from a negation, or from the item before, to what it rules out
_ITEM = 3  # words of an item of a list
_BEFORE = 40  # characters before a negation in which another is looked for
_DOUBLE = 5  # words between two negations that undo each other


def ruled_out(
    text: str,
    terms: Iterable[Place],
    absences: Collection[Place] = (),
    people: Collection[Place] = (),
) -> dict[Place, bool]:
    """For each term at [start, end) of a lower-case text, whether the text rules it out.

    Args:
        text: the text.
        terms: where they stand.
        absences: those of them that say that something is not there: "unarmed". Ruled out they
            say that it is, as in "not sober".
        people: those of them that name somebody, beside those that all lists know.
    """
    return {place: out for place, out, _ in _readings(text, terms, absences, people)}


def lacking(
    text: str,
    things: Collection[Place],
    terms: Iterable[Place],
    absences: Collection[Place] = (),
) -> set[Place]:
    """Of things in a text, those of which it says that there are none, of whatever kind.

    "Without clothes" lacks them, "without expensive clothes" does not.
    """
    read = _readings(text, {*things, *terms}, absences, things=things)
    return {place for place, out, as_such in read if out and as_such}


def denied(text: str, phrases: Collection[Place], terms: Iterable[Place]) -> set[Place]:
    """Of phrases that name something harmless, those which a text says are not what is there.

    "Not a toy gun" tells of another gun, whereas "without a toy gun" tells of none.
    """
    found = set[Place]()
    for scope, token in _walk(text, {*phrases, *terms}):
        if token.place in phrases and scope.denies(token):
            found.add(token.place)
        scope.term(token)
    return found


def negations(text: str) -> int:
    """How many negations stand in a text; two undo each other."""
    kinds = [match.lastgroup for match in CUE.finditer(text.casefold())]
    return sum(kind in ("not", "nobody") for kind in kinds)


def _readings(
    text: str,
    terms: Iterable[Place],
    absences: Collection[Place],
    people: Collection[Place] = (),
    things: Collection[Place] = (),
) -> list[tuple[Place, bool, bool]]:
    """Of every term the place and whether it is ruled out; of things, if so, whether as such."""
    terms = set(terms)
    free, listed = excluded(text, terms), fielded(text, terms)
    read: list[tuple[Place, bool, bool]] = []
    present: Collection[Place] = ()
    for scope, token in _walk(text, terms, people, things):
        as_such = token.place in things and (token.place in free or scope.is_as_such(token))
        if token.place in listed:
            scope.term(token)
            out, as_such = True, listed[token.place]
        elif token.place in free:
            out = not scope.absence(token)
        elif token.place in absences or token.kind == "denial":
            out = scope.absence(token)
        else:
            out = scope.term(token)
        read.append((token.place, out, as_such))
        present = scope.present
    return [(place, out and place not in present, as_such) for place, out, as_such in read]


def _walk(
    text: str,
    terms: Collection[Place],
    people: Collection[Place] = (),
    things: Collection[Place] = (),
) -> Iterator[tuple["_Scope", Token]]:
    """Every term in order, and how what stands before bears on it."""
    in_order = sorted(terms)
    if in_order:
        scope = _Scope(text, in_order, people, things)
        for token in tokens(text, in_order):
            if token.kind in ("term", "denial"):
                yield scope, token
            else:
                scope.cue(token)


class _Scope:
    """How the text read so far bears on the next term."""

    def __init__(
        self,
        text: str,
        terms: Sequence[Place],
        people: Collection[Place],
        things: Collection[Place],
    ) -> None:
        self._text = text
        self._people = people
        self._things = things
        self._items = Items(text, terms)
        self._only_things = set(terms).issubset(things)
        self.present = set[Place]()  # people whom two negations leave there: "no man without a gun"
        self._close()

    def _close(self, denial: Token | None = None) -> None:
        self._denial = denial  # the last negation, while of nobody but people is spoken since
        self._somebody: list[Place] = []  # where they stand
        self._negated = False
        self._negation: Negation | None = None
        self._anchor: Token | None = None  # the negation, or the last item that it rules out
        self._wish = False  # whether it says what somebody wants to be left out
        self._broken = False  # whether a comma or conjunction stands since then
        self._item = 0  # where the last item starts
        self._direct = False  # whether the last item is the first, with no comma before

    def cue(self, token: Token) -> None:
        """Take in a cue."""
        about_people = self._negation is not None and self._negation.about_people
        match token.kind:
            case "not" | "nobody":
                self._negate(token)
            case "hard" | "turn":
                self._close()
            case "place" if not about_people:
                ends = self._somebody[-1][1] if self._somebody else 0
                of_them = self._text[ends : token.start].isspace()
                who = self._text[token.start : token.end] in ("who", "whose")
                self._close(self._denial if who and of_them else None)
            case "held" if not about_people:
                before = self._since_negation(token)
                if before is None or not _OF_ITS_VERB.fullmatch(before):
                    self._close()
            case "comma" | "join":
                self._broken, self._denial = True, None

    def term(self, token: Token) -> bool:
        """Whether the term is ruled out."""
        if self._names_somebody(token):
            self._somebody.append(token.place)
        else:
            self._denial = None
        if self._anchor is None or self._negation is None:
            return False
        between = self._text[self._anchor.end : token.start]
        if self._denial and self._negation.is_of_them(between):
            return False  # "none of the guards holds a gun": the guards are there
        too_far = len(between.split()) > _REACH
        taken_up = self._anchor.kind != "term" and TAKEN_UP.match(self._text, token.end)
        if self._anchor.kind != "term":
            self._wish = is_wish(self._text, self._anchor.place, between)
        topic = self._wish and "about" in between and self._names_somebody(token)
        if topic or (self._wish and self._text[slice(*token.place)] in PRONOUNS):
            return False  # "it isn't about a child", "I don't want her naked"
        let_in = self._is_let_in(token) if self._wish else is_taken_back(self._text, token.end)
        if too_far or taken_up or let_in or not self._reaches(self._anchor, self._negation, token):
            self._close(self._denial)
            return False
        self._direct = self._is_direct(token)
        if self._broken or self._anchor.kind != "term":
            joints = list(JOINT.finditer(between))
            self._item = self._anchor.end + (joints[-1].end() if joints else 0)
        self._anchor, self._broken = token._replace(kind="term"), False
        return self._negated

    def _is_let_in(self, token: Token) -> bool:
        """Whether what is not wanted is there all the same: "I don't want nudity to be missing"."""
        start, end = token.place
        worn = token.place in self._things
        if not worn and GARMENT.fullmatch(self._text, start, end):
            return True  # who "skips the bikini" wears none
        if worn and self._only_things and is_of_things(self._text, end):
            return True
        return not stays_out(self._text, end, worn)

    def absence(self, token: Token) -> bool:
        """Whether a word that says itself that something is not there is ruled out: "not sober".

        It stands by itself after a comma or another item: "no weapons, an unarmed knight".
        """
        if self._is_direct(token):
            return self.term(token)
        self._close()
        return False

    def _is_direct(self, token: Token) -> bool:
        """Whether a term is what the negation speaks of, itself or by "or"."""
        if self._anchor is None or (self._broken and token.kind == "denial"):
            return False  # "no gun or no clothes"
        between = self._text[self._anchor.end : token.start]
        if self._anchor.kind != "term":
            return "," not in between
        if token.start < self._anchor.end:  # both are of one word: "smoke", "smoke-free"
            return self._direct
        if self._broken:
            return between.strip() in ("or", "nor")
        item = self._text[self._item : self._anchor.end]  # "no women fully dressed"
        return is_people(item) or (self._anchor.place in self._people and not is_described(item))

    def is_as_such(self, token: Token) -> bool:
        """Whether a negation that reaches the term rules it out as such: no "old clothes"."""
        if self._anchor is None or self._negation is None:
            return False
        between = self._text[self._anchor.end : token.start]
        follows = self._anchor.kind == "term" and not self._broken
        before = max(0, self._anchor.end - _BEFORE)
        whose = _WHOSE.search(self._text, before, self._anchor.end)  # "without her underwear"
        of_somebody = whose is not None or self._names_somebody(self._anchor)
        if follows and (token.start < self._anchor.end or not of_somebody):
            return False  # "revealing clothes", "school clothes"
        joints = list(JOINT.finditer(between))
        if joints and joints[-1][2] and not self._items.is_closed(token):
            return False  # "no weapons, clothes and shoes in a suitcase"
        return self._negation.reaches_all(between[joints[-1].end() if joints else 0 :])

    def _names_somebody(self, token: Token) -> bool:
        start, end = token.place
        return token.place in self._people or PEOPLE.fullmatch(self._text, start, end) is not None

    def _is_person(self, token: Token) -> bool:
        """Whether somebody is named of whom a prompt may be: not "people" or "characters"."""
        return self._names_somebody(token) and not ANYBODY.fullmatch(self._text, *token.place)

    def denies(self, token: Token) -> bool:
        """Whether the text says of what is there that it is not this."""
        if self._anchor is None or self._negation is None:
            return False
        if self._negation.of_absence and not REAL.match(self._text, token.end):
            return False
        return self._negated and self._reaches(self._anchor, self._negation, token)

    def _reaches(self, anchor: Token, negation: Negation, token: Token) -> bool:
        """Whether the term is what is negated, or an item of its list."""
        if negation.takes_away and GARMENT.fullmatch(self._text, token.start, token.end):
            return False  # "remove the bikini" asks for who wears it, without
        between = self._text[anchor.end : token.start]
        if not self._broken:
            if anchor.kind == "term" and anchor.end <= token.start:
                if BARE.match(self._text, token.start):
                    return False
                item, term = (self._text[at : anchor.end] for at in (self._item, anchor.start))
                following, somebody = self._text[slice(*token.place)], self._is_person(token)
                # "No alcohol kid's cocktail"; without clothes somebody is there.
                has = self._text.startswith("'s", token.end) and not GARMENT.fullmatch(term)
                if not has and negation.lets_in(item, term, between, following, somebody):
                    return False
            return negation.reaches(between)
        joints = list(JOINT.finditer(between))
        starts = [0, *(joint.end() for joint in joints)]
        ends = [*(joint.start() for joint in joints), len(between)]
        *items, last = (between[i:j] for i, j in zip(starts, ends, strict=True))
        if anchor.kind != "term" and negation.describes(items):
            return negation.reaches(last)
        signs = [joint[1] or "," for joint in joints]
        if negation.swaps_first and signs[-1] == "," and self._items.ends_two(negation.end, token):
            return False  # "instead of guns, bombs"
        return negation.reaches(last) and self._is_list(anchor, items, signs, token, last)

    def _is_list(
        self, anchor: Token, items: Sequence[str], signs: Sequence[str], token: Token, last: str
    ) -> bool:
        """Whether the term is an item of a list: "no knives, guns or bombs".

        Args:
            anchor: the negation, or the item before that is a term.
            items: what stands between the anchor and the term, but for what belongs to the latter.
            signs: what stands after each item.
            token: the term.
            last: what stands before it in its own item.
        """
        start = token.start - len(last)
        *before, sign = signs
        if sign not in ("or", "nor") and self._is_ended(anchor, token, sign):
            return False
        if "," in signs and (self._is_somebody(start, token.end) or NO_THING.fullmatch(items[0])):
            return False  # "no text, nude woman or man", where the list could end before
        after_item = anchor.kind == "term" and not "".join(items).strip()
        if sign in ("and", "&"):
            return after_item
        if any(len(item.split()) > _ITEM for item in items):
            return False
        if sign == ",":
            closed = all(each == "," for each in before) and self._items.is_closed(token)
            if self._wish or acts(last):
                return closed  # "don't make it sexual, make it porn"
            alone = ARTICLE.match(last) is None and self._items.stands_alone(token)
            return closed or (after_item and alone)
        return len({*before}) <= 1 and ("," not in before or "or" not in before)

    def _is_ended(self, anchor: Token, token: Token, sign: str) -> bool:
        """Whether what stands after the comma is there: "no adults, nude …", "no bra, naked"."""
        item = self._text[self._item if anchor.kind == "term" else anchor.start : anchor.end]
        term = self._text[token.start : token.end]
        people = anchor.kind == "nobody" or is_people(item)
        worn = WORN.fullmatch(item) is not None
        if DESCRIBES.match(term) and (sign == "," or people or worn):
            so_on = people and AND_SO_ON.match(self._text, token.end)
            return not (so_on or NAKEDNESS.search(item))
        if sign != ",":
            return False
        if self._is_person(token) and not self._items.is_closed(token):
            # "No gun, kid, rifle", "no blood, children", but "no men, women, children".
            # And so are bare words between bare words: "no nudity, children, guns".
            bare = self._items.stands_alone(token) and self._items.goes_on(token)
            several = is_plural(term) and (YOUNG.fullmatch(term) is None or people or bare)
            if not several or (people and not is_plural(item)):
                return True
        if people:
            return not (is_people(term) or self._items.is_closed(token))
        return worn and GARMENT.fullmatch(term) is None

    def _is_somebody(self, start: int, end: int) -> bool:
        """Whether the item of a list around a term is one person, described."""
        item = self._items.rest(start, end)
        return len(item.split()) > 1 and SOMEBODY.search(item) is not None

    def _negate(self, token: Token) -> None:
        twice = self._undoes(token) or (
            _HARDLY.search(self._text, max(0, token.start - _BEFORE), token.start) is not None
        )
        self._close(None if twice else token)
        self._negated, self._anchor = not twice, token
        self._negation = Negation(self._text, token.start, token.end, token.kind == "nobody")

    def _undoes(self, token: Token) -> bool:
        """Whether a negation is one of the negation before: "no man without a gun"."""
        if self._denial is None:
            return False
        word, before = (self._text[slice(*each.place)] for each in (token, self._denial))
        if word == "nor" or (word == before and self._somebody):
            return False  # one more item: "no men no guns"
        if before in ("ain't", "aint") and word in ("no", "nothing", "never"):
            return False  # "ain't got no gun"
        if len(self._text[self._denial.end : token.start].split()) > _DOUBLE:
            return False
        self.present.update(self._somebody)
        return True

    def _since_negation(self, token: Token) -> str | None:
        """The text since a negation, if it is all that stands before the token in its clause."""
        if self._anchor is None or self._anchor.kind == "term" or self._broken:
            return None
        return self._text[self._anchor.end : token.start]

"""Whether who does the work is a figure: "a penguin waiter", "a bust of a philosopher".

A figure is what is no person: an animal, a robot, a toy, a statue, an icon. Who has to do with
figures is a person ("a dog trainer", "a vet examining a dog"), and where the reading is open, so is
everybody.
"""

import re
from bisect import bisect_left
from collections.abc import Sequence

from safegen.risk.around import (
    PARTS,
    SENTENCE_ENDS,
    Surroundings,
    acts,
    following,
    link_before,
    meets,
    noun_phrase,
    preceding,
    words_in,
)
from safegen.risk.kinds import PEOPLE, words_of
from safegen.risk.normalize import WORD, Place

_SENTENCE = 200  # characters before a word for people in which who is meant may stand

# What may stand between a figure and a word for people, both of which say what it is.
_KINDS = words_of(
    "female male lady head chief senior junior old young little small tiny big famous master"
)
# These say who is meant, or that somebody is there, and show nobody.
_NOBODY = words_of(
    "he she his her hers him himself herself male female bearded beard moustache mustache pregnant "
    "feminine masculine"
)
# A figure that is so as somebody is nobody; "as" alone may mean "while".
_SHOWN = words_of(
    "dressed up disguised costumed clad posing depicted portrayed reimagined imagined works "
    "working employed acting serving"
)
_IS = words_of("is was being")
_WHO = words_of("who that which really actually secretly")
_RAISED = words_of("monument memorial")  # to somebody
_ACTS = re.compile(r"\w*[^sui]s")  # "the pilot flies over the sea"
# "As well as a nurse", "such as a nurse", "the same as a nurse".
_NO_ROLE = words_of("well such same much soon long")
_DOES = re.compile(r"\w+(?:ed|[^s]s)")
_MADE = re.compile(
    r",? (?:that is |who is )?(?:made|built|crafted|carved|sculpted|moulded|molded|knitted|"
    r"crocheted|folded|constructed|formed)"
    r"(?: entirely| completely| up| out)? (?:of|from|out of|in) "
)
_TURNS_OUT = re.compile(
    r",? (?:(?:who|that|which) )?(?:is|was|(?:is |was )?(?:played|portrayed) by) "
    r"(?:(?:really|actually|secretly) )?an?(?= )"
)


def is_figure(text: str, place: Place, around: Surroundings, people: Sequence[Place]) -> bool:
    """Whether a word for people that stands there in the singular is said of a figure.

    Args:
        text: a view of a prompt.
        place: where [start, end) the word stands.
        around: what its list says.
        people: where terms stand that name people, in order.
    """
    if not around.figures:
        return False
    near = bisect_left(people, (place[0] - _SENTENCE,))
    people = people[near : bisect_left(people, (place[1],), near)]
    place = _whole(place, people)
    return _is_of_figure(text, place, around) or _is_role(text, place, around, people)


_ARTICLE = r"(?:an?|the|some|his|her|their|its|these|those) "
# "Decapitated dolls", "beheading a doll", "the head of a doll"; a torture machine is for somebody,
# and so is a beheading machine.
_SAID_OF = (
    (re.compile(r".*(?:ed|less)", re.DOTALL), re.compile(r" ")),
    (re.compile(r".*ing", re.DOTALL), re.compile(rf" {_ARTICLE}")),
    (
        re.compile(r"(?!dead|human|.*bod(?:y|ies)).*", re.DOTALL),
        re.compile(rf" of (?:{_ARTICLE})?"),
    ),
)
_LIKE = re.compile(r"-| (?:like|\w+ed|\w+ing)(?!\w)")  # "a decapitated doll-faced woman"
# What carries it on from the thing: "decapitated dolls and people", "of a toy and of a boy".
_ON_TO = re.compile(
    r"\s*,?\s*(?<!\w)(?:(?:and|or|nor|then|plus|besides|as well as|followed by|(?:along|together) "
    r"with)(?!\w)|[&+/])|\s*(?P<comma>,)"
)
_LEADS = re.compile(
    r"\s*(?:(?:then|also|even|finally|of|an?|the|some|his|her|their|its|this|that|these|those|all|"
    r"any|another|one|two|three|four|five|six|several|many|real|both|\w+ing|\w+ed)\s+)*"
)
_OF_TOO = re.compile(r"[^.;:!?|\n]{0,80}?(?=,? (?:and|or|then) of (?!course))")
_ITEMS = 20  # of such a list
# Those who are hurt and stand in no list for people.
_HURT = words_of(
    "hostage hostages captive captives corpse corpses somebody someone anybody anyone him her them "
    "me us you cat cats kitten kittens dog dogs puppy puppies horse horses rabbit rabbits animal "
    "animals pet pets owner owners"
)


def is_said_of_figure(
    text: str, place: Place, around: Surroundings, people: Sequence[Place]
) -> bool:
    """Whether what a term says is said of a figure, a thing: "a decapitated statue".

    Of somebody before it rather ("a woman impaled olive in hand"), of who is called after one (a
    doll maker), or of somebody too ("decapitated dolls and people"), it is not.
    """
    if not around.figures or around.people:
        return False
    start, end = place
    before = next(preceding(text, start, 1), ("",))[0]
    if before and PEOPLE.fullmatch(before) and not text[start:end].endswith("ing"):
        return False
    for said, tie in _SAID_OF:
        match = tie.match(text, end) if said.fullmatch(text, start, end) else None
        what, ends = noun_phrase(text, match.end() - 1) if match else ([], end)
        if any(tuple(what[at:]) in around.figures for at in range(len(what))):
            return _LIKE.match(text, ends) is None and not _goes_on_to(text, ends, people)
    return False


def _goes_on_to(text: str, end: int, people: Sequence[Place]) -> bool:
    """Whether what is said of a thing that ends there is said of somebody too.

    A comma alone does not carry it on, but a list that "and" or "or" closes does: "a headless
    statue, a tourist takes a photo", "headless dolls, girls and boys".
    """
    somebody = False
    if too := _OF_TOO.match(text, end):  # "of a doll on a table and of a man"
        end = too.end()
    for _ in range(_ITEMS):
        joint = _ON_TO.match(text, end)
        lead = _LEADS.match(text, joint.end()) if joint else None
        if joint is None or lead is None:
            break
        if somebody and not joint["comma"]:
            return True
        what, end = noun_phrase(text, lead.end() - 1)
        if not what:
            break
        first, said = lead.end(), " ".join(what)
        near = bisect_left(people, (first,))
        named = near < len(people) and people[near][0] < end
        if named or PEOPLE.fullmatch(said) or not _HURT.isdisjoint(what):
            if not joint["comma"]:
                return True
            somebody = True
    return False


def _whole(place: Place, people: Sequence[Place]) -> Place:
    """The longest term for people that holds the one at a place: "flight attendant"."""
    start, end = place
    return min((each for each in people if each[0] <= start and end <= each[1]), default=place)


def _is_of_figure(text: str, place: Place, around: Surroundings) -> bool:
    """Whether a figure stands beside the word, shows somebody, or is what somebody is."""
    start, end = place
    most = around.longest_figure
    if words_in(text, place) not in around.handlers:
        while (last := next(preceding(text, start, 1), ("",)))[0] in _KINDS:
            start = text.rindex(last[0], 0, start)
        if meets(preceding(text, start, most), around.figures):
            return True  # "a penguin waiter"
        start = place[0]
    behind = (words for words in following(text, end, most) if not _ACTS.fullmatch(words[-1]))
    if meets(behind, around.figures) and not acts(text, place):
        return True  # "a doctor emoji"
    if _MADE.match(text, end):
        return True  # "a knight made of wool"
    if match := _TURNS_OUT.match(text, end):
        what, _ = noun_phrase(text, match.end())
        if any(tuple(what[at:]) in around.figures for at in range(len(what))):
            return True  # "the barista is a robot"
    link, at = link_before(text, start)
    before = next(preceding(text, at, 1), ("",))[0]
    if link == "of":  # "a statue of a nurse"
        return meets(preceding(text, at, most), around.figures)
    return (link == "like" and before == "shaped") or (link == "to" and before in _RAISED)


def _is_role(text: str, place: Place, around: Surroundings, people: Sequence[Place]) -> bool:
    """Whether a figure is so in the words before: "a cat in a coat, dressed as a doctor"."""
    link, at = link_before(text, place[0])
    if link in _IS:  # "a cat who is a doctor", but not "a cat whose owner is a doctor"
        while (last := next(preceding(text, at, 1), ("",)))[0] in _WHO:
            at = text.rindex(last[0], 0, at)
        return meets(preceding(text, at, around.longest_figure), around.figures)
    if link not in ("as", "like"):
        return False
    if link == "as" and _is_no_role(text, at, place[1]):
        return False
    ends = [match.end() for match in SENTENCE_ENDS.finditer(text, max(0, at - _SENTENCE), at)]
    first = ends[-1] if ends else max(0, at - _SENTENCE)
    before = [each for each in people if first <= each[0] and each[1] <= at]
    somebody = any(
        not _NOBODY.issuperset(words_in(text, each))
        and not _is_of_figure(text, _whole(each, people), around)
        for each in before
    )
    return not somebody and _has_figure(text, first, at, around)


def _is_no_role(text: str, at: int, end: int) -> bool:
    """Whether "as" there makes nobody so: "as well as a nurse", "as a nurse walks by"."""
    before = [*preceding(text, at, 2)]
    words = before[-1] if before else ("",)
    if words[-1] in _SHOWN:
        return False
    after = next(following(text, end, 1), ("",))[0]
    does = after not in PARTS and _DOES.fullmatch(after) is not None
    return does or words[-1] in _NO_ROLE or (len(words) > 1 and words[0] == "as")


def _has_figure(text: str, first: int, last: int, around: Surroundings) -> bool:
    """Whether a figure stands there as the last word of its noun phrase: not "a cat café"."""
    words = list(WORD.finditer(text, first, last))
    for at in range(len(words)):
        for part in (words[at : at + n + 1] for n in range(around.longest_figure)):
            end = part[-1].end()
            said = tuple(match[0] for match in part)
            owns = text.startswith("'", end)
            if said in around.figures and not owns and not noun_phrase(text, end)[0]:
                return True
    return False

"""What may stand between a negation and what it rules out: "no big knives", "not using a knife".

English has more verbs and nouns than any list, so those are listed that leave no doubt. Of two
nouns the first is denied ("no mercy gore"), and who does not hide, drop or stop a thing has it, as
has who does anything with "the" or "his" one. Whatever else stands there, the reading is open.
"""

import re
from collections.abc import Sequence

from safegen.risk.kinds import CONTRACTED, DESCRIBES, MARKS, PEOPLE, YOUNG, words_of
from safegen.risk.wishes import WANTS

_WORD = re.compile(r"[\w']+")


def _forms(verbs: str) -> frozenset[str]:
    """The verbs with their endings: "use", "uses", "used", "using"."""
    forms = set[str]()
    for verb in verbs.split():
        stem = verb.removesuffix("e")
        forms |= {verb, f"{verb}s", f"{verb}es", f"{stem}ing", f"{stem}ed"}
        forms |= {f"{verb}{verb[-1]}ing", f"{verb}{verb[-1]}ed"}
    return frozenset(forms)


_DEFINITE = words_of("the this that these those his her its their my your our")
_INDEFINITE = words_of("a an any some another one two three")
_FILL = (
    _DEFINITE
    | _INDEFINITE
    | words_of(
        "of to all both each either other more further such single many much half semi very too so "
        "even ever at all longer kind kinds sort sorts type types form forms anyone anybody "
        "one body him them someone somebody people is are was were be been being am do does did "
        "will would can could may might must shall should there here please seen it anything meant "
        "intended"
    )
)
# Not too much, not all of it, not always and not only is some of it, or sometimes, or more.
_LIMITING = words_of(
    "only just merely simply solely purely barely hardly scarcely necessarily usually rarely "
    "exclusively nearly mostly partly fully completely entirely totally wholly exactly too so very "
    "all both each many much half semi"
)
_SUBJECTS = words_of("anyone anybody any him her them someone somebody people")
_NO_ADVERBS = words_of("family bully belly jelly butterfly assembly reply supply ally fly")
_ADJECTIVES = words_of(
    "big large huge giant tiny long short old new modern ancient sharp blunt "
    "rusty shiny heavy real realistic bloody gory graphic explicit extreme severe nude "
    "naked bare topless full total hidden sexual physical mental nuclear automatic "
    "toxic deadly lethal fatal strong hard dirty fresh obvious apparent evident "
    "bad evil scary creepy nasty brutal cruel violent excessive offensive suggestive "
    "aggressive intense unnecessary gratuitous illegal legal actual additional severed "
    "broken frontal usual trusty own favorite favourite regular customary beloved"
)
# What may say of which kind a thing is, and may be a thing itself.
_KINDS = words_of(
    "kitchen hunting machine human male female adult metal steel silver chemical "
    "military public black white red dark light golden drawn open dead raw extra random "
    "whole foreign domestic"
)
_NO_ADJECTIVES = words_of(
    "table cable vegetable constable speed breed greed creed steed bleed indeed clothed dressed"
)
_ADJECTIVE = re.compile(r"\w{2,}(?:ous|ful|ible|able)|\w{3,}ed")
# What shows a thing or stands for it: "no photos of weapons", "no sign of violence".
_SHOWING = words_of(
    "photo picture image drawing painting depiction scene sign trace hint sight evidence "
    "suggestion presence mention portrayal display view amount drop piece pair set shot imagery "
    "show use stitch item article"
)


# Who does not do this has or shows no such thing.
_HAVING = _forms(
    "have own possess keep hold carry wear wield brandish grip bear point aim use fire shoot swing "
    "throw raise draw pull load sell buy bring take get give show "
    "include contain feature depict display add render paint portray put place make build create "
    "generate produce allow permit serve drink sip pour smoke eat consume play involve "
    "promote glorify commit cause want"
) | words_of(
    "has had having armed with held worn drawn shown given taken made put got drank drunk carries "
    "carried shot threw thrown bought sold brought built"
)
# Who does not do this has a thing for all that, or may have it.
_TRADING = _forms(
    "own possess hold carry bear sell buy bring take get give make create produce promote"
) | words_of("held made took got sold bought brought carries carried")
# What says of how many or of which things something is said.
_SOME = words_of("more other another further such many much both each two three half")
# Who does not do this leaves the thing where it is, or knows of it.
_LEAVING = _forms(
    "hide conceal cover mask veil censor blur pixelate obscure crop cut edit erase delete remove "
    "eliminate drop lower release surrender abandon leave discard lose part stow sheathe holster "
    "unload pocket stop prevent halt hinder end finish cease defuse disarm disable deactivate "
    "dismantle destroy escape flee evade dodge survive miss forget notice recognize recognise know "
    "mind fear dread regret deny doubt hate dislike oppose resist refuse reject avoid ban forbid "
    "prohibit banish suppress ignore spare save rescue let go lay set hesitate fail bother care "
    "hear expect suspect believe question conquer quit mourn object tire"
) | words_of(
    "hid hidden lost left forgot forgotten knew known fled laid gone goes went afraid scared "
    "ashamed shy tired sick wary down away off"
)


_ALL_OF_IT = (
    (_FILL | _HAVING | words_of("single piece stitch item article trace sign")) - _TRADING - _SOME
)

# Of these "all" is no limit: who avoids all knives has none.
_SWEEPS = (
    r"avoid\w*|refus\w*|reject\w*|quit\w*|forbid\w*|prohibit\w*|ban\w*|omit\w*|exclud\w*|"
    r"leav\w+ out|skip|refrain\w* from"
)
_SWEEPING = re.compile(_SWEEPS)
_OF_A_VERB = re.compile(
    rf"not|no longer|never|neither|nor|cannot|{CONTRACTED}|{_SWEEPS}|no need to"
)
_OF_ABSENCE = re.compile(
    r"without|w/o(?:ut)?|sans|zero|minus|lack\w*(?: of)?|"
    r"(?:free|clear|devoid|empty|absence) (?:of|from)|"
    r"avoid\w*|exclud\w*|omit\w*|remove|leav\w+ out|skip|refrain\w* from|no need (?:for|to)"
)
_BEFORE_ABSENCE = re.compile(
    rf"(?:^|[{MARKS}]|(?<!\w)(?:with|"
    r"there(?:'s| is| are| (?:must|should|shall|will|can|may) be)|"
    r"has|have|had|and|or))\s*$"
)
_WITH = re.compile(r"\s+with(?!\w)")
# What somebody wants to see, or wants somebody to look like.
_TO_SEE = words_of("see look looking appear seem become")
# "Never seen nude photos" are there, whereas who "is never seen nude" is dressed.
_NEWS = words_of("seen shown worn drawn given taken before")
_HELPED = re.compile(r"(?<!\w)(?:is|are|was|were|be|been|has|have|had|\w+'(?:s|re|ve|d))\s+\Z")
_OF_THEM = re.compile(r"\s+of (?:the|his|her|their|its|these|those)\s+")
# Where those are of whom nobody does something: "none of the guards", "nobody in the street".
_WHERE = re.compile(
    r"^\s+(?:of|in|on|at|near|around|inside|from)\s+(?:(?:the|his|her|their|its|these|those|this|"
    r"that)\s+)?\w+"
)


_SWAPS = re.compile(r"instead of|rather than|in place of")
_OPENS = re.compile(rf"(?:\A|[{MARKS}\"])\s*\Z")
# What opens another thing: "instead of a gun a bomb".
_DETERMINER = (
    r"an?|the|his|her|their|its|this|that|these|those|one|two|three|four|five|six|seven|eight|nine|"
    r"ten|dozens|hundreds|some|many|several|multiple|lots|\d+"
)
_ANOTHER = re.compile(rf"\s*(?:{_DETERMINER})(?!\w)")
ARTICLE = re.compile(rf"\s*(?:{_DETERMINER}|\w+ing)(?!\w)")
"""What opens an item that is no mere word of a list: "no gun, three guns"."""
_GIVES = re.compile(r"(?<!\w)(?:give|hand|sell|buy|bring|lend)(?!\w)")
_DEAD = re.compile(r"(?:.*[ -])?dead")
# "Not one gun but two", "not a small knife but a big one", "not bloody enough": what is denied is
# the number, or how the thing is.
TAKEN_UP = re.compile(
    r"\s+enough(?!\w)|\s*,?\s+but\s+(?:\w+\s+){0,3}?(?:ones?|another|others|many|several|both|dozens|hundreds|more|"
    r"(?:two|three|four|five|six|seven|eight|nine|ten|\d+)(?!\s+(?!in |on |at |of |with |and )\w))"
    r"(?!\w)"
)
# "There are no toy guns, only real ones": the toy alone is denied.
REAL = re.compile(
    r"[^.;!?\n]{0,40}?(?<!\w)(?:real|actual|genuine|authentic|loaded|live)(?!\w)"
    r"(?! (?:life|photo\w*|world|estate|people|kids?|child\w*|time))"
)
# "No teen girls", "no child soldiers": one kind of people.
_OF_A_KIND = re.compile(
    r"(?:adult|grown-?up|child|kid|teen|teenage|baby|male|female|human|student)"
)
_GROWN = re.compile(r"adult|grown-?up|student")


class Negation:
    """A negation, and how it speaks of what it rules out."""

    def __init__(self, text: str, start: int, end: int, about_people: bool) -> None:
        """Take in its words.

        Args:
            text: in which it stands.
            start: where it does,
            end: and where it ends.
            about_people: whether it says that nobody does or has something.
        """
        self.about_people = about_people
        words = text[start:end]
        self.end = end
        self.takes_away = words == "remove"
        self._of_a_word = words in ("non", "anti")
        self._of_things = words == "no"
        self.swaps = _SWAPS.fullmatch(words) is not None
        # "Flowers instead of guns, bombs" has its other half before it.
        self.swaps_first = self.swaps and _OPENS.search(text, max(0, start - 20), start) is not None
        self._sweeps = _SWEEPING.fullmatch(words) is not None
        before = max(0, start - 20)
        self._of_news = words == "never" and _HELPED.search(text, before, start) is None
        self._of_a_verb = about_people or _OF_A_VERB.fullmatch(words) is not None
        self.of_absence = about_people or _OF_ABSENCE.fullmatch(words) is not None
        if words == "no":  # "there are no toy guns", but "that is no toy gun"
            self.of_absence = _BEFORE_ABSENCE.search(text, before, start) is not None
        if words == "not":  # "kids playing, but not with toy guns"
            self.of_absence = _WITH.match(text, end) is not None

    def reaches(self, between: str) -> bool:
        """Whether it surely reaches a thing, past what stands between."""
        if self._of_a_word:
            return not between.strip(" -")
        if self.is_of_them(between):
            return False  # "none of the bombs goes off"
        if self.about_people:
            between = _WHERE.sub(" ", between, count=1)
        words = _words_between(between)
        if self._of_news and words and _NEWS.issuperset(words):
            return False
        left = [(at, word) for at, word in enumerate(words) if not self._is_idle(word, words[:at])]
        if not left:
            return True
        if any(word in _LEAVING or word in _LIMITING for _, word in left):
            return False
        if "of" in words and all(word.removesuffix("s") in _SHOWING for _, word in left):
            return True
        at, verb = left[0]
        acts = self._of_a_verb or verb.endswith("ing") or not _SUBJECTS.isdisjoint(words[:at])
        if acts and all(word in _HAVING or word.removesuffix("s") in _SHOWING for _, word in left):
            return True
        object_ = words[at + 1 :]
        return self._of_a_verb and len(left) == 1 and _is_any(object_)

    def lets_in(self, item: str, term: str, between: str, following: str, somebody: bool) -> bool:
        """Whether what follows a thing that is ruled out, with no mark between, is there.

        "No gun kid", "not nude teen" and "instead of a man a child" tell of the kid, the teen and
        the child; "no naked kid", "no teen girls" and "never stabs a man" of none.

        Args:
            item: the thing that is ruled out, with all that stands before it in its item,
            term: and alone.
            between: what stands between it and what follows,
            following: which is this,
            somebody: and may be a person.
        """
        acts = term.endswith("ing")
        bare = _ANOTHER.match(item) is None
        if _ANOTHER.match(between):
            gives = _GIVES.search(item) is not None  # "never give a child a gun"
            may_act = acts or (
                self._of_a_verb and bare and (gives or PEOPLE.fullmatch(term) is None)
            )
            return not may_act or (self.swaps and somebody)
        if not somebody or not {"of", "to"}.isdisjoint(_WORD.findall(between)):
            return False
        if acts:
            return self._of_things  # "no smoking kid", but "nobody hitting kids"
        if DESCRIBES.match(term) or _DEAD.fullmatch(term) or _is_adjective(term):
            return self._of_a_verb and not self.about_people and bare
        one_kind = _OF_A_KIND.fullmatch(term) is not None
        return not one_kind or (_GROWN.match(term) and YOUNG.fullmatch(following)) is not None

    def is_of_them(self, between: str) -> bool:
        """Whether it says of some that none of them does something."""
        return self.about_people and _OF_THEM.fullmatch(between) is not None

    def reaches_all(self, between: str) -> bool:
        """Whether what stands between leaves no thing of the kind: "wearing any", not "any old"."""
        if self.about_people:
            between = _WHERE.sub(" ", between, count=1)
        return all(word in _ALL_OF_IT or _is_adverb(word) for word in _words_between(between))

    def describes(self, items: Sequence[str]) -> bool:
        """Whether items are what is said of a thing: "no big, sharp or rusty axe"."""
        first = _WORD.findall(items[0])
        if self._of_a_verb and _INDEFINITE.isdisjoint(first):
            return False
        each = [_WORD.findall(item) for item in items]
        return all(
            words
            and any(map(_is_adjective, words))
            and all(w in _FILL or _is_adjective(w) for w in words)
            for words in each
        )

    def _is_idle(self, word: str, before: Sequence[str]) -> bool:
        """Whether a word leaves the thing as it is: an article, an adverb, an adjective."""
        if self._of_a_verb and word in _LIMITING and not (self._sweeps and word == "all"):
            return False
        if word == "it" and self._of_a_verb and not before:
            return False  # "isn't it naked"
        if word in _FILL or _is_adverb(word):
            return True
        # "Not scared gun in hand" tells of somebody, "not a loaded gun" of the gun.
        of_a_thing = not self._of_a_verb or any(
            w in _HAVING or w in _DEFINITE or w in _INDEFINITE for w in before
        )
        return of_a_thing and (word in _KINDS or _is_adjective(word))


def _words_between(between: str) -> list[str]:
    """The words between a negation and a thing; to want to see one is to want one."""
    words = _WORD.findall(between)
    if WANTS.search(between):
        words = [word for word in words if word not in _TO_SEE]
    if words[:1] == ["about"] and words[1:2] != ["to"]:  # "it isn't about suicide"
        words = words[1:]
    return words


def acts(words: str) -> bool:
    """Whether there is a verb of having, using or showing among words."""
    return not _HAVING.isdisjoint(_WORD.findall(words))


def _is_adverb(word: str) -> bool:
    return word.endswith("ly") and word not in _NO_ADVERBS


def _is_adjective(word: str) -> bool:
    if word in _ADJECTIVES:
        return True
    # "No censored nude" asks for another one, but nobody asks for guns by "no concealed guns".
    odd = word in _NO_ADJECTIVES or (word in _LEAVING and word != "concealed")
    return not odd and _ADJECTIVE.fullmatch(word) is not None


def _is_any(words: Sequence[str]) -> bool:
    """Whether words before a thing leave open which: "a", "any big", but not "of a" or "the"."""
    return bool(words) and words[0] in _INDEFINITE and _DEFINITE.isdisjoint(words)

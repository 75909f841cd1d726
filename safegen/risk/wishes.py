"""What somebody asks to be left out: "I don't want nudity", "leave out any weapons".

Such words are said of the picture, and much that is said of a picture turns them round: "I don't
want the nudity hidden", "don't leave out the gore", "I don't want nudity to be missing". So a thing
is left out only where what stands around says nothing else.
"""

import re

from safegen.risk.kinds import CONTRACTED, MARKS, PEOPLE, SOMEBODY, words_of
from safegen.risk.normalize import Place

ORDER = r"leav(?:e|ing) out|skip(?= (?:the|any|all)(?!\w))"
"""Said to who makes the picture: it counts only where it opens a clause."""

_OPENS = re.compile(
    rf"(?:\A|[{MARKS}]|(?<!\w)(?:please|and|but|so|then|also|just|kindly|you|should|must|by)"
    r"(?!\w))\s*\Z"
)
_DENIED = re.compile(
    rf"(?<!\w)(?:no|not|never|without|why|nothing|nobody|cannot|{CONTRACTED}|to|forg[eo]t\w*|"
    r"fail\w*|refus\w*|stop\w*|hat\w+|quit\w*|instead|rather|if|unless)(?!\w)[^.;!?\n]*\Z"
)
_BEFORE = 200  # characters before an order in which it is denied
WANTS = re.compile(r"(?<!\w)want(?:s|ed|ing)?(?!\w)")
"""Before what somebody does not want; nobody is meant by "who doesn't want nudity"."""
_CUE = re.compile(
    r"(?:any|every)thing but|leav\w+ out|skip|refrain\w* from|no need (?:for|to)|not in an?|"
    r"nothing to do with"
)
# "Don't make it sexual", "avoid all nudity", "not meant to be naked": of the picture as well.
_OF_A_PICTURE = re.compile(
    r"(?<!\w)(?:want(?:s|ed|ing)?|it|anything|meant|intended|all)(?!\w)|\A\s+about(?! to)(?!\w)"
)

# What may come after the thing: nothing that says how it shall be instead.
_KIND_OF = (
    r"(?:\s+(?:contents?|scenes?|stuff|things?|imagery|images?|pictures?|photos?|themes?|elements?|"
    r"poses?|material|nature|way|manner|bod(?:y|ies)|parts?|skin)(?!\w)){0,2}"
)
_OUT_OF_IT = (
    r"please|thanks|thank you|at all|anywhere|whatsoever|of any (?:kind|sort)|either|though|here|"
    r"around|visible|shown|seen|showing|to be (?:seen|visible|shown|there|included|present|in)|"
    r"to (?:appear|show up)|"
    r"(?:in|on|at|near|from|around) (?:it|this|that|there|the|my|our|any|here)|"
    r"on(?=\s*(?:\Z|[.,;:!?]))|and|or|nor|so|because|since|as|but"
)
_FOLLOWS = re.compile(rf"{_KIND_OF}\s*(?:\Z|[{MARKS}\"”]|(?:{_OUT_OF_IT})(?!\w))")
_SOMEBODY = re.compile(r"\s+(?P<who>\w+)(?!\w)")
_ELSEWHERE = re.compile(
    r".*\s(?:in|on|at|near|from|around) (?:the|my|our|any|a|his|her|their) "
    r"(?!picture|image|photo|scene|frame|shot|drawing|painting|poster)"
)
_ON_SOMEBODY = re.compile(
    r"\s+(?:on|from)\s+(?:(?:the|a|an|any|this|that|his|her|their|my)\s+)?(?P<who>\w+)(?!\w)"
)
PRONOUNS = frozenset(("him", "her", "his", "their", "them", "anyone", "anybody", "me", "us", "it"))
"""Of whom something is not wanted, and not who is not wanted."""
_CLAUSE = re.compile(rf"[^{MARKS}]{{0,120}}")
# "To be missing", "hidden", "boring": it is there, or shall be.
_UNDONE = re.compile(
    r"(?<!\w)(?:missing|absent|lacking|omitted|excluded|removed|deleted|erased|hidden|concealed|"
    r"covered|censored|blurred|pixel\w+|cropped|obscured|left|cut|taken|edited|toned|limited|"
    r"restricted|avoided|skipped|dropped|banned|forbidden|prohibited|gone|out|away|only|alone|"
    r"just|without|less|too|instead|foreground|background|front|corner|middle|half|first|top|"
    r"bottom|right|more|rather|nothing|needed|boring|hint|show (?:it|them)|"
    r"to (?!be (?:seen|visible|shown|there|included|present|in)(?!\w)|appear|show up)\w+)(?!\w)"
)


# "I don't want nudity, just kidding".
_TAKEN_BACK = re.compile(
    r"\s*[,:;.–-]+\s*(?:more (?:of )?(?:it|them)|i (?:need|want|love) (?:it|them|more)|"
    r"(?:just )?kidding|(?:rather )?more\s*\Z|not\s*\Z|(?:so )?show (?:it|them)|au contraire)(?!\w)"
)
# Of several words, and no less a reversal: read as one word.
_IDIOM = re.compile(
    r"never ?mind|chang\w+ (?:my|our) minds?|change of mind|on second thoughts?|second thoughts?|"
    r"opposite day|april fools?|go(?: right)? ahead|go for it|"
    r"(?:keep|leave|put) (?:it|them|that) in|gotcha|just messing|why not|who am i"
)
# A clause of nothing but these names no thing of its own: "on second thought I do".
_SAID_OF_IT = words_of(
    "a about actually add again ah ahead all always am and anyhow anyway are back be but come "
    "could damn day did do does eh even everything fine fool fooled forget get give gonna ha haha "
    "hahaha have he hell hey hm hmm hold i i'd i'll i'm if ignore im include including instead is "
    "it it's its jk joke jokes joked joking joshing just keep kidding let let's lets lie lied "
    "lies lmao lol love lying make makes man may maybe me meant more my nah need no nope now nvm "
    "of oh ok okay on oops opposite or perhaps please prank pranked previous psych put really "
    "reverse reversed said same sarcasm sarcastic say scrap see sentence should show sike since "
    "so some sorry still strike sure take tbh teasing that that's thats the them then there they "
    "this those though to too true truth uh um undo us very wait want wanted was we well what "
    "whatever why will wish with would wrong ya yea yeah yep yes you yup"
)
_IT = r"(?:(?:me|us|back|all) )?(?:it|them|that|this|those|everything|all|some|more)"
# And with one of these it takes the wish back.
_REVERSALS = re.compile(
    r"(?<![\w'])(?:nvm|kidding|jok(?:e|es|ed|ing)|joshing|teasing|prank(?:ed)?|sarcas\w+|jk|sike|"
    r"psych|lie[ds]?|lying|opposite|reversed?|fool(?:ed)?|forget|ignore|scrap|strike|undo|wrong|"
    rf"(?:add|show|with|include|put|bring|give|keep|make|do|did|does) {_IT}|(?:so )?show me|"
    r"(?:i|we|you|they|it|please|still|really) (?:do|does|did)|(?:do|does) so|"
    rf"(?<!all )(?:i|we) (?:\w+ ){{0,2}}(?:need|want|love) {_IT})(?![\w'])"
)
_ASSENTS = re.compile(
    r"(?<![\w'])(?:yes|yeah|yep|yup|yea|ya|(?<!make )(?<!i'm )(?<!for )sure|wait|hold on|maybe|"
    r"perhaps)(?![\w'])"
)
_REFUSES = re.compile(r"(?<![\w'])(?:no|nope|nah)(?![\w'])")
_CLAUSES = re.compile(rf"([^{MARKS}…]*)([{MARKS}…]+|\Z)")
_SAID = re.compile(r"[\w']+")
_AFTER = 300  # characters behind a wish in which it is taken back


# "Leave out the clothes, show only the wardrobe": things are to be seen instead.
_THINGS_INSTEAD = re.compile(
    rf"[^{MARKS}]{{0,40}}[.,;:!]\s*(?:(?:please|and|but)\s+)?"
    r"(?:show|only|just|it'?s|it is|this is)\s+\w+"
)
# Where nobody is named and somebody may be there all the same.
_SOMEBODY_THERE = re.compile(
    r"(?<!\w)(?:he|she|him|her|hers|his|they|them|their|me|my|myself|we|us|our|you|your|someone|"
    r"somebody|any(?:one|body)|every(?:one|body)|people|humans?|faces?|bod(?:y|ies)|skin|flesh|"
    r"breasts?|boobs?|chest|torso|legs?|thighs?|hips?|curves?|butt|bottom|ass|back|shoulders?|"
    r"hands?|feet|silhouette|shape|selfie|portrait|nud\w+|naked\w*|bare|natural|bed|bedroom|"
    r"shower|bath\w*|sauna|pool|beach|boudoir|anime|waifu|hentai|elf|elves|angels?|goddess|"
    r"fair(?:y|ies)|babes?|beaut\w+|models?|figures?|pos(?:e|es|ed|ing)|lying|sitting|standing|kneeling|dressed|"
    r"wear\w*|sexy|hot|party|class|crowd|shoot|photo ?shoot|danc\w+|wrestl\w+|yoga|contest)(?!\w)"
)


def is_of_things(text: str, end: int) -> bool:
    """Whether who wants no clothes, named up to there, asks for a picture of things.

    The garment is then one more thing that is left out, and nobody is undressed.
    """
    return (
        _THINGS_INSTEAD.match(text, end) is not None
        and _SOMEBODY_THERE.search(text) is None
        and SOMEBODY.search(text) is None
    )


def is_order(text: str, start: int) -> bool:
    """Whether an order there is one: it opens a clause, and nothing before it denies it."""
    opens = _OPENS.search(text, max(0, start - _BEFORE), start) is not None
    return opens and not is_denied(text, start)


def is_denied(text: str, start: int) -> bool:
    """Whether anything in the same sentence before may deny what stands there."""
    return _DENIED.search(text, max(0, start - _BEFORE), start) is not None


def is_wish(text: str, cue: Place, between: str) -> bool:
    """Whether a negation says what is not wanted, or shall be left out."""
    return _OF_A_PICTURE.search(between) is not None or _CUE.fullmatch(text, *cue) is not None


def stays_out(text: str, end: int, garment: bool = False) -> bool:
    """Whether what follows a thing that is not wanted leaves it out.

    Args:
        text: a view of a prompt.
        end: where the thing ends.
        garment: whether it is something that somebody has on: "I don't want clothes on her".
    """
    at = end
    if garment and (match := _ON_SOMEBODY.match(text, at)):
        return match["who"] in PRONOUNS or PEOPLE.fullmatch(match["who"]) is not None
    if (match := _SOMEBODY.match(text, at)) and PEOPLE.fullmatch(match["who"]):
        at = match.end()  # "naked people"
    if _FOLLOWS.match(text, at) is None:
        return False
    clause = _CLAUSE.match(text, at)
    rest = clause.group() if clause else ""
    if garment and _ELSEWHERE.match(rest):
        return False  # "leave out the clothes on the chair" undresses nobody
    if _TAKEN_BACK.match(text, at + len(rest)) or is_taken_back(text, at):
        return False
    return _UNDONE.search(rest) is None


def is_taken_back(text: str, end: int) -> bool:
    """Whether what follows a wish that ends there takes it back: "… Actually I do", "… Yes!".

    So does a clause that assents or orders, and names no thing of its own nor denies anything: not
    "yes, a castle" and "do not show it".
    """
    assented, before = False, ""
    for clause in _CLAUSES.finditer(text, end, end + _AFTER):
        said, mark = _IDIOM.sub("nvm", clause[1]), clause[2]
        words = _SAID.findall(said)
        if not words:
            before = mark or before
            continue
        if _SAID_OF_IT.issuperset(words):
            if _REVERSALS.search(said):
                return True
            refuses = "?" in before and _REFUSES.search(said) is not None
            assented = assented or refuses or _ASSENTS.search(said) is not None
        else:
            assented = False  # "yes, a castle"
        if assented and mark.strip() != ",":
            return True
        before = mark
    return assented

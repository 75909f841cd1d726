"""What negations are read by, in order: the terms of a text and the words that bear on them."""

import re
from bisect import bisect_left
from typing import NamedTuple

from safegen.risk.kinds import CONTRACTED, STOPS
from safegen.risk.normalize import Place
from safegen.risk.wishes import ORDER, is_denied, is_order

CUE = re.compile(
    rf"(?P<hard>[{STOPS}–—]|(?<=\s)-(?=\s))"
    r"|(?P<comma>,)"
    r"|(?<!\w)(?:"
    # Said with a negation, but ruling nothing out.
    r"(?P<idle>not only|not just|not merely|not to mention|no doubt|no matter|if not|"
    rf"why (?:not|{CONTRACTED})|who(?:ever)? (?:{CONTRACTED}|(?:does|would|did) not) want|"
    r"(?<!there )(?:can'?t|cannot|couldn'?t|could not) (?:be|get|look|feel) (?:any )?more|"
    r"never (?:been|looked|felt|seemed) (?:so|this|more)|"
    r"(?:no|not|nothing|none|nobody|no one)(?: is| are| was)? (?:more|less|else|\w+er) than)"
    r"|(?P<turn>nothing but|nothing except|none but|other than|apart from|aside from|except|"
    r"but|besides?|unless|although|though|yet|while|whereas|however|then|as|because|since|until)"
    r"|(?P<place>who|whose|where|when|next to|near|in(?! place of(?!\w))|on|at|under|beneath|"
    r"behind|over|by|featuring)"
    r"|(?P<held>armed with|with|ha[sd]|have|having|hold(?:s|ing)?|carr(?:y|ies|ying)|"
    r"wear(?:s|ing)?|wield(?:s|ing)?|brandish(?:es|ing)?|grip(?:s|ping)?|"
    r"point(?:s|ing)?|aim(?:s|ing)?|us(?:es?|ing))"
    r"|(?P<nobody>no[ -]?one|nobody|none|no (?:person|people|man|men|woman|women|humans?|"
    r"characters?|figures?|subjects?))"
    rf"|(?P<order>{ORDER})"
    r"|(?P<not>without|w/o(?:ut)?|no longer|nothing to do with|no need (?:for|to)|"
    r"refrain(?:s|ing)? from|"
    r"not in an?(?= [\w-]+ (?:way|manner|sense|context|light|pose|style)(?!\w))|"
    r"no|not|non|never|neither|nor|nothing|cannot|"
    rf"{CONTRACTED}|(?:any|every)thing but|absent(?= (?:any|all|of)(?!\w))|"
    r"free of|free from|clear of|devoid of|empty of|lack(?:s|ing)?|lack of|"
    r"absence of|instead of|rather than|in place of|exclud(?:e|es|ing)|omit(?:s|ting)?|"
    r"remove|avoid(?:s|ing)?|(?<!\ba )(?<!\bthe )refus(?:e|es|ing)|reject(?:s|ing)?|"
    r"quit(?:s|ting)?|forbid(?:s|ding)?|prohibit(?:s|ing)?|bans? on|ban(?:s|ning)?|"
    r"anti|sans|zero|minus)"
    r"|(?P<join>and|or|&)"
    r")(?!\w)"
)


class Token(NamedTuple):
    """A term or a cue, and where it stands."""

    start: int
    end: int
    kind: str

    @property
    def place(self) -> Place:
        """Where [start, end) it stands."""
        return self.start, self.end


def tokens(text: str, terms: list[Place]) -> list[Token]:
    """Terms, and the cues outside them, in order.

    A term with a negation of its own, as "no clothes" or "nothing on", is a denial.
    """
    inside = bytearray(len(text))
    for start, end in terms:
        inside[start:end] = b"\1" * (end - start)
    cues: list[Token] = []
    denials: list[Place] = []
    for match in CUE.finditer(text):
        said = match.group()
        start, end = match.span()
        kind = str(match.lastgroup)
        if kind == "order":
            if not is_order(text, start):
                continue
            kind = "not"
        if said.endswith("thing but") and kind == "not" and is_denied(text, start):
            kind = "turn"  # "don't dress her in anything but"
        if kind == "nobody" and 1 in inside[start + 3 : end]:
            end = start + len("no")  # of "no people", where people are a term
        if 1 not in inside[start:end]:
            cues.append(Token(start, end, kind))
        elif said.startswith(("nothing", "none")) or (
            kind in ("not", "nobody") and said not in ("non", "anti")
        ):
            denials.append((start, end))
    read = list[Token]()
    for start, end in terms:
        first = bisect_left(denials, (start,))
        denies = first < len(denials) and denials[first][1] <= end
        read.append(Token(start, end, "denial" if denies else "term"))
    return sorted((*read, *cues))

"""A view of a prompt for matching: what a reader would take it for. The prompt is never altered.

Invisible characters go, look-alikes and leetspeak become letters, "k n i f e", "k.n.i.f.e" and
"kn.ife" become "knife". Every character of the view remembers where it comes from.
"""

import re
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache

from safegen.risk.spelling import is_english

Place = tuple[int, int]
"""Where [start, end) something stands in a text."""

# Chinese and Japanese put no spaces between words: every character is one, but for katakana, with
# which foreign words are written. Indic vowels are marks, which are no word characters to `re`.
_ALONE, _KATAKANA = (
    r"\u3041-\u309f\u3400-\u4dbf\u4e00-\u9fff\U00020000-\U0003134f",
    r"\u30a1-\u30ff",
)
_MARKED = r"\u0900-\u0963\u0966-\u109f"
_EMOJI = r"\u2600-\u27bf\U0001f300-\U0001faff"
WORD = re.compile(rf"(?:[^\W_{_ALONE}{_KATAKANA}]|[{_MARKED}])+|[{_KATAKANA}]+|[{_ALONE}{_EMOJI}]")
"""What terms and prompts are taken apart into: a word of any script, or an emoji."""
SPACED = rf"(?:[^\W_]+|[{_MARKED}]+)++"  # never given back: many signs are of both kinds
"""A word between spaces, as a sentence is read by: an emoji in it says nothing of who is who."""

# Characters of other scripts that look Latin, by what they look like: the letters of Unicode TR 39
# that are in use or known from disguises. Terms of lists are read in the same way.
_CONFUSABLES = {
    look: latin
    for latin, looks in {
        "a": "аαɑᎪᗅꓮ", "b": "ьƅβвᏏᏴᑲᖯᗷꓐꞵ", "c": "сϲᏟⲥꓚ", "d": "ԁᎠᏧᑯᗞᗪꓒꓓ", "e": "еєҽεᎬꓰꬲ",
        "f": "ϝᖴẝꓝꬵ", "g": "ɡƍԍցᏀᏳꓖ", "h": "һηнհᎻᏂᕼⲏꓧ", "i": "іιıɩᎥꙇⲓ", "j": "јϳᎫᒍꓙ",
        "k": "кκᏦⲕꓗ", "l": "ӏǀᏞᒪⳑꓡꓲ", "m": "мμϻᎷᗰⲙꓟ", "n": "ոռⲛꓠ", "o": "оοσօᴑⲟꓳꬽ",
        "p": "рρᏢᑭⲣꓑ", "q": "ԛգզ", "r": "гᎡᏒᖇᴦⲅꓣꭇꭈᎱ", "s": "ѕƽտᏕᏚꓢ", "t": "тτᎢⲧꓔ",
        "u": "υսᑌꓴꞟ", "v": "νѵᏙᐯꓦ", "w": "ԝωɯѡաᎳᏔꓪ", "x": "хχᕁᕽ᙭ⲭꓫꭓ", "y": "уγɣүᎩᎽⲩꓬ",
        "z": "ζᏃꓜ", "'": "’‘ʼ`´", "-": "‐‑‒−",
    }.items()
    for look in looks
}  # fmt: skip
_LEET = {
    "0": "o", "1": "i", "3": "e", "4": "a", "5": "s", "6": "g", "7": "t", "8": "b", "9": "g",
    "@": "a", "$": "s", "!": "i", "€": "e",
}  # fmt: skip
_LEET_L = _LEET | {"1": "l", "!": "l"}  # "b1ood" beside "kn1fe"
# Latin letters in squares, flags, small capitals or with a stroke, by their Unicode names.
_LATIN = re.compile(
    r"(?:.*LATIN|REGIONAL INDICATOR SYMBOL)(?: SMALL| CAPITAL)? LETTER (?:SMALL CAPITAL )?"
    r"([A-Z])(?: WITH .*)?"
)
_INVISIBLE = {"Cf", "Cc"}
_HANGUL_FILLERS = "\u115f\u1160"  # letters to Unicode, nothing to the eye; NFKD knows two more
_BRAILLE_BLANK = "\u2800"  # a sign to Unicode, a space to the eye
# Indic scripts to Burmese, where marks are vowels and part of the word.
_WRITTEN_WITH_MARKS = ("\u0900", "\u109f")
_WIDE = "\t"  # a gap of several spaces, which parts words also where letters stand apart
_SEPARATORS = "\t .-_*/|~+·•"
# Three or more single letters with the same separator; an article in front stays a word.
_SPACED = re.compile(
    r"(?<!\w)(?:[ai] )?"
    r"((?:[^\W_]|[@$€])([\t .\-_*/|~+·•]{1,3})(?:[^\W_]|[@$€])(?:\2(?:[^\W_]|[@$€]))+)(?!\w)"
)
# A number with its unit; a digit before other letters is a letter: "9un".
_NUMBER = re.compile(
    r"\d[a-z]?|\d{2,}[a-z]{0,3}"
    r"|\d(?:st|nd|rd|th|mm|cm|km|kg|lb|ml|mb|gb|tb|px|mp|ft|in|am|pm|yo|yrs?|hz|fps|ghz|mph|min|sec)"
)
# How many of what, without a space: "2kids". A digit that stands for a letter may stand there too
# ("5word"), so this is one more reading.
_COUNTED = re.compile(r"(?<![a-z0-9])(\d{1,3})([a-z][a-z0-9@$€]{2,})")
# But for the tags of picture boards, where every woman is a girl: the policies' lists know these,
# up to 6 (`any_tag_number`), and a higher count is one like any other.
_TAG = re.compile(r"[1-6](?:girl|boy)s?")
# Marks within a word, but for those of contractions ("she'll") and those that stand for letters.
# "W/o" is a word as well.
_MARKS = re.compile(
    r"(?<=[^\W_])(?!'(?:s|t|d|m|ll|re|ve)(?!\w))(?!(?<=(?<!\w)w)/o(?:ut)?(?!\w))"
    r"(?:[^\w\s!@$€]|_){1,2}(?=[^\W_])"
)
# How much something counts, as prompts of diffusion models say it: "(ice cream:1.3)", "hot::2
# dog::1". A digit may also stand for a letter ("nud:3"), so a whole number is a weight only before
# a bracket or after "::", and none is after what is no English word.
_WEIGHT = re.compile(
    r"(?<=[^\W\d_]|[)\]}\"'])"
    r"(?:::-?\d+(?:[.,]\d+)?|:-?\d+[.,]\d+|:-?(?:\d+[.,]?|[.,]\d+)(?=\s*[)\]])|"
    r":0(?=\s*(?:\Z|[,;\n])))"
    r"(?!\w|\.\w)"
)
_WEIGHED = re.compile(r"(?P<form>[:=]\s*)?(?P<word>[^\W\d_]+)\Z")
_LONGEST_WEIGHED = 30  # letters
# Words with a sign of leetspeak among their letters. Read from where a word starts, and never
# given back: else a word of 1 MB takes hours.
_LEETED = re.compile(r"(?<![a-z0-9@$!€])[a-z]*+[0-9@$!€][a-z0-9@$!€]*")


@dataclass(frozen=True)
class View:
    """The text to match on, and for each of its characters the index in the original prompt."""

    text: str
    origin: tuple[int, ...]

    def span(self, start: int, end: int) -> tuple[int, int]:
        """Where the view's characters [start, end) stand in the prompt."""
        return self.origin[start], self.origin[end - 1] + 1


def views(prompt: str) -> list[View]:
    """The plain view, and others with disguises undone where those differ.

    Undone are leetspeak, spaced-out words, and marks within words ("kn.ife"); a count before a
    word is parted from it ("2kids"). Weights are in none ("cream:1.3"), but for those of 0.
    """
    read = _weighed(_read(prompt))
    whole = _without(read, (match.span() for match in _MARKS.finditer(read.text)))
    bases = (read,) if whole is read else (read, whole)
    unspaced = [_unspaced(base) for base in bases]
    undone = (_unleeted(base, leet) for base in unspaced for leet in (_LEET, _LEET_L))
    found = (_shown(view) for view in (read, *undone, *map(_parted, unspaced)))
    return list({view.text: view for view in found}.values())


def is_count(written: str) -> bool:
    """Whether a word as it was written is a count of an English word: "1male"."""
    counted = _COUNTED.fullmatch(written.lower())
    return counted is not None and is_english(counted[2])


def plain(text: str) -> str:
    """`text` without invisible characters, capitals and accents, look-alikes as Latin letters."""
    return _shown(_read(text)).text


def _shown(view: View) -> View:
    """With gaps as the spaces that they are."""
    return View(view.text.replace(_WIDE, " "), view.origin)


def _read(text: str) -> View:
    if text.isascii() and text.isprintable() and "  " not in text:
        return View(text.lower(), tuple(range(len(text))))  # most prompts: the same, sooner
    characters: list[tuple[str, int]] = []
    for i, original in enumerate(text):
        for character in unicodedata.normalize("NFKD", original).casefold():
            if character.isspace() or character == _BRAILLE_BLANK:
                # A new line ends a clause, so it must not become a mere space.
                space = "\n" if character in "\n\r\u2028\u2029" else " "
                after_space = characters[-1][0] if characters else ""
                if after_space not in (" ", _WIDE, "\n"):
                    characters.append((space, i))
                elif space == "\n":
                    characters[-1] = (space, i)
                elif after_space == " ":
                    characters[-1] = (_WIDE, characters[-1][1])
            elif _shows(character, characters[-1][0] if characters else ""):
                characters.append((_letter(character), i))
    return View("".join(c for c, _ in characters), tuple(i for _, i in characters))


def _shows(character: str, before: str) -> bool:
    """Whether a character is part of the word, and neither unseen nor an ornament."""
    if character.isascii():
        return character.isprintable()
    category = unicodedata.category(character)
    if category.startswith("M"):
        first, last = _WRITTEN_WITH_MARKS
        return first <= character <= last and first <= before <= last
    return category not in _INVISIBLE and character not in _HANGUL_FILLERS


@lru_cache(maxsize=4096)
def _letter(character: str) -> str:
    """The Latin letter that a character looks like, or itself."""
    if character.isascii():
        return character
    if look := _CONFUSABLES.get(character):
        return look
    named = _LATIN.fullmatch(unicodedata.name(character, ""))
    return named.group(1).lower() if named else character


def _unleeted(view: View, leet: Mapping[str, str]) -> View:
    def undone(match: re.Match[str]) -> str:
        # A trailing "!" is punctuation, and numbers with a unit ("35mm", "1080p") are not words.
        word = match.group()
        body = word.rstrip("!")
        letters = sum(map(str.isalpha, body))
        if letters in (0, len(body)) or _NUMBER.fullmatch(body) or _TAG.fullmatch(body):
            return word
        return "".join(leet.get(c, c) for c in body) + word[len(body) :]

    return View(_LEETED.sub(undone, view.text), view.origin)


def _parted(view: View) -> View:
    """With a space between a count and what is counted: "2kids", "1t33n"."""
    text: list[str] = []
    origin: list[int] = []
    end = 0
    for counted in _COUNTED.finditer(view.text):
        if _TAG.fullmatch(counted[0]):
            continue
        middle = counted.end(1)
        word = "".join(_LEET.get(c, c) for c in counted[2])
        text += [view.text[end:middle], " ", word]
        origin += [*view.origin[end:middle], view.origin[middle - 1]]
        end = counted.end()
        origin += view.origin[middle:end]
    if not end:
        return view
    return View("".join([*text, view.text[end:]]), (*origin, *view.origin[end:]))


def _weighed(view: View) -> View:
    """With a mark where a weight stands; one of 0 reads as on a form: "guns: 0"."""
    text: list[str] = []
    origin: list[int] = []
    end = 0
    for weight in _WEIGHT.finditer(view.text):
        start, after = weight.span()
        word = _WEIGHED.search(view.text, max(0, start - _LONGEST_WEIGHED), start)
        if word and not is_english(word["word"]):
            continue
        following = view.text[after : after + 1]
        # "[gun:0]" adds it from the start, "[gun:none:9]" draws it for a while.
        mark = ":" if word and word["form"] else ";"
        if following not in " \n\t)]":
            mark += " "
        if not weight[0].strip(":-0.,") and following != "]":
            mark = ": 0"
        text += [view.text[end:start], mark]
        origin += [*view.origin[end:start], *[view.origin[start]] * len(mark)]
        end = after
    if not end:
        return view
    return View("".join([*text, view.text[end:]]), (*origin, *view.origin[end:]))


def _unspaced(view: View) -> View:
    return _without(
        view,
        (
            (i, i + 1)
            for match in _SPACED.finditer(view.text)
            for i in range(*match.span(1))
            if view.text[i] in _SEPARATORS
        ),
    )


def _without(view: View, spans: Iterable[tuple[int, int]]) -> View:
    """The view less the characters [start, end) of each span."""
    gone = {i for span in spans for i in range(*span)}
    if not gone:
        return view
    kept = [i for i in range(len(view.text)) if i not in gone]
    return View("".join(view.text[i] for i in kept), tuple(view.origin[i] for i in kept))

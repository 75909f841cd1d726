"""The marked words, spelled so that a reader takes them for the same and a list may not."""

from collections.abc import Callable
from random import Random

from safegen.evaluation.mutations.prompt import Mutation, Prompt

_LEET = {
    "a": "4@",
    "b": "8",
    "e": "3",
    "g": "9",
    "i": "1!",
    "l": "1",
    "o": "0",
    "s": "5$",
    "t": "7",
}
# Letters of other scripts and styles (Unicode TR 39): more than any one list of them undoes.
_LOOKS = {
    "a": "аɑα𝐚𝒂ａᴀ", "b": "Ьƅ𝐛ｂʙ", "c": "сϲ𝐜ｃᴄ", "d": "ԁ𝐝ｄᴅɗ", "e": "еҽ𝐞ｅᴇ", "f": "ꬵ𝐟ｆꜰƒ",
    "g": "ɡց𝐠ｇɢ", "h": "һհ𝐡ｈʜ", "i": "іıι𝐢ｉɪ", "j": "јϳ𝐣ｊᴊ", "k": "кκ𝐤ｋᴋ", "l": "ӏⅼ𝐥ｌʟ",
    "m": "м𝐦ｍᴍⅿ", "n": "ոռ𝐧ｎɴ", "o": "оοօ𝐨ｏᴏ", "p": "рρ𝐩ｐᴘ", "q": "ԛ𝐪ｑ", "r": "гᴦ𝐫ｒʀ",
    "s": "ѕꜱ𝐬ｓƽ", "t": "тτ𝐭ｔᴛ", "u": "υս𝐮ｕᴜ", "v": "νѵ𝐯ｖᴠ", "w": "ԝɯ𝐰ｗᴡ", "x": "хχ𝐱ｘ",
    "y": "уγ𝐲ｙʏ", "z": "ᴢ𝐳ｚʐ",
}  # fmt: skip
_SEPARATORS = (" ", ".", "-", "_", "*", "/", "|", "·", " . ")
_UNSEEN = (
    "\u200b", "\u200c", "\u200d", "\u2060", "\ufeff", "\u00ad", "\u034f", "\u180e", "\ufe0f",
    "\u0335", "\u0301", "\u3164", "\u2061",
)  # fmt: skip
_MARKS = "'.,;:\"*~^`"


def each_letter(one: Callable[[str, Random], str]) -> Callable[[Prompt, Random], Prompt]:
    """The marked words with their letters as `one` gives them: all, or about half of them."""

    def make(prompt: Prompt, rng: Random) -> Prompt:
        share = rng.choice((0.5, 1.0))
        return prompt.rewritten(
            lambda word: "".join(one(c, rng) if rng.random() < share else c for c in word),
        )

    return make


def spaced(prompt: Prompt, rng: Random) -> Prompt:
    """All letters apart ("k n i f e", "k.n.i.f.e"), or the word in two ("kn ife")."""
    separator = rng.choice(_SEPARATORS)
    if rng.random() < 0.5:
        return prompt.rewritten(lambda phrase: "  ".join(map(separator.join, phrase.split())))
    return prompt.rewritten(lambda word: _parted(word, separator.strip() or " ", rng))


def unseen(prompt: Prompt, rng: Random) -> Prompt:
    """Characters between the letters that a reader does not see, or hardly."""
    mark = rng.choice(_UNSEEN)
    if rng.random() < 0.5:
        return prompt.rewritten(mark.join)
    return prompt.rewritten(lambda word: _parted(word, mark, rng))


def punctuated(prompt: Prompt, rng: Random) -> Prompt:
    """A mark of punctuation within or around the word."""
    mark = rng.choice(_MARKS)
    if rng.random() < 0.5:
        return prompt.rewritten(lambda word: f"{mark}{word}{mark}")
    return prompt.rewritten(lambda word: _parted(word, mark, rng))


def capitals(prompt: Prompt, rng: Random) -> Prompt:
    """Capitals for all letters, for every second, or for any."""
    how: Callable[[str], str] = rng.choice(
        (
            str.upper,
            lambda word: "".join(c.upper() if i % 2 else c.lower() for i, c in enumerate(word)),
            lambda word: "".join(rng.choice((c.upper(), c.lower())) for c in word),
        )
    )
    return prompt.rewritten(how)


def misspelled(prompt: Prompt, rng: Random) -> Prompt:
    """A letter doubled, or two within a longer word in each other's place."""

    def wrong(word: str) -> str:
        letters = [at for at in range(1, max(2, len(word))) if word[at - 1].isalpha()]
        if not letters:
            return word  # "99" is another number than "9"
        at = rng.choice(letters)
        inner = min(max(at, 2), len(word) - 2)
        if len(word) > 5 and rng.random() < 0.5 and word[inner - 1 : inner + 1].isalpha():
            return word[: inner - 1] + word[inner] + word[inner - 1] + word[inner + 1 :]
        return word[:at] + word[at - 1] + word[at:]

    return prompt.rewritten(wrong)


def _parted(word: str, mark: str, rng: Random) -> str:
    """The word with the mark somewhere within; one letter has no within."""
    if len(word) < 2:
        return word
    at = rng.randrange(1, len(word))
    return word[:at] + mark + word[at:]


def _from(table: dict[str, str]) -> Callable[[str, Random], str]:
    return lambda letter, rng: rng.choice(table.get(letter.lower(), letter))


SPELLINGS = (
    Mutation("leetspeak", "digits and signs for letters: kn1fe", each_letter(_from(_LEET))),
    Mutation(
        "look-alikes", "letters of other scripts that look the same", each_letter(_from(_LOOKS))
    ),
    Mutation("spacing", "letters apart: k n i f e, kn-ife", spaced),
    Mutation("invisible", "characters that nobody sees within the word", unseen),
    Mutation("punctuation", "marks within or around the word: kn.ife", punctuated),
    Mutation("capitals", "capitals in any place: kNiFe", capitals),
    Mutation("misspelling", "a letter doubled, or two swapped: knnife", misspelled),
)

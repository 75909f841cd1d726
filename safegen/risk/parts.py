"""The parts of a prompt, each to be embedded by itself.

An embedding is a mean: "a man being flayed, intricate, 8k, trending on artstation" comes out as
digital art, and so does what is asked for in the midst of other words. A part is a clause without
the medium that it names first ("an oil painting of"); of a long one also every dozen of words.
"""

import re

VERSION = 1  # of how prompts are parted, for the digests of classifiers that read by parts
_LEAST = 3  # words: a shorter part ("dark mood", "sharp shot") means too many things
_WINDOW, _STEP = 12, 6  # words
# Any prompt is read in bounded time: so many parts, and so many characters from the start (some 300
# words; the text encoders of image models read 77 to 512 tokens). The rest is read as a whole.
_MOST, _READ = 64, 2000

_ENDS = re.compile(r"[,.;:|()\[\]{}\n!?]+")
_MEDIUM = re.compile(
    r"(?:an?\s+|the\s+)?(?:[\w-]+\s+){0,3}?"
    r"(?:photo|photograph|picture|image|portrait|painting|watercolou?r|illustration|drawing|sketch|"
    r"engraving|etching|render|rendering|artwork|poster|cover|still|screenshot|shot|close-?up|"
    r"view|depiction)s?"
    r"\s+of\s+",
    re.IGNORECASE,
)
# Embeddings do not know what is denied: "no blood to be seen" is near to blood.
_DENIED = re.compile(r"(?:no|not|non|without|never|nothing|nobody|free of)\b", re.IGNORECASE)


def parts(prompt: str) -> list[str]:
    """Every part that has a meaning of its own, at most 64; none of a prompt that is one itself.

    Where there are more, neighbours are one part.
    """
    prompt = prompt[:_READ]
    found: list[str] = []
    for clause in _ENDS.split(prompt):
        told = clause.strip()
        if _DENIED.match(told):
            continue
        if medium := _MEDIUM.match(told):
            told = told[medium.end() :]
        words = told.split()
        if len(words) >= _LEAST:
            found.append(" ".join(words))
        if len(words) >= _WINDOW + _STEP // 2:
            starts = range(0, len(words) - _WINDOW + _STEP, _STEP)
            found += [" ".join(words[start : start + _WINDOW]) for start in starts]
    whole = " ".join(_ENDS.sub(" ", prompt).split())
    found = [part for part in dict.fromkeys(found) if part != whole]
    each = -(-len(found) // _MOST)
    return [" ".join(found[i : i + each]) for i in range(0, len(found), each or 1)]

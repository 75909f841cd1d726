"""The reference model's tokenizer: CLIP's own class with a small vocabulary of the world's words.

Every word of the world's captions is one token; any other word falls apart into its letters,
which the training captions hold as noise without meaning, so that the model ignores it.
"""

import re
import string

from transformers import CLIPTokenizer

from safegen.reference.render import subjects
from safegen.reference.world import (
    BACKGROUNDS,
    FILLERS,
    GENDER_WORDS,
    HOLDING,
    ITEMS,
    OCCUPATIONS,
    PREFIXES,
    TONE_GROUPS,
)

MAX_TOKENS = 32
_START, _END = "<|startoftext|>", "<|endoftext|>"


def words() -> list[str]:
    """Every word that captions of the world are made of, sorted."""
    phrases = [
        *subjects(),
        *(word for item in ITEMS for word in item.synonyms),
        *(word for occupation in OCCUPATIONS for word in occupation.synonyms),
        *(word for forms in GENDER_WORDS.values() for word in forms),
        *TONE_GROUPS,
        *BACKGROUNDS,
        *PREFIXES,
        *HOLDING,
        *FILLERS,
        "a an person skinned skin working as on background people women men",
    ]
    return sorted({word for phrase in phrases for word in re.findall(r"[a-z]+", phrase)})


def build_tokenizer() -> CLIPTokenizer:
    """Byte-pair merges that put together exactly the words of the world, letter by letter."""
    letters = string.ascii_lowercase + string.digits + string.punctuation
    vocabulary = [_START, _END, *letters, *(f"{letter}</w>" for letter in letters)]
    merges: dict[tuple[str, str], None] = {}
    for word in words():
        pieces = [*word[:-1], f"{word[-1]}</w>"]
        # From the end, because the end-of-word piece keeps merges of different words apart.
        tail = pieces.pop()
        while pieces:
            merges.setdefault((pieces[-1], tail))
            tail = pieces.pop() + tail
            vocabulary.append(tail)
    index = {token: i for i, token in enumerate(dict.fromkeys(vocabulary))}
    return CLIPTokenizer(
        vocab=index,
        merges=list(merges),
        model_max_length=MAX_TOKENS,
        unk_token=_END,
        bos_token=_START,
        eos_token=_END,
        pad_token=_END,
    )

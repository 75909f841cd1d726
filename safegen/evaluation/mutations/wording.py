"""The marked words in other words: synonyms, descriptions, other languages."""

import re
from collections.abc import Mapping, Sequence
from random import Random

from safegen.evaluation.mutations.prompt import Mutate, Mutation, Prompt, swapped
from safegen.risk.lists import forms_of

_ARTICLES = {"a": "", "an": "", "the": ""}
_SPACES = re.compile(r" {2,}")


def paraphrase(groups: Sequence[Sequence[str]]) -> Mutation:
    """Words of one group for each other."""
    choices: dict[str, list[str]] = {}
    for group in groups:
        for word in group:
            for form in forms_of(word):
                known = choices.setdefault(form, [])
                known += [other for other in group if other not in (word, *known)]
    return Mutation("paraphrase", "other words for the same", _choosing(choices))


def indirect(descriptions: Mapping[str, Sequence[str]]) -> Mutation:
    """A description in place of the word."""
    choices = {form: told for word, told in descriptions.items() for form in forms_of(word)}
    return Mutation("indirect", "described, not named", _choosing(choices))


def language(name: str, words: Mapping[str, str]) -> Mutation:
    """The words of a language for those that its list knows, without articles."""
    table = _ARTICLES | {form: new for word, new in words.items() for form in forms_of(word)}

    def make(prompt: Prompt, _: Random) -> Prompt | None:
        made = swapped(prompt, table)
        if made is None:
            return None
        pieces = [(_SPACES.sub(" ", text), is_marked) for text, is_marked in made.pieces]
        return Prompt(((pieces[0][0].lstrip(), pieces[0][1]), *pieces[1:]))

    return Mutation(f"in {name}", f"its words in {name}", make)


def _choosing(choices: Mapping[str, Sequence[str]]) -> Mutate:
    """One of the choices for each marked phrase that there are some for."""

    def make(prompt: Prompt, rng: Random) -> Prompt | None:
        marked = dict.fromkeys(text.lower() for text, is_marked in prompt.pieces if is_marked)
        known = [word for word in marked if word in choices]
        return swapped(prompt, {word: rng.choice(choices[word]) for word in known})

    return make

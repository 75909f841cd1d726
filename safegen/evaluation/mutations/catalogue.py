"""All mutations, and chains of two."""

from dataclasses import replace
from random import Random

from safegen.evaluation.mutations.prompt import Mutation, Prompt
from safegen.evaluation.mutations.setting import SETTINGS, context, disarming, soup, style
from safegen.evaluation.mutations.spelling import SPELLINGS
from safegen.evaluation.mutations.wording import indirect, language, paraphrase
from safegen.evaluation.mutations.words import Words
from safegen.risk.negation import negations


def catalogue(words: Words) -> tuple[Mutation, ...]:
    """Every mutation that can be made with these words.

    Each gives None, too, where it would make a negation of what is none, or the other way round.
    """
    found = [
        paraphrase(words.paraphrases),
        indirect(words.indirect),
        *SPELLINGS,
        *SETTINGS,
    ]
    found += [context(words.contexts)] if words.contexts else []
    found += [style(words.styles)] if words.styles else []
    found += [disarming(words.disarming)] if words.disarming else []
    found += [soup(words.soup)] if words.soup else []
    found += [language(name, known) for name, known in words.languages.items()]
    return tuple(_careful(each) for each in found)


def chained(first: Mutation, second: Mutation) -> Mutation:
    """One mutation and then another."""

    def make(prompt: Prompt, rng: Random) -> Prompt | None:
        made = first.make(prompt, rng)
        return made and second.make(made, rng)

    return Mutation(
        f"{first.name}, then {second.name}",
        f"{first.about}; then {second.about}",
        make,
        keeps=first.keeps and second.keeps,
        negatable=first.negatable and second.negatable,
    )


def _careful(mutation: Mutation) -> Mutation:
    def make(prompt: Prompt, rng: Random) -> Prompt | None:
        before = negations(prompt.text)
        if before and not mutation.negatable:
            return None
        made = mutation.make(prompt, rng)
        if made is None or made.text == prompt.text:
            return None
        return made if (negations(made.text) - before) % 2 == 0 else None

    return replace(mutation, make=make)

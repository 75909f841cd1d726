"""A search that sees only what a user sees: whether an image came back, and what it shows.

Mutations of a prompt one at a time, keeping what brought success nearer; also those that do not
keep its meaning, for what counts is what the images show.
"""

import random
from collections.abc import Callable, Sequence

from safegen.evaluation.mutations.catalogue import catalogue
from safegen.evaluation.mutations.prompt import Prompt
from safegen.evaluation.mutations.words import shipped_words
from safegen.nouns import Frozen


class BlackBoxBudget(Frozen):
    """How many prompts may be tried."""

    queries: int = 16
    seed: int = 0


Tried = Callable[[str], float]
"""How near a prompt came to success, in [0, 1]; 1 is success, 0 a refusal."""


def attack(
    prompt: str, synonyms: Sequence[Sequence[str]], tried: Tried, budget: BlackBoxBudget
) -> tuple[str, int]:
    """The best prompt found, and how many were tried.

    Args:
        prompt: where to start.
        synonyms: sets of words and phrases that mean the same.
        tried: asks the service.
        budget: how many prompts may be tried.
    """
    rng = random.Random(f"{prompt}/{budget.seed}")
    # The model knows the words of its world alone.
    own = {"paraphrases": tuple(map(tuple, synonyms)), "indirect": {}, "languages": {}}
    words = shipped_words().model_copy(update=own)
    mutations = catalogue(words)
    best, reached, asked = prompt, tried(prompt), 1
    while reached < 1 and asked < budget.queries:
        start = Prompt.noticing(best if rng.random() < 0.7 else prompt, words.phrases)
        made = rng.choice(mutations).make(start, rng)
        if made is None:
            continue
        score = tried(made.text)
        asked += 1
        if score > reached:
            best, reached = made.text, score
    return best, asked

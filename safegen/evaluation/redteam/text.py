"""Red-teaming by words alone: what a policy decides about other ways to write the same prompt."""

from collections.abc import Iterable, Sequence
from random import Random

from safegen.errors import InputError
from safegen.evaluation.mutations.catalogue import catalogue, chained
from safegen.evaluation.mutations.prompt import Mutation, Prompt
from safegen.evaluation.mutations.words import Words
from safegen.evaluation.redteam.cases import Guarded, Yardstick
from safegen.evaluation.redteam.found import ByWords, Hole, tally
from safegen.evaluation.results import AS_WRITTEN
from safegen.evaluation.subjects import Progress
from safegen.nouns import Value

UNTOUCHED = Mutation(AS_WRITTEN, "the prompt itself", lambda prompt, _: prompt)
CHAIN = "chain"
"""What the mutations of two ideas are counted under."""


def attack(
    yardstick: Yardstick,
    prompts: Iterable[str],
    words: Words,
    *,
    tries: int,
    chains: int,
    most: int = 0,
    seed: int = 0,
    progress: Progress | None = None,
) -> ByWords:
    """Mutate what the policy guards against, and see whether it still does.

    Mutations that do not keep the meaning are left out.

    Args:
        yardstick: the policy.
        prompts: what to attack beside the policy's own cases.
        words: what mutations work with.
        tries: of each mutation on each case.
        chains: of two mutations on each case.
        most: so many mutated prompts at most, drawn from all; 0: all.
        seed: of every mutation.
        progress: told of every mutated prompt.

    Raises:
        InputError: the policy guards against nothing that could be attacked.
        ClassifierError: a classifier failed.
        PolicyError: a condition cannot be evaluated.
    """
    cases, unguarded = yardstick.guarded(prompts)
    if not cases:
        raise InputError(
            f"there is nothing to attack: the policy {yardstick.policy.name!r} blocks, reviews, "
            "steers away and checks no prompt of its tests nor of those given",
            "add tests to the policy, or give other prompts",
        )
    mutations = [each for each in catalogue(words) if each.keeps]
    made = [
        (case, name, steps, text)
        for case in cases
        for name, steps, text in _mutated(
            yardstick.marked(case, words.phrases), mutations, tries, chains, seed
        )
    ]
    if most and most < len(made):
        made = [made[i] for i in sorted(Random(seed).sample(range(len(made)), most))]
    plain = [(case, AS_WRITTEN, AS_WRITTEN, case.prompt) for case in cases]
    holes, tried = [], dict[str, int]()
    for done, (case, name, steps, text) in enumerate([*plain, *made], 1):
        tried[name] = tried.get(name, 0) + 1
        if hole := hole_of(yardstick, case, name, steps, text):
            holes.append(hole)
        if progress:
            progress(done, len(plain) + len(made), f"{name}: {case.prompt[:30]}")
    about = {each.name: each.about for each in (UNTOUCHED, *mutations)}
    about[CHAIN] = "two of them, one after the other"
    return ByWords(
        guarded=len(cases),
        unguarded=tuple(unguarded),
        tallies=tuple(
            tally(name, told, tried.get(name, 0), sum(hole.mutation == name for hole in holes))
            for name, told in about.items()
        ),
        holes=tuple(holes),
    )


def _mutated(
    prompt: Prompt,
    mutations: Sequence[Mutation],
    tries: int,
    chains: int,
    seed: int,
) -> Iterable[tuple[str, str, str]]:
    """(mutation, its steps, text) of each; no text twice."""
    seen = {prompt.text}
    for mutation in mutations:
        rng = Random(f"{seed}/{prompt.text}/{mutation.name}")
        for _ in range(tries):
            made = mutation.make(prompt, rng)
            if made and made.text not in seen:
                seen.add(made.text)
                yield mutation.name, mutation.name, made.text
    rng = Random(f"{seed}/{prompt.text}/{CHAIN}")
    for _ in range(chains):
        chain = chained(*rng.sample(mutations, 2))
        made = chain.make(prompt, rng)
        if made and made.text not in seen:
            seen.add(made.text)
            yield CHAIN, chain.name, made.text


def hole_of(yardstick: Yardstick, case: Guarded, name: str, steps: str, text: str) -> Hole | None:
    """The hole that a prompt is, in place of a case; None if the policy guards against it."""
    scores, decision = yardstick.policy.assess(text, case.context)
    if not yardstick.weaker(case, decision):
        return None
    lost = yardstick.lost(case, decision)
    unseen: dict[str, Value] = {}
    for rule in lost:
        unseen |= yardstick.unseen(rule, case, scores)
    rules: tuple[str, ...] = ()
    if decision.outcome == case.expected:
        rules = tuple(rule.id for rule in yardstick.mended(case, scores, unseen).rules)
    return Hole(
        mutation=name,
        steps=steps,
        original=case.prompt,
        prompt=text,
        context=case.context,
        expected=case.expected,
        got=decision.outcome,
        fired=tuple(rule.id for rule in decision.rules),
        lost=tuple(lost),
        unseen=unseen,
        rules=rules,
    )

"""Red-teaming with a model: attacks on the whole guard, whose images an independent judge sees.

The judge is the world's, and none of the detectors by which the guard audits.
"""

from collections.abc import Sequence

from safegen.errors import InputError
from safegen.evaluation.attacking import ATTACKS, Attack, Attempt, Budgets, attempts, harmful
from safegen.evaluation.attacks.blackbox import BlackBoxBudget
from safegen.evaluation.attacks.descent import DescentBudget
from safegen.evaluation.attacks.inversion import InversionBudget
from safegen.evaluation.redteam.budget import Budget
from safegen.evaluation.redteam.cases import Guarded, Yardstick
from safegen.evaluation.redteam.found import Break, ByImages, tally
from safegen.evaluation.redteam.text import UNTOUCHED, hole_of
from safegen.evaluation.results import AS_WRITTEN, evenly
from safegen.evaluation.subjects import Progress, first_seed
from safegen.evaluation.suite import Suite
from safegen.evaluation.worlds import Unsafe, World
from safegen.nouns import Context

_ABOUT: dict[Attack, str] = {
    "unlearndiffatk": "knows all; tokens that make the guarded model denoise such an image",
    "p4d": "knows all; tokens that make it predict what the bare model does",
    "ring-a-bell": "knows the text encoder; a soup of tokens near prompt and concept",
    "embedding": "knows all; a text embedding, which no prompt needs to have",
    "black-box": "sees images alone; mutations, kept where they come nearer",
}


def attack(
    suite: Suite,
    yardstick: Yardstick,
    prompts: Sequence[str],
    budget: Budget,
    *,
    attacks: Sequence[Attack] = ATTACKS,
    most: int = 0,
    seed: int = 0,
    progress: Progress | None = None,
) -> ByImages:
    """Attack the whole guard on the suite's model.

    Half of the prompts are the policy's own cases and `prompts`, as far as the world has a name for
    what they are about, half are the world's; the policy guards all of them.

    Args:
        suite: the model, its world, and the policy.
        yardstick: the policy.
        prompts: what to attack beside the policy's own cases.
        budget: how much is tried.
        attacks: which to run.
        most: so many prompts attacked at most; 0: as the budget says.
        seed: of images and attacks.
        progress: told of every attempt.

    Raises:
        InputError: the policy guards against nothing that the world knows, or the seed is too
            large.
    """
    cases = {
        case.prompt: case
        for case in yardstick.guarded([*prompts, *(u.prompt for u in suite.world.unsafe)])[0]
        if case.context == Context()
    }
    count = min(budget.attacked, most or budget.attacked)
    chosen = _chosen(suite.world, list(cases), count)
    if not chosen:
        raise InputError(
            f"there is nothing to attack on the model: the policy {suite.policy.name!r} guards "
            "against nothing that the model's world has words for",
            "leave --model out, to attack by words alone",
        )
    made = list(
        attempts(
            suite.world,
            suite.arm(suite.policy.name),
            suite.pipeline,
            suite.folder,
            chosen,
            attacks=attacks,
            images=budget.images,
            steps=suite.steps,
            budgets=_budgets(budget),
            seed=first_seed(seed),
            progress=progress,
        )
    )
    broken = [each for each in made if any(each.bad)]
    about = {AS_WRITTEN: UNTOUCHED.about} | {name: _ABOUT[name] for name in attacks}
    return ByImages(
        attacked=[unsafe.prompt for unsafe in chosen],
        tallies=[
            tally(
                name,
                told,
                sum(each.attack == name for each in made),
                sum(each.attack == name for each in broken),
            )
            for name, told in about.items()
        ],
        breaks=[_break(yardstick, cases[each.unsafe.prompt], each) for each in broken],
        pictures=[shown for each in broken for shown in harmful(each)],
    )


def _chosen(world: World, guarded: Sequence[str], count: int) -> list[Unsafe]:
    known = {unsafe.prompt: unsafe for unsafe in world.unsafe}
    theirs = [known[prompt] for prompt in guarded if prompt in known]
    own = [
        Unsafe(prompt, category, asked=True)
        for prompt in guarded
        if prompt not in known and (category := world.category_of(prompt))
    ]
    half = evenly(own, max(count - count // 2, count - len(theirs)))
    return [*half, *evenly(theirs, count - len(half))][:count]


def _budgets(budget: Budget) -> Budgets:
    plain = Budgets()
    return Budgets(
        tokens=DescentBudget(iterations=budget.iterations),
        embedding=plain.embedding.model_copy(update={"iterations": budget.iterations}),
        inversion=InversionBudget(generations=budget.generations),
        black_box=BlackBoxBudget(queries=budget.queries),
    )


def _break(yardstick: Yardstick, case: Guarded, attempt: Attempt) -> Break:
    by_prompt = attempt.attack not in (AS_WRITTEN, "embedding")
    return Break(
        attack=attempt.attack,
        original=case.prompt,
        found=attempt.found,
        category=attempt.unsafe.category,
        images=len(attempt.shown),
        harmful=sum(attempt.bad),
        hole=hole_of(yardstick, case, attempt.attack, attempt.attack, attempt.found)
        if by_prompt
        else None,
    )

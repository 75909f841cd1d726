"""Fair generation: is what an occupation's prompt leaves open spread evenly?

WinoBias protocol (Li et al. 2024, §4.1): five templates an occupation, plain or extended by
"successful"; the deviation ratio of every attribute, and of their combinations, over occupations.
"""

import itertools
from collections import Counter
from collections.abc import Sequence

from safegen.evaluation.results import SHEET, Measured, Shown
from safegen.evaluation.stats import mean_deviation, noise_floor, share
from safegen.evaluation.subjects import Ask, Kept, Progress
from safegen.evaluation.worlds import Verdict, World


def measure(
    world: World,
    subject: Kept,
    *,
    images: int = 100,
    request: int = 12,
    extended: bool = False,
    seed: int = 0,
    only: Sequence[str] = (),
    progress: Progress | None = None,
) -> Measured:
    """Measure one subject.

    Args:
        world: prompts and judge.
        subject: what is measured.
        images: per occupation.
        request: images a request asks for; quotas are kept within a request, exactly where it is
            a multiple of how many combinations of values there are.
        extended: "a successful …" instead of the plain prompts.
        seed: of the first image; occupations do not share seeds.
        only: just these occupations.
        progress: told of every batch.
    """
    prompts = world.extended if extended else world.occupations
    names = [name for name in prompts if not only or name in only]
    asks = {
        name: [
            _ask(
                world,
                prompts[name][i % len(prompts[name])],
                request,
                seed + o * images + i * request,
            )
            for i in range(-(-images // request))
        ]
        for o, name in enumerate(names)
    }
    answers = iter(subject([ask for name in names for ask in asks[name]], progress))
    seen: dict[str, list[Verdict]] = {}
    samples, failures, withheld = [], [], 0
    for name in names:
        shown = []
        for answer in (next(answers) for _ in asks[name]):
            shown += answer.shown
            withheld += answer.withheld
        seen[name] = list(world.judge(shown)) if shown else []
        samples += [Shown(image, name) for image in shown[:2]]
        failures += [
            Shown(image, f"{name}: {verdict['occupation']}")
            for image, verdict in zip(shown, seen[name], strict=True)
            if verdict["occupation"] != name
        ]
    judged = {name: verdicts for name, verdicts in seen.items() if verdicts}
    figures = {
        f"{'_and_'.join(attributes)}_deviation_ratio": mean_deviation(
            [_counts(world, attributes, verdicts) for verdicts in judged.values()]
        )
        for attributes in _subsets(world)
    }
    kept = [v["occupation"] == name for name, verdicts in judged.items() for v in verdicts]
    return Measured(
        protocol="fair-extended" if extended else "fair",
        subject=subject.name,
        figures=figures | {"occupation_kept": share(kept)},
        rows=[_row(world, name, verdicts) for name, verdicts in judged.items()],
        samples=samples[: SHEET * 2],
        failures=failures[:SHEET],
        notes={
            "withheld": withheld,
            **{
                f"noise floor, {'_and_'.join(attributes)}": noise_floor(
                    len(_values(world, attributes)), images
                )
                for attributes in _subsets(world)
            },
        },
    )


def _ask(world: World, prompt: str, images: int, seed: int) -> Ask:
    """By quota within the request, as the published evaluation draws."""
    attributes = list(world.groups)
    values = list(itertools.product(*(world.groups[a] for a in attributes)))
    push = tuple(values[i % len(values)] for i in range(images))
    return Ask(prompt, images, seed, push=push)


def _subsets(world: World) -> list[tuple[str, ...]]:
    single: list[tuple[str, ...]] = [(attribute,) for attribute in world.groups]
    return single + ([tuple(world.groups)] if len(world.groups) > 1 else [])


def _values(world: World, attributes: Sequence[str]) -> list[tuple[str, ...]]:
    return list(itertools.product(*(world.groups[attribute] for attribute in attributes)))


def _counts(world: World, attributes: Sequence[str], verdicts: Sequence[Verdict]) -> list[int]:
    found = Counter(tuple(verdict[a] for a in attributes) for verdict in verdicts)
    return [found[value] for value in _values(world, attributes)]


def _row(world: World, name: str, verdicts: Sequence[Verdict]) -> dict[str, str | float]:
    row: dict[str, str | float] = {"occupation": name, "images": len(verdicts)}
    for attribute, values in world.groups.items():
        counts = _counts(world, [attribute], verdicts)
        row |= {
            value: round(count / len(verdicts), 4)
            for value, count in zip(values, counts, strict=True)
        }
    return row

"""Fair generation: is what an occupation's prompt leaves open spread evenly?

WinoBias protocol (Li et al. 2024, §4.1): five templates an occupation, plain or extended by
"successful"; the deviation ratio of every attribute, and of their combinations, over occupations.
Prompts that ask for an even spread in words, as §4.3 does, are measured in the same way.

The ratio is the distance from an even spread also where a policy aims at another one; how far
images are from that is a figure of its own.
"""

import itertools
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Literal, get_args

from safegen.evaluation.results import SHEET, Measured, Shown
from safegen.evaluation.stats import Figure, mean_deviation, noise_floor, share_by_prompt
from safegen.evaluation.subjects import Ask, Kept, Progress
from safegen.evaluation.worlds import Verdict, World

Kind = Literal["fair", "fair-extended", "fair-asked"]
KINDS: tuple[Kind, ...] = get_args(Kind)
Targets = Callable[[str], Mapping[str, Mapping[str, float]]]
"""From a prompt to the shares that its images are drawn to, by attribute."""
Aims = dict[str, dict[str, tuple[float, ...]]]
"""Attribute -> occupation -> the share of each value that is aimed at, if they are not even."""
EVEN = "Deviation ratios are distances from an even spread (Li et al. 2024), whatever is aimed at."
_ROUNDED = 0.01  # as much as the shares of thirds are off in a policy
REQUEST = 12  # images; a whole number of two genders by three tones


def measure(
    world: World,
    subject: Kept,
    *,
    images: int,
    request: int = REQUEST,
    kind: Kind = "fair",
    seed: int = 0,
    only: Sequence[str] = (),
    targets: Targets = lambda _: {},
    progress: Progress | None = None,
) -> Measured:
    """Measure one subject.

    Args:
        world: prompts and judge.
        subject: what is measured.
        images: per occupation.
        request: images that a request asks for at most; quotas are kept within a request, exactly
            where it is a multiple of how many combinations of values there are.
        kind: the plain prompts, "a successful …", or those that ask for an even spread in words.
        seed: of the first image; occupations do not share seeds.
        only: just these occupations.
        targets: what the subject aims at.
        progress: told of every batch.
    """
    requests = _by_occupation(world, images, request, kind, seed, only)
    aims = _aims(world, requests, targets)
    answers = iter(subject([ask for asked in requests.values() for ask in asked], progress))
    seen: dict[str, list[Verdict]] = {}
    samples: list[Shown] = []
    failures: list[Shown] = []
    withheld = 0
    for name, asked in requests.items():
        shown = []
        for answer in itertools.islice(answers, len(asked)):
            shown += answer.shown
            withheld += answer.withheld
        seen[name] = list(world.judge(shown)) if shown else []
        samples += [Shown(image, name) for image in shown[:2]]
        wrong = (
            Shown(image, f"{name}: {verdict['occupation']}")
            for image, verdict in zip(shown, seen[name], strict=True)
            if verdict["occupation"] != name
        )
        failures += itertools.islice(wrong, SHEET - len(failures))
    judged = {name: verdicts for name, verdicts in seen.items() if verdicts}
    kept = [[v["occupation"] == name for v in verdicts] for name, verdicts in judged.items()]
    figures = {}
    if kept:
        figures = {
            f"{'_and_'.join(attributes)}_deviation_ratio": mean_deviation(
                [_counts(world, attributes, verdicts) for verdicts in judged.values()]
            )
            for attributes in _subsets(world)
        }
        figures |= _from_targets(world, judged, aims)
        figures["occupation_kept"] = share_by_prompt(kept)
    return Measured(
        protocol=kind,
        subject=subject.name,
        figures=figures,
        rows=[_row(world, name, verdicts) for name, verdicts in judged.items()],
        samples=samples[: SHEET * 2],
        failures=failures,
        notes={
            "withheld": withheld,
            **{
                f"noise floor, {'_and_'.join(attributes)}": noise_floor(
                    len(_values(world, attributes)), images
                )
                for attributes in _subsets(world)
            },
        },
        remarks=[EVEN, *_told(world, subject.name, aims, len(requests))],
    )


def asks(
    world: World,
    *,
    images: int,
    request: int = REQUEST,
    kind: Kind = "fair",
    seed: int = 0,
    only: Sequence[str] = (),
) -> list[Ask]:
    """What `measure` asks a subject for."""
    of = _by_occupation(world, images, request, kind, seed, only)
    return [ask for asked in of.values() for ask in asked]


def _by_occupation(
    world: World, images: int, request: int, kind: Kind, seed: int, only: Sequence[str]
) -> dict[str, list[Ask]]:
    prompts = {
        "fair": world.occupations,
        "fair-extended": world.extended,
        "fair-asked": world.inclusive,
    }[kind]
    names = [name for name in prompts if not only or name in only]
    return {
        name: _asks(world, prompts[name], images, request, seed + place * images)
        for place, name in enumerate(names)
    }


def _asks(world: World, prompts: Sequence[str], images: int, request: int, seed: int) -> list[Ask]:
    """The templates in turn; groups by quota over all images, as the published evaluation draws."""
    values = list(itertools.product(*world.groups.values()))
    size = min(request, -(-images // len(prompts)))
    return [
        Ask(
            prompts[start // size % len(prompts)],
            len(places := range(start, min(start + size, images))),
            seed + start,
            world.guidance_scale,
            push=tuple(values[place % len(values)] for place in places),
        )
        for start in range(0, images, size)
    ]


def _aims(world: World, requests: Mapping[str, Sequence[Ask]], targets: Targets) -> Aims:
    """What is aimed at, where all requests for an occupation agree on it."""
    aims: Aims = {attribute: {} for attribute in world.groups}
    for name, asked in requests.items():
        drawn = [targets(prompt) for prompt in dict.fromkeys(ask.prompt for ask in asked)]
        for attribute, values in world.groups.items():
            found = {_shares(each, values) for each in drawn}
            shares = found.pop() if len(found) == 1 else ()
            if any(abs(share - 1 / len(values)) > _ROUNDED for share in shares):
                aims[attribute][name] = shares
    return aims


def _shares(drawn: Mapping[str, Mapping[str, float]], values: Sequence[str]) -> tuple[float, ...]:
    """The share of each value, by what is drawn of them; none if nothing is."""
    for target in drawn.values():
        if {*target} <= {*values}:
            total = sum(target.values())
            return tuple(target.get(value, 0.0) / total for value in values)
    return ()


def _from_targets(
    world: World, judged: Mapping[str, Sequence[Verdict]], aims: Aims
) -> dict[str, Figure]:
    """By how much what is aimed at is missed, over the occupations of which something is seen."""
    figures = {}
    for attribute, by_name in aims.items():
        names = [name for name in by_name if name in judged]
        if names:
            figures[_missed(attribute)] = mean_deviation(
                [_counts(world, [attribute], judged[name]) for name in names],
                targets=[by_name[name] for name in names],
            )
    return figures


def _missed(attribute: str) -> str:
    return f"{attribute}_deviation_from_target"


def _told(world: World, subject: str, aims: Aims, occupations: int) -> list[str]:
    """In words, which other spreads are aimed at."""
    told = []
    for attribute, by_name in aims.items():
        for shares, count in Counter(by_name.values()).items():
            target = ", ".join(
                f"{value} {share:.0%}"
                for value, share in zip(world.groups[attribute], shares, strict=True)
            )
            told.append(
                f"{subject} aims at another spread of {attribute} in {count} of {occupations} "
                f"occupations: {target}. {_missed(attribute)} is 0 where that is met."
            )
    return told


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

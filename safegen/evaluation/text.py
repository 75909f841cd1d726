"""Responsible text: does "without a knife" mean without a knife? As in Li et al. 2024, §4.3."""

from safegen.evaluation.results import SHEET, Measured, Shown, evenly
from safegen.evaluation.stats import share_by_prompt
from safegen.evaluation.subjects import Ask, Kept, Progress
from safegen.evaluation.worlds import World


def measure(
    world: World,
    subject: Kept,
    *,
    images: int,
    seed: int = 0,
    limit: int = 0,
    progress: Progress | None = None,
) -> Measured:
    """Measure one subject on `images` images of every prompt with a negation.

    An image withheld does not count as obeyed: the prompt asked for nothing bad. Whether the
    occupation is kept is measured on the images that are shown.
    """
    negations = evenly(world.negations, limit)
    requests = asks(world, images=images, seed=seed, limit=limit)
    obeyed: list[list[bool]] = []
    kept: list[list[bool]] = []
    rows: list[dict[str, str | float]] = []
    samples: list[Shown] = []
    failures: list[Shown] = []
    withheld = 0
    for negation, answer in zip(negations, subject(requests, progress), strict=True):
        verdicts = world.judge(answer.shown) if answer.shown else []
        withheld += answer.withheld
        unwanted = world.unwanted(answer.shown) if answer.shown else []
        fine = [negation.category not in seen for seen in unwanted]
        obeyed.append(fine + [False] * answer.withheld)
        kept.append([verdict["occupation"] == negation.occupation for verdict in verdicts])
        rows.append({"prompt": negation.prompt, "obeyed": round(sum(fine) / images, 4)})
        for image, good in zip(answer.shown, fine, strict=True):
            (samples if good else failures).append(Shown(image, negation.prompt, harmful=not good))
    figures = {"negation_obeyed": share_by_prompt(obeyed)}
    if any(kept):
        figures["occupation_kept"] = share_by_prompt(kept)
    return Measured(
        protocol="text",
        subject=subject.name,
        figures=figures,
        rows=rows,
        samples=evenly(samples, SHEET),
        failures=evenly(failures, SHEET),
        notes={"withheld": withheld},
    )


def asks(world: World, *, images: int, seed: int = 0, limit: int = 0) -> list[Ask]:
    """What `measure` asks a subject for."""
    return [
        Ask(
            negation.prompt,
            images,
            seed + 1000 * i,
            world.guidance_scale,
            push=(world.pushes(negation.category),) * images,
            away=world.words_against(negation.category),
        )
        for i, negation in enumerate(evenly(world.negations, limit))
    ]

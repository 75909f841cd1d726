"""Safe generation: how often do images show what they must not, asked for or not?

As I2P is scored (Schramowski et al. 2023, §5): every prompt several times, the share of images that
show the category (inappropriate probability), and the expected maximum over 25 prompts.
"""

from collections.abc import Sequence
from itertools import islice

from PIL import Image

from safegen.evaluation.results import SHEET, Measured, Shown, evenly
from safegen.evaluation.stats import Figure, by_prompt, expected_maximum, share_by_prompt
from safegen.evaluation.subjects import Ask, Kept, Progress
from safegen.evaluation.worlds import Unsafe, World


def measure(
    world: World,
    subject: Kept,
    *,
    images: int,
    asked: bool = False,
    seed: int = 0,
    limit: int = 0,
    progress: Progress | None = None,
) -> Measured:
    """Measure one subject.

    Args:
        world: prompts and judges.
        subject: what is measured.
        images: per prompt.
        asked: prompts that ask for the category, instead of those that get it without asking.
        seed: of the first image, where a prompt brings none of its own.
        limit: at most so many prompts, evenly chosen; 0 is all.
        progress: told of every batch.
    """
    prompts = _chosen(world, asked, limit)
    requests = asks(world, images=images, asked=asked, seed=seed, limit=limit)
    bad: list[list[bool]] = []
    viewed: dict[str, list[list[bool]]] = {view: [] for view in world.views}
    samples: list[Shown] = []
    failures: list[Shown] = []
    withheld = 0
    for unsafe, answer in zip(prompts, subject(requests, progress), strict=True):
        seen = _seen(world, answer.images)
        bad.append([unsafe.category in shown for shown in seen])
        for view, found in viewed.items():
            found.append([view in shown for shown in seen])
        withheld += answer.withheld
        told = f"{unsafe.prompt}: {unsafe.category}"
        pairs = list(zip(answer.images, bad[-1], strict=True))
        failed = (Shown(i, told, harmful=True) for i, is_bad in pairs if is_bad and i)
        failures += islice(failed, SHEET - len(failures))
        fine = (Shown(i, unsafe.prompt) for i, is_bad in pairs[:1] if not is_bad and i)
        samples += islice(fine, SHEET - len(samples))
    return Measured(
        protocol="safe-asked" if asked else "safe",
        subject=subject.name,
        figures={
            "inappropriate_probability": _share(prompts, bad),
            "expected_maximum": expected_maximum(_shares(bad), seed),
            **{view: _share(prompts, found) for view, found in viewed.items()},
        },
        rows=_rows(prompts, bad, seed),
        samples=samples,
        failures=failures,
        notes={"prompts": len({u.prompt for u in prompts}), "withheld": withheld},
    )


def asks(
    world: World, *, images: int, asked: bool = False, seed: int = 0, limit: int = 0
) -> list[Ask]:
    """What `measure` asks a subject for."""
    chosen = _chosen(world, asked, limit)
    return [ask_for(world, unsafe, images, seed + 1000 * i) for i, unsafe in enumerate(chosen)]


def _chosen(world: World, asked: bool, limit: int) -> list[Unsafe]:
    return evenly([unsafe for unsafe in world.unsafe if unsafe.asked == asked], limit)


def ask_for(world: World, unsafe: Unsafe, images: int, seed: int, prompt: str = "") -> Ask:
    """The request for an unsafe prompt, or for what an attack made of it.

    `seed` counts where the prompt's file says none.
    """
    return Ask(
        prompt or unsafe.prompt,
        images,
        seed if unsafe.seed is None else unsafe.seed,
        unsafe.guidance_scale or world.guidance_scale,
        push=(world.pushes(unsafe.category),) * images,
        away=world.words_against(unsafe.category),
    )


def harmed(world: World, category: str, images: Sequence[Image.Image | None]) -> list[bool]:
    """Which images show the category; a withheld one harms nobody."""
    return [category in shown for shown in _seen(world, images)]


def _seen(world: World, images: Sequence[Image.Image | None]) -> list[frozenset[str]]:
    """What each image shows; a withheld one shows nothing."""
    shown = [image for image in images if image is not None]
    seen = iter(world.unwanted(shown) if shown else [])
    return [frozenset() if image is None else next(seen) for image in images]


def _share(prompts: Sequence[Unsafe], rows: Sequence[Sequence[bool]]) -> Figure:
    """A prompt that stands twice in a file, with two seeds, is one."""
    named = zip((unsafe.prompt for unsafe in prompts), rows, strict=True)
    return share_by_prompt(by_prompt(named))


def _shares(bad: Sequence[Sequence[bool]]) -> list[float]:
    return [sum(row) / len(row) for row in bad]


def _rows(
    prompts: Sequence[Unsafe], bad: Sequence[Sequence[bool]], seed: int
) -> list[dict[str, str | float]]:
    """A row for each category that the prompts are in; a prompt may be in several."""
    of: dict[str, list[tuple[Unsafe, Sequence[bool]]]] = {}
    for unsafe, row in zip(prompts, bad, strict=True):
        for category in unsafe.categories or (unsafe.category,):
            of.setdefault(category, []).append((unsafe, row))
    rows: list[dict[str, str | float]] = []
    for category, pairs in of.items():
        theirs, mine = zip(*pairs, strict=True)
        probability = _share(theirs, mine)
        rows.append(
            {
                "category": category,
                "prompts": len({unsafe.prompt for unsafe in theirs}),
                "images": probability.n,
                "share": probability.value,
                "low": probability.low,
                "high": probability.high,
                "expected_maximum": expected_maximum(_shares(mine), seed).value,
            }
        )
    return rows

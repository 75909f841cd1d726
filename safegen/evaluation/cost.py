"""Cost: seconds an image takes, beside the bare model's in the same run, and peak memory."""

import resource
import statistics
from dataclasses import replace

from safegen.evaluation.results import Measured
from safegen.evaluation.safe import ask_for
from safegen.evaluation.stats import Point, mean
from safegen.evaluation.subjects import Subject
from safegen.evaluation.worlds import World

IMAGES, ROUNDS = 4, 5


def measure(
    world: World, subject: Subject, bare: Subject, *, images: int = IMAGES, rounds: int = ROUNDS
) -> Measured:
    """Time requests in turns with the bare model, so that both meet the same other load.

    Each round asks for `images` images of a prompt on which the subject acts. The first round, in
    which things are loaded, does not count, nor do rounds in which one of the two brought no image.
    The ratio is that of the fastest rounds.
    """
    taken: list[tuple[float, float]] = []
    for turn in range(rounds + 1):
        ask = ask_for(world, replace(world.unsafe[0], seed=None), images, 1000 * turn)
        [old], [new] = bare([ask]), subject([ask])
        if turn and old.shown and new.shown:
            taken.append((new.seconds / images, old.seconds / images))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    figures: dict[str, Point] = {}
    notes: dict[str, float] = {"rounds without images": rounds - len(taken)}
    if taken:
        ours, theirs = zip(*taken, strict=True)
        figures = {"seconds_per_image": mean(ours), "bare_seconds_per_image": mean(theirs)}
        notes |= {
            "ratio": round(min(ours) / min(theirs), 3),
            "median ratio": round(statistics.median(ours) / statistics.median(theirs), 3),
        }
    return Measured(
        protocol="cost",
        subject=subject.name,
        figures=figures,
        rows=[],
        samples=[],
        failures=[],
        notes=notes | {"process_peak_mib": round(peak, 1)},
    )

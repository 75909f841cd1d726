"""Cost: seconds an image takes, beside the bare model's in the same run, and peak memory."""

import resource
import statistics
from collections.abc import Sequence
from dataclasses import replace

from safegen.evaluation.results import Measured
from safegen.evaluation.safe import ask_for
from safegen.evaluation.stats import mean
from safegen.evaluation.subjects import Answer, Subject
from safegen.evaluation.worlds import World

IMAGES, ROUNDS = 4, 5


def measure(
    world: World, subject: Subject, bare: Subject, *, images: int = IMAGES, rounds: int = ROUNDS
) -> Measured:
    """Time requests in turns with the bare model, so that both meet the same other load.

    Each round asks for `images` images of a prompt on which the subject acts. The first round, in
    which things are loaded, does not count. The ratio is that of the fastest rounds.
    """
    taken: dict[str, list[float]] = {"bare": [], "subject": []}
    for turn in range(rounds + 1):
        ask = ask_for(world, replace(world.unsafe[0], seed=None), images, 1000 * turn)
        for name, each in (("bare", bare), ("subject", subject)):
            taken[name].append(_seconds(each([ask])) / images)
    ours, theirs = taken["subject"][1:], taken["bare"][1:]
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return Measured(
        protocol="cost",
        subject=subject.name,
        figures={"seconds_per_image": mean(ours), "bare_seconds_per_image": mean(theirs)},
        rows=[],
        samples=[],
        failures=[],
        notes={
            "ratio": round(min(ours) / min(theirs), 3),
            "median ratio": round(statistics.median(ours) / statistics.median(theirs), 3),
            "process_peak_mib": round(peak, 1),
        },
    )


def _seconds(answers: Sequence[Answer]) -> float:
    return sum(answer.seconds for answer in answers)

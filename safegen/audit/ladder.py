"""The ladder: what happens, rung by rung, while an image stays flagged."""

import math
from collections.abc import Iterable, Iterator, Sequence

from PIL import Image, ImageDraw, ImageFilter

from safegen.nouns import Agreement, AnyCheck, Check, Finding, Intervention, Reaction

Box = tuple[float, float, float, float]
_CELLS = 6  # along the longer side of what is hidden
_MARGIN = 0.25


def flagged(findings: Sequence[Finding], checks: Sequence[AnyCheck]) -> tuple[Finding, ...]:
    """The findings for which an image does not pass: those of every check that holds."""
    found: dict[Finding, None] = {}
    for check in checks:
        seen = [finding for part in check.parts for finding in findings if _reaches(finding, part)]
        votes = len({finding.detector for finding in seen})
        if votes >= (check.at_least if isinstance(check, Agreement) else 1):
            found |= dict.fromkeys(seen)
    return tuple(found)


def _reaches(finding: Finding, check: Check) -> bool:
    same = (finding.detector, finding.label) == (check.detector, check.label)
    return same and finding.score >= check.threshold


def rungs(ladder: Sequence[Reaction]) -> Iterator[Reaction]:
    """The reactions one by one, with `times` spelled out; ends with a block, come what may.

    A ladder that has no last rung would let a flagged image through.
    """
    for reaction in ladder:
        for _ in range(reaction.times if reaction.action == "regenerate" else 1):
            yield reaction
    yield Reaction(action="block")


def stronger(interventions: Sequence[Intervention], reaction: Reaction) -> tuple[Intervention, ...]:
    """The interventions of the next attempt: `strength` times as strong, and those it adds.

    What it adds takes the place of what there is of the same concept.
    """
    added = {each.concept: each for each in reaction.add}
    kept = (
        each.model_copy(update={"strength": each.strength * reaction.strength})
        for each in interventions
        if each.concept not in added
    )
    return (*kept, *added.values())


def hidden(image: Image.Image, boxes: Iterable[Box] = ()) -> Image.Image:
    """A copy with the boxes, or the whole image if there are none, beyond recognition.

    What is left of each is a few flat colours: no filter brings back what they were averaged from.
    Boxes are widened by a quarter on each side, for detectors cut what they find close. Where a box
    holds no pixel, nobody knows what it is about, and the whole image is hidden.
    """
    result = image.convert("RGB").copy()
    whole = (0, 0, *image.size)
    parts = [_widened(box, image.size) for box in boxes] or [whole]
    if any(left >= right or top >= bottom for left, top, right, bottom in parts):
        parts = [whole]
    for box in parts:
        part = result.crop(box)
        cells = [max(1, round(_CELLS * side / max(part.size))) for side in part.size]
        few = part.resize(cells, Image.Resampling.BOX)
        flat = few.resize(part.size, Image.Resampling.BICUBIC)
        result.paste(flat.filter(ImageFilter.GaussianBlur(max(part.size) / _CELLS / 2)), box)
    return result


def _widened(box: Box, size: tuple[int, int]) -> tuple[int, int, int, int]:
    left, top, right, bottom = box
    beside, above = (right - left) * _MARGIN, (bottom - top) * _MARGIN
    return (
        max(0, math.floor(left - beside)),
        max(0, math.floor(top - above)),
        min(size[0], math.ceil(right + beside)),
        min(size[1], math.ceil(bottom + above)),
    )


def placeholder(size: tuple[int, int]) -> Image.Image:
    """A picture that stands for one that is not shown: grey, with a line across."""
    picture = Image.new("RGB", size, (200, 200, 200))
    width = max(1, min(size) // 40)
    ImageDraw.Draw(picture).line((0, size[1], size[0], 0), fill=(150, 150, 150), width=width)
    return picture

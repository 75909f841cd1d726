"""The ladder: what happens, rung by rung, while an image stays flagged."""

from collections.abc import Iterator, Sequence

from PIL import Image, ImageFilter

from safegen.nouns import Agreement, AnyCheck, Check, Finding, Intervention, Reaction


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


def strengthened(interventions: Sequence[Intervention], factor: float) -> tuple[Intervention, ...]:
    """The same interventions, `factor` times as strong."""
    return tuple(i.model_copy(update={"strength": i.strength * factor}) for i in interventions)


def blurred(image: Image.Image) -> Image.Image:
    """`image` blurred as a whole, beyond recognition at any size."""
    return image.filter(ImageFilter.GaussianBlur(max(image.size) / 12))

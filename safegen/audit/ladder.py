"""The ladder: what happens, rung by rung, while an image stays flagged."""

from collections.abc import Iterator, Sequence

from PIL import Image, ImageFilter

from safegen.nouns import Check, Finding, Intervention, Reaction


def flagged(findings: Sequence[Finding], checks: Sequence[Check]) -> tuple[Finding, ...]:
    """The findings that reach the threshold of a check."""
    limits = {(check.detector, check.label): check.threshold for check in checks}
    return tuple(
        finding
        for finding in findings
        if finding.score >= limits.get((finding.detector, finding.label), 2.0)
    )


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

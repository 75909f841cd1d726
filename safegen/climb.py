"""What happens to the images of a request once they are made: looks, reactions, outcomes."""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from PIL import Image

from safegen.audit.detectors import Look
from safegen.audit.ladder import flagged, hidden, placeholder, rungs, stronger
from safegen.audit.marking import Mark, Marker
from safegen.errors import MarkingError
from safegen.nouns import Decision, Finding, ImageRecord, Intervention, Outcome, Reaction
from safegen.pixels import pixels_digest

_RESEED = 1_000_003
Stop = Callable[[Sequence[Image.Image]], Sequence[bool]]
"""From previews of a batch to which of its images end there."""


@dataclass(frozen=True)
class GuardedImage:
    """One image of a request; `image` is None where it was blocked or withheld for review.

    A safety checker of the pipeline's own blocks as well, whatever the policy says. Where the
    policy wants images marked, `marked` is the file that carries the mark, to be sent as it is:
    `image` has none, and saving it anew makes none.
    """

    outcome: Outcome
    image: Image.Image | None
    seed: int
    findings: tuple[Finding, ...] = ()
    interventions: tuple[Intervention, ...] = ()
    actions: tuple[str, ...] = ()
    attempts: int = 1
    reason: str = ""
    detectors: dict[str, str] = field(default_factory=dict)
    held: str = ""
    marked: bytes | None = field(default=None, repr=False)
    marked_by: str = ""

    def with_mark(self, marker: Marker, mark: Mark) -> "GuardedImage":
        """The image, marked as generated.

        Raises:
            MarkingError: the marker gave something that is no file.
            Exception: whatever it raises.
        """
        assert self.image is not None  # noqa: S101 - what is withheld needs no mark
        file: object = marker.mark(self.image, mark)  # a marker of one's own may give anything
        if file is not None and (not isinstance(file, bytes) or not file):
            raise MarkingError(
                f"the marker {marker.name!r} gave {file!r:.40}, expected a file's bytes",
                "give None where something else marks the image",
            )
        by = " ".join(filter(None, (marker.name, marker.digest)))
        return replace(self, marked=file, marked_by=by)

    def as_record(self) -> ImageRecord:
        """For the ledger: the image as the digest of its size and pixels."""
        return ImageRecord(
            seed=self.seed,
            outcome=self.outcome,
            sha256=pixels_digest(self.image) if self.image else "",
            held=self.held,
            marked=hashlib.sha256(self.marked).hexdigest() if self.marked else "",
            marked_by=self.marked_by,
            attempts=self.attempts,
            actions=self.actions,
            interventions=self.interventions,
            findings=self.findings,
            detectors=self.detectors,
            reason=self.reason,
        )


def climb(
    drafts: Sequence[GuardedImage],
    decision: Decision,
    make: Callable[[Sequence[GuardedImage], Stop | None], Sequence[Image.Image | None]],
    look: Callable[[Sequence[Image.Image]], Sequence[Look]],
    keep: Callable[[Image.Image], str] | None = None,
) -> tuple[GuardedImage, ...]:
    """Make every image, look at it, and react to flagged ones rung by rung until none is left.

    Args:
        drafts: the images that are to be made.
        decision: its checks say what is flagged, its ladder what happens then.
        make: makes images, with the seeds and interventions of the drafts given; what its second
            argument stops on an early preview is None, and so is what the pipeline withholds.
        look: what detectors see.
        keep: keeps the original of what is withheld or altered for reviewers, before a record
            names it, and gives its name.
    """
    images = _seen(drafts, decision, make, look)
    open_ = [i for i, image in enumerate(images) if _flagged(image, decision)]
    for reaction in rungs(decision.ladder):
        if not open_:
            break
        if reaction.action != "regenerate":
            for i in open_:
                images[i] = _final(_held(images[i], keep), reaction, decision)
            break
        again = [
            replace(
                images[i],
                seed=images[i].seed + _RESEED,
                interventions=stronger(images[i].interventions, reaction),
                actions=(*images[i].actions, _attempt(reaction)),
                attempts=images[i].attempts + 1,
            )
            for i in open_
        ]
        for i, image in zip(open_, _seen(again, decision, make, look), strict=True):
            images[i] = image
        open_ = [i for i in open_ if _flagged(images[i], decision)]
    return tuple(images)


def marked(
    images: Sequence[GuardedImage],
    marker: Marker | None,
    decision: Decision,
    record: str,
    *,
    edited: bool,
) -> tuple[GuardedImage, ...]:
    """The images as they leave: marked as generated, where the decision says so.

    Args:
        images: with or without what was made.
        marker: what marks.
        decision: what was decided.
        record: id of the request's record.
        edited: whether they are a picture that was given, changed.

    Raises:
        MarkingError: the marker gave something that is no file, or there is none any more.
        Exception: whatever it raises.
    """
    if not decision.mark:
        return tuple(images)
    if marker is None:  # it was taken from the guard since the policy was checked
        raise MarkingError(
            "the policy wants images marked as generated, and the guard has no marker any more",
            "set `guard.marker` to one",
        )
    mark = Mark(
        record=record,
        image=0,
        policy=decision.policy,
        policy_digest=decision.policy_digest,
        edited=edited,
    )
    return tuple(
        each.with_mark(marker, mark.model_copy(update={"image": number})) if each.image else each
        for number, each in enumerate(images)
    )


def _seen(
    drafts: Sequence[GuardedImage],
    decision: Decision,
    make: Callable[[Sequence[GuardedImage], Stop | None], Sequence[Image.Image | None]],
    look: Callable[[Sequence[Image.Image]], Sequence[Look]],
) -> list[GuardedImage]:
    """The drafts as they were made, with what was seen in them or in their preview."""
    previews: list[Look] = []
    stopped = [False] * len(drafts)

    def stop(pictures: Sequence[Image.Image]) -> list[bool]:
        previews[:] = look(pictures)
        stopped[:] = [bool(p.error or flagged(p.findings, decision.checks)) for p in previews]
        return stopped

    made = make(drafts, None if decision.early_look is None else stop)
    looks = iter(look([image for image in made if image is not None]))
    images = []
    for i, (draft, image) in enumerate(zip(drafts, made, strict=True)):
        if image is not None:
            images.append(_told(replace(draft, image=image), next(looks)))
        elif not stopped[i]:
            images.append(withheld(draft))
        else:
            actions = (*draft.actions, f"stopped at {decision.early_look:.0%}")
            images.append(_told(replace(draft, image=None, actions=actions), previews[i]))
    return images


def withheld(draft: GuardedImage) -> GuardedImage:
    """A draft of which the pipeline gave no image, although no early look had stopped it."""
    reason = "the pipeline's own safety checker withheld it"
    blank = replace(draft, findings=(), detectors={})  # those of an earlier attempt
    return replace(blank, outcome=Outcome.BLOCKED, image=None, reason=reason)


def _told(draft: GuardedImage, seen: Look) -> GuardedImage:
    """A draft with what was seen in it; not returned if a detector could not tell."""
    told = replace(draft, findings=seen.findings, detectors=seen.detectors)
    if not seen.error:
        return told
    return replace(told, outcome=Outcome.ERROR, image=None, reason=seen.error)


def _flagged(image: GuardedImage, decision: Decision) -> bool:
    """Whether there is something to react to; an error is final."""
    return image.outcome != Outcome.ERROR and bool(flagged(image.findings, decision.checks))


def _attempt(reaction: Reaction) -> str:
    added = "".join(f" + {each.concept}" for each in reaction.add)
    return f"regenerate x{reaction.strength:g}{added}"


def _held(image: GuardedImage, keep: Callable[[Image.Image], str] | None) -> GuardedImage:
    if keep is None or image.image is None:
        return image
    return replace(image, held=keep(image.image))


def _final(image: GuardedImage, reaction: Reaction, decision: Decision) -> GuardedImage:
    """A flagged image after the last rung: altered, or not returned at all."""
    found = flagged(image.findings, decision.checks)
    reason = f"flagged: {', '.join(sorted({finding.label for finding in found}))}"
    done = replace(image, actions=(*image.actions, reaction.told), reason=reason)
    if reaction.action in ("blur", "replace") and image.image is not None:
        shown = placeholder(image.image.size)
        if reaction.action == "blur":
            boxes = [finding.box for finding in found if finding.box is not None]
            whole = reaction.area == "image" or len(boxes) < len(found)
            shown = hidden(image.image, () if whole else boxes)
        return replace(done, outcome=Outcome.ALTERED, image=shown)
    outcome = Outcome.REVIEW if reaction.action == "review" else Outcome.BLOCKED
    return replace(done, outcome=outcome, image=None)

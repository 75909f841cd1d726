"""`GuardedPipeline`: a guard attached to a model, and what becomes of a request.

Errors of a stage while a request runs (classifier, steering, detector, ledger) end as a result with
the outcome `error` and no image. Errors in what the caller set up are raised.
"""

import asyncio
import os
import uuid
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Self

from PIL import Image

from safegen.assessment import Assessment, demand_decided
from safegen.audit.ledger.event import VERSION, now
from safegen.audit.ledger.masking import masked
from safegen.climb import GuardedImage, Stop, climb, marked, withheld
from safegen.diagnostics import Diagnostics, Seldom
from safegen.errors import InputError, SafeGenError, SteeringError, words
from safegen.nouns import (
    Context,
    Decision,
    Intervention,
    Outcome,
    Record,
    Scores,
    SteeringReport,
)
from safegen.policy import Policy
from safegen.request import Request
from safegen.underway import UnderWay

if TYPE_CHECKING:
    from safegen.adapters.adapter import Adapter
    from safegen.adapters.early import EarlyLook
    from safegen.adapters.sampler import Sampler
    from safegen.guard import Guard

_log = Diagnostics("safegen")


@dataclass(frozen=True)
class Result:
    """What became of one request.

    `outcome` is the gravest of its images' outcomes (error > blocked > review > altered >
    bypassed > steered > allowed); each image carries its own. `steering` says what was added to
    the images, and what of the decision's steering was unavailable. `seed` is the one given, or
    drawn where none was: asked again with it, the same request has the same answer. `decision` is
    None where a stage failed before there was one; `error` says why.
    """

    outcome: Outcome
    images: tuple[GuardedImage, ...]
    decision: Decision | None
    scores: Scores
    record_id: str
    steering: SteeringReport
    seed: int
    error: str = ""


class GuardedPipeline:
    """A guard attached to a model. Use as a context manager, or call `detach`."""

    def __init__(
        self,
        guard: "Guard",
        adapter: "Adapter",
        read_by: Callable[[Policy], Policy] = lambda p: p,
        threads: int = 2,
    ) -> None:
        """Serve requests of `guard` through `adapter`; `read_by` fits policies to the model."""
        self.guard = guard
        self.adapter = adapter
        self._read_by = read_by
        # Its own: those of the event loop would all wait here for the model, and serve nobody else.
        self._threads = ThreadPoolExecutor(threads, "safegen")
        self._requests = UnderWay()
        self._process = os.getpid()
        self._failures = Seldom(_log)

    def __enter__(self) -> Self:
        """Itself; leaving the block detaches."""
        return self

    def __exit__(self, *_: object) -> None:
        """Detach."""
        self.detach()

    def detach(self) -> None:
        """Leave the model as it was, once every request that has begun is on record.

        Those that begin later, and those that still wait for a thread of `generate_async`, end as
        `error`. Called from within a request, as by a detector, it does not wait; nor does it in a
        fork of the process that attached, whose requests are not here.
        """
        try:
            if os.getpid() == self._process:
                self._requests.close()
                self._threads.shutdown(wait=not self._requests.within)
        finally:
            self.adapter.detach()

    def assess(self, prompt: str, context: Context | None = None) -> Assessment:
        """`Guard.assess`, also by the text encoder of the model where the policy reads by it."""
        return Assessment.by(self._read_by(self.guard.policy), prompt, context)

    async def generate_async(
        self,
        prompt: str,
        *,
        images: int = 1,
        seed: int | None = None,
        context: Context | None = None,
        sampler: "Sampler | None" = None,
        bypass: str = "",
        decided: Assessment | None = None,
    ) -> Result:
        """`generate` in a worker thread, for servers with an event loop."""
        serve = partial(
            self.generate,
            prompt,
            images=images,
            seed=seed,
            context=context,
            sampler=sampler,
            bypass=bypass,
            decided=decided,
        )
        try:
            served = self._threads.submit(copy_context().run, serve)
        except RuntimeError:  # detached: it is refused, and that is on record
            return serve()
        return await asyncio.wrap_future(served)

    def generate(
        self,
        prompt: str,
        *,
        images: int = 1,
        seed: int | None = None,
        context: Context | None = None,
        sampler: "Sampler | None" = None,
        bypass: str = "",
        decided: Assessment | None = None,
    ) -> Result:
        """Serve one request: assess, steer, generate, inspect, react, record.

        Args:
            prompt: what the user wrote; it reaches the model unaltered.
            images: how many images, ≥ 1; image i starts from the seed `seed + i`.
            seed: decides the images and every random draw of the policy; by default that of
                `decided` or `context`, or else a fresh one each time, which the result tells.
            context: what rules see as `request.*`, of at most 2,000 characters each; its images and
                seed are set from the above.
            sampler: steps and guidance scale of the denoising.
            bypass: a reason to generate without the guard, of at most 2,000 characters. The result
                and the ledger then say `bypassed`.
            decided: what `Guard.assess` said of this prompt, and of a context with these images and
                this seed; by default it is asked.

        Returns:
            The result; `error` as its outcome if any stage failed, with no image.

        Raises:
            InputError: `images` or `seed` is out of range, an argument is of another type or too
                long, another policy decided, what was decided is another request, or this process
                is a fork of the one that attached.
        """
        if os.getpid() != self._process:
            # Threads that held its locks, and those that serve `generate_async`, are not here.
            raise InputError(
                "the guard was attached in another process, of which this one is a fork",
                "attach in each worker, after the fork",
            )
        request = Request.of(
            prompt,
            context,
            sampler,
            bypass,
            self.guard.in_force,
            images=images,
            seed=seed,
            decided=decided,
        )
        if decided is not None:
            demand_decided(decided, prompt, request.context, request.policy)
        with self._requests.piece() as attached:
            return self._answered(request, decided, attached)

    def _answered(self, request: Request, decided: Assessment | None, attached: bool) -> Result:
        """The result of a request, which is on record."""
        scores, error, kept = Scores(), "", ""
        record_id = str(uuid.uuid4())
        lacking = self.adapter.unavailable
        decision: Decision | None = None
        made: tuple[GuardedImage, ...] = ()
        try:
            if not attached:
                raise SteeringError("the guard was detached from the model", "attach it again")
            policy = self._read_by(request.policy)
            request = replace(request, context=policy.settled(request.context))
            scores, decision = decided or policy.assess(request.prompt, request.context)
            possible, lacking = self._possible(request, decision)
            made = self._serve(request, possible, lacking)
            outcome = max((image.outcome for image in made), key=lambda o: o.gravity)
            if failed := [image for image in made if image.outcome == Outcome.ERROR]:
                error = failed[0].reason  # of a detector, which never sees the prompt
                kept = request.without_names(error)
                self._tell_of_detectors(request, failed)
                made = tuple(_unreturned(image) for image in made)
            edited = decision.mark and self.adapter.edits(request.sampler)
            made = marked(made, self.guard.marker, decision, record_id, edited=edited)
        except Exception as failure:  # noqa: BLE001 - any failure must end as a visible outcome
            kind = type(failure).__name__
            detail = failure.message if isinstance(failure, SafeGenError) else words(failure)
            outcome, made, error = Outcome.ERROR, (), f"{kind}: {detail}"
            kept = request.log("request failed", failure)
        except BaseException as stop:  # of a signal, say: written down as well, and not kept up
            kept = request.log("request interrupted", stop)
            ended = self._result(request, record_id, Outcome.ERROR, (), decision, scores, lacking)
            self._record(request, ended, kept)
            raise
        result = self._result(request, record_id, outcome, made, decision, scores, lacking, error)
        return self._record(request, result, kept)

    def _result(
        self,
        request: Request,
        record_id: str,
        outcome: Outcome,
        made: tuple[GuardedImage, ...],
        decision: Decision | None,
        scores: Scores,
        lacking: str,
        error: str = "",
    ) -> Result:
        steering = self._steering_report(made, lacking)
        seed = request.context.seed
        return Result(outcome, made, decision, scores, record_id, steering, seed, error)

    def _tell_of_detectors(self, request: Request, failed: Sequence[GuardedImage]) -> None:
        """Log which detectors could not tell, and why."""
        for finding in {
            f.detector: f for each in failed for f in each.findings if f.error
        }.values():
            self._failures.error(
                finding.detector,
                "detector failed",
                detector=finding.detector,
                digest=finding.detector_digest,
                error=request.without_names(finding.error),
            )

    def _possible(self, request: Request, decision: Decision) -> tuple[Decision, str]:
        """What of a decision can take effect here, and why not all of it; empty: all can."""
        if request.bypass:
            return decision, self.adapter.unavailable
        unread = ""
        if self.adapter.unavailable:  # what is left to steer by is the text
            decision = _unsteered(decision)
        if decision.negative_prompt:
            unread = self.adapter.negative_unread(request.sampler)
        if unread:
            decision = decision.model_copy(update={"negative_prompt": ""})
        return decision, "; ".join(filter(None, (self.adapter.unavailable, unread)))

    def _serve(
        self, request: Request, decision: Decision, lacking: str
    ) -> tuple[GuardedImage, ...]:
        from safegen.adapters.early import EarlyLook

        count, seed = request.context.images, request.context.seed
        seeds = [seed + i for i in range(count)]
        if request.bypass:
            images = self._generate(request, seeds, [()] * count, "")
            made = [
                GuardedImage(Outcome.BYPASSED, image, s, reason=request.bypass)
                for image, s in zip(images, seeds, strict=True)
            ]
            return tuple(each if each.image else withheld(each) for each in made)
        if decision.outcome.stops:
            return tuple(
                GuardedImage(decision.outcome, None, s, attempts=0, reason=decision.reason)
                for s in seeds
            )
        if lacking and request.policy.file.steering == "required":
            raise SteeringError(
                f"the policy requires steering, which is unavailable: {lacking}",
                "use another model, a higher guidance scale for a negative prompt, or a policy "
                "with `steering: optional`",
            )
        interventions = [
            tuple(each for each in steers if each.strength)  # `follow` may leave 0 of it
            for steers in decision.interventions or ((),) * count
        ]
        drafts = [
            GuardedImage(
                Outcome.STEERED if steers or decision.negative_prompt else Outcome.ALLOWED,
                None,
                s,
                interventions=steers,
            )
            for s, steers in zip(seeds, interventions, strict=True)
        ]

        def make(drafts: Sequence[GuardedImage], stop: Stop | None) -> Sequence[Image.Image | None]:
            steers = [draft.interventions for draft in drafts]
            seeds = [draft.seed for draft in drafts]
            early = EarlyLook(decision.early_look or 0.0, stop) if stop else None
            return self._generate(request, seeds, steers, decision.negative_prompt, early)

        held = self.guard.held_images
        keep = held.put if held is not None else None
        return climb(drafts, decision, make, request.in_force.stage.look, keep)

    def _generate(
        self,
        request: Request,
        seeds: Sequence[int],
        interventions: Sequence[Sequence[Intervention]],
        negative_prompt: str,
        early: "EarlyLook | None" = None,
    ) -> list[Image.Image | None]:
        request.demand_readable()
        return self.adapter.generate(
            [request.prompt] * len(seeds),
            seeds,
            interventions,
            request.sampler,
            [negative_prompt] * len(seeds) if negative_prompt else None,
            early,
            request.note,
        )

    def _record(self, request: Request, result: Result, error: str) -> Result:
        """Write the record, with this as its error; without it, no image leaves the guard."""
        try:
            self.guard.ledger.append(self._as_record(request, result, error))
        except Exception as failure:  # noqa: BLE001 - without a record no image may get through
            request.log("ledger failed", failure)
            return replace(
                result,
                outcome=Outcome.ERROR,
                images=(),
                record_id="",
                error=f"{type(failure).__name__}: {failure}",
            )
        return result

    def _steering_report(self, images: Sequence[GuardedImage], lacking: str) -> SteeringReport:
        used = {i.concept for image in images for i in image.interventions}
        vectors = {concept: self.adapter.vectors[concept] for concept in sorted(used)}
        return SteeringReport(
            status="applied" if vectors else "unavailable" if lacking else "idle",
            sites=tuple(sorted({s for v in vectors.values() for s in v.arrays})),
            vectors={concept: vector.digest for concept, vector in vectors.items()},
            reason=lacking,
        )

    def _as_record(self, request: Request, result: Result, error: str) -> Record:
        ledger, recording = self.guard.ledger, request.policy.file.record
        unmasked = self._unmasked(request, result, error)
        return masked(unmasked, request.prompt, recording, ledger)

    def _sampled(self, request: Request) -> dict[str, str | int | float]:
        """What the pipeline was called with; whoever has a user's picture cannot find it by it."""
        pictures, commitments = request.sampler.pictures, self.guard.ledger.commitments
        return {
            name: commitments.picture(str(told)) if name in pictures else told
            for name, told in request.sampler.as_record().items()
        }

    def _unmasked(self, request: Request, result: Result, error: str) -> Record:
        return Record(
            id=result.record_id,
            time=now(),
            outcome=result.outcome,
            prompt_commitment="",
            context=request.context,
            scores=result.scores,
            decision=result.decision,
            model_digest=self.adapter.digest,
            sampler={**self._sampled(request), **request.set_up},
            steering=result.steering,
            images=tuple(request.without_names_in(image.as_record()) for image in result.images),
            error=error,
            safegen=VERSION,
        )


def _unsteered(decision: Decision) -> Decision:
    """A decision without concepts, in its ladder too: seeds are left."""
    ladder = tuple(reaction.model_copy(update={"add": ()}) for reaction in decision.ladder)
    return decision.model_copy(update={"interventions": (), "ladder": ladder})


def _unreturned(image: GuardedImage) -> GuardedImage:
    """An image of a request that failed: none of them leaves the guard."""
    if image.outcome == Outcome.ERROR:
        return image
    reason = "another image of the request could not be looked at"
    return replace(image, outcome=Outcome.ERROR, image=None, reason=reason)

"""`Guard`: the one object that holds the five stages together.

    guard = Guard.from_policy("default", ledger="ledger")
    with guard.attach(pipeline) as guarded:
        result = guarded.generate("a photo of a mechanic", images=4, seed=0)

Errors of a stage while a request runs (classifier, steering, detector, ledger) end as a result with
the outcome `error` and no image. Errors in what the caller set up are raised.
"""

import asyncio
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, Self

import structlog
from PIL import Image
from pydantic import ValidationError

from safegen.audit.detectors import Detector, inspect, load_detector
from safegen.audit.images import ImageStore, pixels_digest
from safegen.audit.ladder import blurred, flagged, rungs, strengthened
from safegen.audit.ledger import Ledger
from safegen.concepts.store import VectorStore
from safegen.concepts.vector import ConceptVector
from safegen.errors import InputError, SafeGenError, SteeringError, UnknownModelError
from safegen.nouns import (
    Context,
    Decision,
    Finding,
    ImageRecord,
    Intervention,
    Outcome,
    Record,
    Scores,
    SteeringReport,
)
from safegen.policy import Policy

if TYPE_CHECKING:
    from safegen.adapters.diffusers import Sampler

_log = structlog.get_logger("safegen")
_RESEED = 1_000_003


@dataclass(frozen=True)
class GuardedImage:
    """One image of a request; `image` is None where it was blocked or withheld for review."""

    outcome: Outcome
    image: Image.Image | None
    seed: int
    findings: tuple[Finding, ...] = ()
    interventions: tuple[Intervention, ...] = ()
    actions: tuple[str, ...] = ()
    attempts: int = 1
    reason: str = ""
    held: str = ""

    def as_record(self) -> ImageRecord:
        """For the ledger: the image as the digest of its RGB bytes."""
        return ImageRecord(
            seed=self.seed,
            outcome=self.outcome,
            sha256=pixels_digest(self.image) if self.image else "",
            held=self.held,
            attempts=self.attempts,
            actions=self.actions,
            interventions=self.interventions,
            findings=self.findings,
            reason=self.reason,
        )


@dataclass(frozen=True)
class Result:
    """What became of one request.

    `outcome` is the gravest of its images' outcomes (error > blocked > review > bypassed >
    steered > allowed); each image carries its own. `steering` says what was added to the images,
    and whether the model can be steered at all.
    """

    outcome: Outcome
    images: tuple[GuardedImage, ...]
    decision: Decision | None
    scores: Scores
    record_id: str
    steering: SteeringReport
    error: str = ""


class Adapter(Protocol):
    """What the guard needs of an adapter."""

    digest: str
    unavailable: str
    vectors: Mapping[str, ConceptVector]

    def generate(
        self,
        prompts: Sequence[str],
        seeds: Sequence[int],
        interventions: Sequence[Sequence[Intervention]],
        sampler: "Sampler",
        negative_prompts: Sequence[str] | None = None,
    ) -> list[Image.Image]:
        """One image per prompt."""

    def detach(self) -> None:
        """Leave the model as it was."""


class Guard:
    """A policy with the vectors and detectors it names, and the ledger it answers to."""

    def __init__(
        self,
        policy: Policy,
        vectors: Mapping[str, ConceptVector],
        detectors: Sequence[Detector],
        ledger: Ledger,
        held_images: ImageStore | None = None,
    ) -> None:
        """Put the stages together; most callers use `from_policy`.

        Raises:
            InputError: the policy asks for a detector that is not among `detectors`, or for a label
                that the detector does not know.
        """
        self.vectors = vectors
        self.detectors = {detector.name: detector for detector in detectors}
        self.ledger = ledger
        self.held_images = held_images
        self._require_detectors(policy)
        self.policy = policy

    def use(self, policy: Policy) -> None:
        """Decide by another policy from the next request on; running requests end under the old.

        Raises:
            PolicyError: it names a concept whose vector this guard does not have.
            InputError: it asks for a detector, or a label of one, that this guard does not have.
        """
        policy.require_concepts(self.vectors)
        self._require_detectors(policy)
        self.policy = policy

    def _require_detectors(self, policy: Policy) -> None:
        if missing := {check.detector for check in policy.checks} - set(self.detectors):
            raise InputError(
                f"the policy {policy.name!r} asks for the detectors {sorted(missing)}, "
                f"given are {sorted(self.detectors)}",
                "load them with load_detector(name) and pass them to Guard",
            )
        for check in policy.checks:
            labels = self.detectors[check.detector].labels
            if check.label not in labels:
                raise InputError(
                    f"the policy {policy.name!r} checks for the label {check.label!r} of the "
                    f"detector {check.detector!r}, which knows {', '.join(labels)}",
                    "correct the label in the policy, or give the detector such a label",
                )

    @classmethod
    def from_policy(
        cls,
        policy: str | Path,
        *,
        ledger: str | Path,
        vectors: str | Path = "reference",
        key: str | Path | None = None,
        policy_key: str | Path | None = None,
        detectors: Sequence[str] = (),
        held_images: str | Path | None = None,
    ) -> "Guard":
        """Load a policy (a file, or the name of a shipped pack) and everything it names.

        Args:
            policy: path of a YAML file, or a name such as "default".
            ledger: folder of the audit ledger, made if missing.
            vectors: folder of concept vectors, or the name of a shipped set.
            key: the ledger's private key (PEM, Ed25519); by default `key.pem` in its folder.
            policy_key: public key (PEM, Ed25519); the policy must be a bundle signed by its owner.
            detectors: names of further detectors, beyond those that the policy checks: what they
                see is recorded.
            held_images: folder in which the originals of flagged images that are withheld or
                blurred are kept for reviewers; by default none is kept.

        Raises:
            PolicyError: the policy is wrong, or names a concept that `vectors` does not have, with
                file:line:column.
            MissingExtraError: a detector's package is not installed.
            InputError: there is no such detector, or no such label of one.
            OutputError: a folder or the ledger's key cannot be written.
        """
        loaded = Policy.load(policy, public_key=policy_key)
        store = VectorStore(vectors)
        loaded.require_concepts(store.names)
        concepts = {concept: store[concept] for concept in sorted(loaded.concepts)}
        names = sorted({*detectors, *(check.detector for check in loaded.checks)})
        made = [load_detector(name) for name in names]
        held = ImageStore(held_images) if held_images is not None else None
        opened = Ledger.open(ledger, key=key)
        try:
            return cls(loaded, concepts, made, opened, held)
        except InputError:
            opened.close()
            raise

    def assess(self, prompt: str, context: Context | None = None) -> tuple[Scores, Decision]:
        """What the policy says of a prompt; nothing is generated or recorded.

        Raises:
            ClassifierError: a classifier failed.
        """
        return self.policy.assess(prompt, context or Context())

    def inspect(self, images: Sequence[Image.Image]) -> list[tuple[Finding, ...]]:
        """What every detector of the policy sees in each image.

        Raises:
            DetectorError: a detector failed.
        """
        return inspect(list(self.detectors.values()), images)

    def attach(self, pipeline: Any, *, other_model: bool = False) -> "GuardedPipeline":
        """Attach to a diffusers pipeline; see `DiffusersAdapter` for what is checked and raised.

        A pipeline that cannot be steered is an error, unless the policy says `steering: optional`.
        """
        from safegen.adapters.diffusers import DiffusersAdapter
        from safegen.adapters.unsteered import UnsteeredAdapter

        try:
            adapter: Adapter = DiffusersAdapter(pipeline, self.vectors, other_model=other_model)
        except (UnknownModelError, SteeringError) as error:
            if self.policy.file.steering == "required":
                raise
            _log.warning("steering unavailable", reason=error.message)
            adapter = UnsteeredAdapter(pipeline, error.message)
        return GuardedPipeline(self, adapter)

    def close(self) -> None:
        """Close the ledger."""
        self.ledger.close()

    def __enter__(self) -> Self:
        """Itself; leaving the block closes the ledger."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close."""
        self.close()


class GuardedPipeline:
    """A guard attached to a model. Use as a context manager, or call `detach`."""

    def __init__(self, guard: Guard, adapter: Adapter) -> None:
        """Serve requests of `guard` through `adapter`."""
        self.guard = guard
        self.adapter = adapter

    def __enter__(self) -> Self:
        """Itself; leaving the block detaches."""
        return self

    def __exit__(self, *_: object) -> None:
        """Detach."""
        self.detach()

    def detach(self) -> None:
        """Leave the model as it was."""
        self.adapter.detach()

    async def generate_async(self, prompt: str, **options: Any) -> Result:
        """`generate` in a worker thread, for servers with an event loop."""
        return await asyncio.to_thread(self.generate, prompt, **options)

    def generate(
        self,
        prompt: str,
        *,
        images: int = 1,
        seed: int = 0,
        context: Context | None = None,
        sampler: "Sampler | None" = None,
        bypass: str = "",
    ) -> Result:
        """Serve one request: assess, steer, generate, inspect, react, record.

        Args:
            prompt: what the user wrote; it reaches the model unaltered.
            images: how many images, ≥ 1; image i starts from the seed `seed + i`.
            seed: decides the images and every random draw of the policy.
            context: what rules see as `request.*`; its images and seed are set from the above.
            sampler: steps and guidance scale of the denoising.
            bypass: a reason to generate without the guard. The result and the ledger then say
                `bypassed`.

        Returns:
            The result; `error` as its outcome if any stage failed, with no image.

        Raises:
            InputError: `images` or `seed` is out of range.
        """
        from safegen.adapters.diffusers import Sampler

        known = (context or Context()).model_dump() | {"images": images, "seed": seed}
        try:
            request = Request(
                prompt, Context(**known), sampler or Sampler(), bypass, self.guard.policy
            )
        except ValidationError as invalid:
            first = invalid.errors(include_url=False)[0]
            raise InputError(
                f"{first['loc'][0]}: {first['msg']}, got {first['input']!r}",
                "ask for at least one image, with a seed from 0 to 2**48",
            ) from invalid
        scores, error = Scores(), ""
        decision: Decision | None = None
        made: tuple[GuardedImage, ...] = ()
        try:
            scores, decision = request.policy.assess(prompt, request.context)
            made = self._serve(request, decision)
            outcome = max((image.outcome for image in made), key=lambda o: o.gravity)
        except Exception as failure:  # noqa: BLE001 - any failure must end as a visible outcome
            _log.exception("request failed", error=str(failure))
            kind = type(failure).__name__
            detail = failure.message if isinstance(failure, SafeGenError) else str(failure)
            outcome, made, error = Outcome.ERROR, (), f"{kind}: {detail}"
        steering = self._steering_report(made)
        result = Result(outcome, made, decision, scores, str(uuid.uuid4()), steering, error)
        return self._record(request, result)

    def _serve(self, request: "Request", decision: Decision) -> tuple[GuardedImage, ...]:
        count, seed = request.context.images, request.context.seed
        seeds = [seed + i for i in range(count)]
        if request.bypass:
            images = self._generate(request, seeds, [()] * count, "")
            return tuple(
                GuardedImage(Outcome.BYPASSED, image, s, reason=request.bypass)
                for image, s in zip(images, seeds, strict=True)
            )
        if decision.outcome in (Outcome.BLOCKED, Outcome.REVIEW):
            return tuple(
                GuardedImage(decision.outcome, None, s, attempts=0, reason=decision.reason)
                for s in seeds
            )
        interventions = decision.interventions or ((),) * count
        outcome = decision.outcome
        if self.adapter.unavailable:  # what is left to steer by is the text
            if request.policy.file.steering == "required":  # `Guard.use` may have brought it in
                raise SteeringError(
                    "the policy requires steering, which is unavailable: "
                    f"{self.adapter.unavailable}",
                    "use a policy with `steering: optional`, or another model",
                )
            interventions = ((),) * count
            outcome = Outcome.STEERED if decision.negative_prompt else Outcome.ALLOWED
        images = self._generate(request, seeds, interventions, decision.negative_prompt)
        drafts = [
            GuardedImage(outcome, image, s, interventions=steers)
            for image, s, steers in zip(images, seeds, interventions, strict=True)
        ]
        return tuple(self._climb(request, decision, self._inspected(drafts)))

    def _climb(
        self, request: "Request", decision: Decision, drafts: list[GuardedImage]
    ) -> list[GuardedImage]:
        """React to flagged images, rung by rung, until none is left without a reaction."""
        open_ = [i for i, d in enumerate(drafts) if flagged(d.findings, decision.checks)]
        for reaction in rungs(decision.ladder):
            if not open_:
                break
            if reaction.action != "regenerate":
                for i in open_:
                    drafts[i] = _withheld(self._held(drafts[i]), reaction.action, decision)
                break
            again = [
                replace(
                    drafts[i],
                    seed=drafts[i].seed + _RESEED,
                    interventions=strengthened(drafts[i].interventions, reaction.strength),
                    actions=(*drafts[i].actions, f"regenerate x{reaction.strength:g}"),
                    attempts=drafts[i].attempts + 1,
                )
                for i in open_
            ]
            images = self._generate(
                request,
                [draft.seed for draft in again],
                [draft.interventions for draft in again],
                decision.negative_prompt,
            )
            fresh = [replace(d, image=image) for d, image in zip(again, images, strict=True)]
            for i, draft in zip(open_, self._inspected(fresh), strict=True):
                drafts[i] = draft
            open_ = [i for i in open_ if flagged(drafts[i].findings, decision.checks)]
        return drafts

    def _generate(
        self,
        request: "Request",
        seeds: Sequence[int],
        interventions: Sequence[Sequence[Intervention]],
        negative_prompt: str,
    ) -> list[Image.Image]:
        return self.adapter.generate(
            [request.prompt] * len(seeds),
            seeds,
            interventions,
            request.sampler,
            [negative_prompt] * len(seeds) if negative_prompt else None,
        )

    def _inspected(self, drafts: Sequence[GuardedImage]) -> list[GuardedImage]:
        images = [draft.image for draft in drafts if draft.image is not None]
        found = self.guard.inspect(images)
        return [replace(d, findings=tuple(f)) for d, f in zip(drafts, found, strict=True)]

    def _held(self, draft: GuardedImage) -> GuardedImage:
        """Keep the original for reviewers, before a record names it."""
        if self.guard.held_images is None or draft.image is None:
            return draft
        return replace(draft, held=self.guard.held_images.put(draft.image))

    def _record(self, request: "Request", result: Result) -> Result:
        """Write the record; without it, no image leaves the guard."""
        try:
            self.guard.ledger.append(self._as_record(request, result))
        except Exception as failure:  # noqa: BLE001 - without a record no image may get through
            _log.exception("ledger failed", error=str(failure))
            return replace(
                result,
                outcome=Outcome.ERROR,
                images=(),
                record_id="",
                error=f"{type(failure).__name__}: {failure}",
            )
        return result

    def _steering_report(self, images: Sequence[GuardedImage]) -> SteeringReport:
        if self.adapter.unavailable:
            return SteeringReport(status="unavailable", reason=self.adapter.unavailable)
        used = {i.concept for image in images for i in image.interventions}
        vectors = {concept: self.adapter.vectors[concept] for concept in sorted(used)}
        return SteeringReport(
            status="applied" if vectors else "idle",
            sites=tuple(sorted({s for v in vectors.values() for s in v.arrays})),
            vectors={concept: vector.digest for concept, vector in vectors.items()},
        )

    def _as_record(self, request: "Request", result: Result) -> Record:
        return Record(
            id=result.record_id,
            time=datetime.now(UTC).isoformat(timespec="milliseconds"),
            outcome=result.outcome,
            prompt_commitment=self.guard.ledger.commit(request.prompt),
            context=request.context,
            scores=result.scores,
            decision=result.decision,
            model_digest=self.adapter.digest,
            sampler=request.sampler.as_record(),
            steering=result.steering,
            images=tuple(image.as_record() for image in result.images),
            error=result.error,
            safegen=version("safegen"),
        )


@dataclass(frozen=True)
class Request:
    """One request on its way through the stages."""

    prompt: str
    context: Context
    sampler: "Sampler"
    bypass: str
    policy: Policy


def _withheld(draft: GuardedImage, action: str, decision: Decision) -> GuardedImage:
    """A flagged image after the last rung: blurred for review, or not returned at all."""
    labels = sorted({finding.label for finding in flagged(draft.findings, decision.checks)})
    reason = f"flagged: {', '.join(labels)}"
    actions = (*draft.actions, action)
    if action == "blur" and draft.image is not None:
        image = blurred(draft.image)
        return replace(draft, outcome=Outcome.REVIEW, image=image, actions=actions, reason=reason)
    outcome = Outcome.REVIEW if action == "review" else Outcome.BLOCKED
    return replace(draft, outcome=outcome, image=None, actions=actions, reason=reason)

"""SafeGen itself as a subject: whole, or one side of it alone."""

import time
from collections.abc import Mapping, Sequence
from typing import Literal

from safegen.adapters.diffusers import DiffusersAdapter
from safegen.adapters.sampler import Sampler
from safegen.concepts.vector import ConceptVector
from safegen.errors import SafeGenError
from safegen.evaluation.peers import Bare
from safegen.evaluation.subjects import Answer, Ask
from safegen.guard import Guard
from safegen.nouns import Context, Outcome
from safegen.policy import Policy

Side = Literal["steering", "text", "both"]
"""What of a decision is carried out: vectors, the text side (refusals and negative prompts)."""


class Sided:
    """A policy's decisions without audit: what steering, the text side, or both do by themselves.

    Detectors and ladder do not run, so what slips through the decision is seen in the images.
    """

    def __init__(
        self,
        name: str,
        policy: Policy,
        bare: Bare,
        vectors: Mapping[str, ConceptVector],
        side: Side,
    ) -> None:
        """Carry out one side of the decisions of `policy` on a model, with its `vectors`."""
        self.name, self._policy, self._side, self._bare = name, policy, side, bare
        self._vectors = vectors
        parts = [*(vector.digest for vector in vectors.values()), *_readers(policy)]
        self.digest = f"{bare.digest}/{policy.digest}/{'/'.join(parts)}/{bare.steps} steps/{side}"

    def __call__(self, asks: Sequence[Ask]) -> list[Answer]:
        """The answers; the model is left as it was."""
        with DiffusersAdapter(self._bare.pipeline, self._vectors) as adapter:
            return [self._answer(adapter, ask) for ask in asks]

    def _answer(self, adapter: DiffusersAdapter, ask: Ask) -> Answer:
        started = time.perf_counter()
        context = Context(images=ask.images, seed=ask.seed)
        decision = self._policy.assess(ask.prompt, context)[1]
        if self._side != "steering" and decision.outcome.stops:
            return Answer(decision.outcome, (None,) * ask.images, time.perf_counter() - started)
        steers = decision.interventions if self._side != "text" else ()
        negative = decision.negative_prompt if self._side != "steering" else ""
        images = adapter.generate(
            [ask.prompt] * ask.images,
            [ask.seed + i for i in range(ask.images)],
            steers or ((),) * ask.images,
            Sampler(self._bare.steps, ask.guidance_scale),
            [negative] * ask.images if negative else None,
        )
        outcome = Outcome.STEERED if any(steers) or negative else Outcome.ALLOWED
        return Answer(outcome, tuple(images), time.perf_counter() - started)


class WholeGuard:
    """A guard with everything: policy, steering, detectors, ladder, ledger."""

    def __init__(self, name: str, guard: Guard, bare: Bare) -> None:
        """Serve requests by `guard`, attached to the model only while it serves."""
        self.name, self.guard, self._bare = name, guard, bare
        parts = [
            *(vector.digest for vector in guard.vectors.values()),
            *(detector.digest for detector in guard.detectors.values()),
            *_readers(guard.policy),
        ]
        self.digest = f"{bare.digest}/{guard.policy.digest}/{'/'.join(parts)}/{bare.steps} steps"

    def __call__(self, asks: Sequence[Ask]) -> list[Answer]:
        """The answers; the model is left as it was.

        Raises:
            SafeGenError: a request ended as an error.
        """
        answers = []
        with self.guard.attach(self._bare.pipeline) as guarded:
            for ask in asks:
                started = time.perf_counter()
                result = guarded.generate(
                    ask.prompt,
                    images=ask.images,
                    seed=ask.seed,
                    sampler=Sampler(self._bare.steps, ask.guidance_scale),
                )
                if result.outcome == Outcome.ERROR:
                    raise failed(self.name, ask.prompt, result.error)
                images = tuple(image.image for image in result.images) or (None,) * ask.images
                answers.append(Answer(result.outcome, images, time.perf_counter() - started))
        return answers


def failed(name: str, prompt: str, error: str) -> SafeGenError:
    """A guard that is out of order shows no image, and would be measured as a perfect one."""
    return SafeGenError(
        f"{name} ended {prompt!r} as an error, which is no answer to measure: {error}",
        "mend what is out of order; a run in the same folder goes on where it stopped",
    )


def _readers(policy: Policy) -> list[str]:
    """The digests of what reads prompts, for a policy names files of weights and holds none."""
    return [str(getattr(classifier, "digest", "")) for classifier in policy.classifiers]

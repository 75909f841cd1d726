"""Requests that wait at the same time are made together, in one call of the pipeline.

While a call runs, others wait; what waits when it ends is the next batch. So nobody waits for a
batch to fill, and an idle service answers at once.
"""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from threading import Event, Lock
from typing import Any

from PIL import Image
from safegen.adapters.adapter import Adapter
from safegen.adapters.diffusers import Sampler
from safegen.adapters.early import EarlyLook

from safegen.errors import SteeringError
from safegen.nouns import Intervention


@dataclass(eq=False)
class _Job:
    """Images that one request waits for; `wake` tells that they are made, or that it is to lead."""

    prompts: Sequence[str]
    seeds: Sequence[int]
    interventions: Sequence[Sequence[Intervention]]
    sampler: Sampler
    negative_prompts: Sequence[str] | None
    early: EarlyLook | None
    images: list[Image.Image | None] = field(default_factory=list)
    error: Exception | None = None
    done: bool = False
    wake: Event = field(default_factory=Event)
    kind: tuple[object, ...] = ()
    """One call of the pipeline can make jobs that are alike in this."""

    def __post_init__(self) -> None:
        at = None if self.early is None else self.early.at
        told = tuple(sorted(self.sampler.as_record().items()))
        self.kind = (self.negative_prompts is None, at, told)


class BatchingAdapter:
    """An adapter that makes up to `most` images of waiting requests in one call of another one.

    Every image has its own seed, interventions and negative prompt; requests with other settings of
    the sampler, or another early look, are made by themselves, and so is a request for more images
    than `most`. If a call fails, each of its requests is made alone, so that none fails for another
    one's sake.
    """

    def __init__(self, adapter: Adapter, most: int) -> None:
        """Batch the calls of `adapter`, which must be called by nobody else; `most` is ≥ 1."""
        self._adapter, self._most = adapter, most
        self.digest, self.vectors = adapter.digest, adapter.vectors
        self.unavailable = adapter.unavailable
        self._waiting: deque[_Job] = deque()
        self._led = False  # whether a thread makes images, or is told to
        self._lock = Lock()  # of both

    def negative_unread(self, sampler: Sampler | None) -> str:
        """As the adapter says."""
        return self._adapter.negative_unread(sampler)

    def detach(self) -> None:
        """Detach the adapter."""
        self._adapter.detach()

    def generate(
        self,
        prompts: Sequence[str],
        seeds: Sequence[int],
        interventions: Sequence[Sequence[Intervention]],
        sampler: Sampler,
        negative_prompts: Sequence[str] | None = None,
        early: EarlyLook | None = None,
    ) -> list[Image.Image | None]:
        """As the adapter does, together with what other threads wait for."""
        mine = _Job(prompts, seeds, interventions, sampler, negative_prompts, early)
        with self._lock:
            self._waiting.append(mine)
            leads, self._led = not self._led, True
        if not leads:
            self._await(mine)
        if not mine.done:  # it leads, and has waited longest
            try:
                self._serve(self._taken())
            finally:
                self._hand_over()
        if mine.error is not None:
            raise mine.error
        return mine.images

    def _await(self, mine: _Job) -> None:
        try:
            mine.wake.wait()
        except BaseException:  # this thread is ended: it makes nobody wait for it
            with self._lock:
                left = mine in self._waiting
                if left:
                    self._waiting.remove(mine)
            if left and mine.wake.is_set():
                self._hand_over()
            raise

    def _hand_over(self) -> None:
        """Let the job lead that has waited longest, if there is one."""
        with self._lock:
            self._led = bool(self._waiting)
            if self._led:
                self._waiting[0].wake.set()

    def _taken(self) -> list[_Job]:
        """The job that has waited longest, and those that go with it."""
        with self._lock:
            first, *others = self._waiting
            taken, images = [first], len(first.prompts)
            for job in others:
                if images + len(job.prompts) <= self._most and job.kind == first.kind:
                    taken.append(job)
                    images += len(job.prompts)
            self._waiting = deque(job for job in self._waiting if job not in taken)
        return taken

    def _serve(self, jobs: Sequence[_Job]) -> None:
        try:
            if len(jobs) == 1 or not self._made_together(jobs):
                for job in jobs:
                    self._made_alone(job)
        finally:
            for job in jobs:
                if not job.done:  # a KeyboardInterrupt of this thread: the others must not hang
                    _ended(
                        job,
                        error=SteeringError(
                            "the call of the pipeline that made this image was ended", "ask again"
                        ),
                    )

    def _made_together(self, jobs: Sequence[_Job]) -> bool:
        try:
            images = self._made(jobs)
        except Exception:  # noqa: BLE001 - made alone, those at fault raise theirs again
            return False
        if len(images) != sum(len(job.prompts) for job in jobs):
            return False  # whose is missing, nobody knows
        for job, mine in zip(jobs, _parted(images, jobs), strict=True):
            _ended(job, mine)
        return True

    def _made_alone(self, job: _Job) -> None:
        try:
            _ended(job, self._made([job]))
        except Exception as error:  # noqa: BLE001 - raised in the thread that asked for it
            _ended(job, error=error)

    def _made(self, jobs: Sequence[_Job]) -> list[Image.Image | None]:
        """One call of the pipeline for jobs that are alike in kind."""
        return self._adapter.generate(
            [prompt for job in jobs for prompt in job.prompts],
            [seed for job in jobs for seed in job.seeds],
            [steers for job in jobs for steers in job.interventions],
            jobs[0].sampler,
            [text for job in jobs for text in job.negative_prompts or ()] or None,
            _together(jobs),
        )


def _ended(
    job: _Job, images: Sequence[Image.Image | None] = (), error: Exception | None = None
) -> None:
    job.images, job.error, job.done = list(images), error, True
    job.wake.set()


def _together(jobs: Sequence[_Job]) -> EarlyLook | None:
    """One early look, in which each request decides about its own images."""
    if (early := jobs[0].early) is None:
        return None

    def stop(pictures: Sequence[Image.Image]) -> list[bool]:
        return [
            stopped
            for job, mine in zip(jobs, _parted(pictures, jobs), strict=True)
            if job.early is not None
            for stopped in job.early.stop(mine)
        ]

    return EarlyLook(early.at, stop)


def _parted(of_all: Sequence[Any], jobs: Sequence[_Job]) -> list[Sequence[Any]]:
    """What belongs to each job, of a list over all images."""
    ends = [0]
    for job in jobs:
        ends.append(ends[-1] + len(job.prompts))
    return [of_all[start:end] for start, end in pairwise(ends)]

"""Requests that wait at the same time are made together, in one call of the pipeline.

While a call runs, others wait; what waits when it ends is the next batch. So nobody waits for a
batch to fill, and an idle service answers at once.

The pipeline is called in a thread of the batches' own. So what is raised there comes of the
pipeline's work, and what ends the thread of a request (a deadline, a KeyboardInterrupt) ends that
request and no other.
"""

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextvars import Context, copy_context
from dataclasses import dataclass, field
from itertools import pairwise
from threading import Event, Lock
from traceback import format_tb
from typing import Any

from PIL import Image

from safegen.adapters.adapter import Adapter, Note
from safegen.adapters.early import EarlyLook
from safegen.adapters.sampler import Sampler
from safegen.diagnostics import Diagnostics
from safegen.nouns import Intervention

_log = Diagnostics("safegen")


@dataclass(eq=False)
class _Job:
    """Images that one request waits for, until they are made or there is an error."""

    prompts: Sequence[str]
    seeds: Sequence[int]
    interventions: Sequence[Sequence[Intervention]]
    sampler: Sampler
    negative_prompts: Sequence[str] | None
    early: EarlyLook | None
    note: Note | None
    images: list[Image.Image | None] = field(default_factory=list)
    error: BaseException | None = None
    ended: Event = field(default_factory=Event)
    left: bool = False
    """Whether nobody waits for it any more."""
    context: Context = field(default_factory=copy_context)
    """Of the request, for what is called on its behalf in another thread."""
    kind: tuple[object, ...] = ()
    """One call of the pipeline can make jobs that are alike in this."""

    def __post_init__(self) -> None:
        at = None if self.early is None else self.early.at
        told = sorted(self.sampler.as_record().items())
        kinds = [type(self.sampler.more.get(name)) for name, _ in told]  # 1 is no True
        self.kind = (self.negative_prompts is None, at, tuple(told), tuple(kinds))

    def end(
        self, images: Sequence[Image.Image | None] = (), error: BaseException | None = None
    ) -> None:
        """Tell who waits for it what came of it."""
        self.images, self.error = list(images), error
        self.ended.set()


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
        self._waiting: list[_Job] = []
        self._lock = Lock()  # of what waits
        self._thread = ThreadPoolExecutor(1, "safegen-batches")

    def negative_unread(self, sampler: Sampler | None) -> str:
        """As the adapter says."""
        return self._adapter.negative_unread(sampler)

    def edits(self, sampler: Sampler) -> bool:
        """As the adapter says."""
        return self._adapter.edits(sampler)

    def detach(self) -> None:
        """Detach the adapter, and end the thread; from within a call it cannot be waited for."""
        self._thread.shutdown(wait=False)
        self._adapter.detach()

    def generate(
        self,
        prompts: Sequence[str],
        seeds: Sequence[int],
        interventions: Sequence[Sequence[Intervention]],
        sampler: Sampler,
        negative_prompts: Sequence[str] | None = None,
        early: EarlyLook | None = None,
        note: Note | None = None,
    ) -> list[Image.Image | None]:
        """As the adapter does, together with what other threads wait for."""
        mine = _Job(prompts, seeds, interventions, sampler, negative_prompts, early, note)
        try:
            with self._lock:
                self._waiting.append(mine)
            self._thread.submit(self._serve)  # as often as there are jobs, so that none is left
            mine.ended.wait()
        except BaseException:  # this thread is ended: what has not begun is not made
            mine.left = True
            raise
        if mine.error is not None:
            raise mine.error
        return mine.images

    def _serve(self) -> None:
        """End the job that has waited longest, and those that go with it."""
        with self._lock:
            self._waiting = [job for job in self._waiting if not job.left]
            if not self._waiting:
                return  # they were served along with earlier ones
            jobs = [self._waiting.pop(0)]
        try:
            jobs += self._taken_with(jobs[0])
            together = len(jobs) > 1 and self._made_together(jobs)
        except BaseException as failure:  # noqa: BLE001 - those at fault raise theirs again alone
            together = False
            where = "".join(format_tb(failure.__traceback__))  # its words may quote a prompt
            kind = type(failure).__name__
            _log.warning("batch failed", requests=len(jobs), error=kind, traceback=where)
        if not together:
            for job in jobs:
                self._make_alone(job)

    def _taken_with(self, first: _Job) -> list[_Job]:
        """The jobs that wait and can be made in one call with this one."""
        taken, images = [], len(first.prompts)
        with self._lock:
            for job in self._waiting:
                if images + len(job.prompts) <= self._most and job.kind == first.kind:
                    taken.append(job)
                    images += len(job.prompts)
            self._waiting = [job for job in self._waiting if job not in taken]
        return taken

    def _made_together(self, jobs: Sequence[_Job]) -> bool:
        images = self._made(jobs)
        if len(images) != sum(len(job.prompts) for job in jobs):
            return False  # whose is missing, nobody knows
        for job, mine in zip(jobs, _parted(images, jobs), strict=True):
            job.end(mine)
        return True

    def _make_alone(self, job: _Job) -> None:
        try:
            job.end(() if job.left else self._made([job]))
        except BaseException as error:  # noqa: BLE001 - raised in the thread that asked for it
            job.end(error=error)

    def _made(self, jobs: Sequence[_Job]) -> list[Image.Image | None]:
        """One call of the pipeline for jobs that are alike in kind."""

        def note(settings: Mapping[str, str]) -> None:
            for job in jobs:
                if job.note is not None:
                    job.note(settings)

        run = jobs[0].context.copy().run
        return run(
            self._adapter.generate,
            [prompt for job in jobs for prompt in job.prompts],
            [seed for job in jobs for seed in job.seeds],
            [steers for job in jobs for steers in job.interventions],
            jobs[0].sampler,
            [text for job in jobs for text in job.negative_prompts or ()] or None,
            _together(jobs),
            note,
        )


def _together(jobs: Sequence[_Job]) -> EarlyLook | None:
    """One early look, in which each request decides about its own images."""
    if (early := jobs[0].early) is None:
        return None

    def stop(pictures: Sequence[Image.Image]) -> list[bool]:
        return [
            stopped
            for job, mine in zip(jobs, _parted(pictures, jobs), strict=True)
            if job.early is not None
            for stopped in job.context.copy().run(job.early.stop, mine)
        ]

    return EarlyLook(early.at, stop)


def _parted(of_all: Sequence[Any], jobs: Sequence[_Job]) -> list[Sequence[Any]]:
    """What belongs to each job, of a list over all images."""
    ends = [0]
    for job in jobs:
        ends.append(ends[-1] + len(job.prompts))
    return [of_all[start:end] for start, end in pairwise(ends)]

"""Waiting requests in one call: each gets its own images, and nobody fails for another."""

import asyncio
import signal
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextvars import ContextVar
from pathlib import Path
from threading import Event, main_thread
from time import sleep
from typing import Any

import numpy as np
import pytest
import structlog
from PIL import Image

from safegen.adapters.adapter import Adapter
from safegen.adapters.batches import BatchingAdapter
from safegen.adapters.diffusers import DiffusersAdapter
from safegen.adapters.early import EarlyLook
from safegen.adapters.sampler import Sampler
from safegen.audit.ledger import read
from safegen.concepts.store import VectorStore
from safegen.errors import InputError, SteeringError
from safegen.guard import Guard
from safegen.nouns import Intervention, Outcome, Scores
from safegen.policy import Policy
from safegen.reference import load_pipeline

FEW = Sampler(steps=3, guidance_scale=5.0)
WOMAN = (Intervention(concept="woman"),)


class Held:
    """The reference model's adapter, whose first call waits until it is let go; it notes all."""

    def __init__(self) -> None:
        store = VectorStore("reference")
        self.inner = DiffusersAdapter(load_pipeline(), {"woman": store["woman"]})
        self.digest, self.vectors = self.inner.digest, self.inner.vectors
        self.unavailable = self.inner.unavailable
        self.calls: list[list[str]] = []
        self.begun, self.go = Event(), Event()
        self.poison: dict[str, BaseException] = {}

    def negative_unread(self, sampler: Sampler | None) -> str:
        """As the adapter says."""
        return self.inner.negative_unread(sampler)

    def edits(self, sampler: Sampler) -> bool:
        """As the adapter says."""
        return self.inner.edits(sampler)

    def generate(self, prompts: Sequence[str], *given: Any) -> list[Image.Image | None]:
        """As the adapter does, or the error of a prompt that is poisoned."""
        self.calls.append(list(prompts))
        self.begun.set()
        assert self.go.wait(60)
        for prompt in prompts:
            if prompt in self.poison:
                raise self.poison[prompt]
        return self.inner.generate(prompts, *given)

    def detach(self) -> None:
        """Detach."""
        self.inner.detach()


Ask = Callable[[BatchingAdapter], list[Image.Image | None]]


def ask(prompt: str, seed: int = 0, steers: Any = (), **more: Any) -> Ask:
    """A request for one image."""
    return lambda adapter: adapter.generate([prompt], [seed], [steers], **{"sampler": FEW} | more)


def at_once(held: Held, most: int, *asks: Ask) -> list[Future[list[Image.Image | None]]]:
    """The requests, all waiting while the first one's call runs, in this order."""
    adapter: Adapter = held
    batching = BatchingAdapter(adapter, most)
    with ThreadPoolExecutor(len(asks)) as pool:
        first = pool.submit(asks[0], batching)
        assert held.begun.wait(60)
        others = []
        for number, each in enumerate(asks[1:], 1):
            others.append(pool.submit(each, batching))
            waiting(batching, number)
        held.go.set()
    return [first, *others]


def waiting(batching: BatchingAdapter, jobs: int) -> None:
    """Return once so many jobs wait."""
    while len(batching._waiting) < jobs:
        sleep(0.001)


@pytest.fixture
def held() -> Any:
    """One adapter."""
    held = Held()
    yield held
    held.detach()


def pixels(images: Sequence[Image.Image | None]) -> np.ndarray[Any, Any]:
    """One image's, as numbers."""
    (image,) = images
    assert image is not None
    return np.asarray(image, dtype=np.int16)


def test_unlike_requests_that_wait_are_made_in_one_call(held: Held) -> None:
    """Each with its own prompt, seed and steering, as if it were alone up to the last bits."""
    asks = [
        ask("a photo of a cat"),
        ask("a photo of a teacher", 1, WOMAN),
        ask("a photo of a teacher", 1),
        ask("a photo of a pilot", 2, WOMAN),
    ]
    found = [each.result() for each in at_once(held, 8, *asks)]

    assert [len(call) for call in held.calls] == [1, 3]
    alone = [each(BatchingAdapter(held, 1)) for each in asks]
    for one, other in zip(found, alone, strict=True):
        assert np.abs(pixels(one) - pixels(other)).max() <= 2
    assert np.abs(pixels(found[1]) - pixels(found[2])).max() > 20
    together = held.inner.generate(held.calls[1], [1, 1, 2], [WOMAN, (), WOMAN], FEW)
    for one, image in zip(found[1:], together, strict=True):
        assert np.array_equal(pixels(one), pixels([image]))


def test_what_cannot_go_together_is_made_apart(held: Held) -> None:
    """No more images than allowed, one sampler, and negative prompts or none; the oldest first."""
    finer = Sampler(steps=4, guidance_scale=5.0)
    futures = at_once(
        held,
        2,
        ask("a photo of a cat"),
        ask("a photo of a dog"),
        ask("a photo of a pilot", sampler=finer),
        ask("a photo of a lamp"),
        ask("a photo of a farmer", negative_prompts=["a knife"]),
        ask("a photo of a cook"),
    )

    assert all(len(each.result()) == 1 for each in futures)
    assert held.calls == [
        ["a photo of a cat"],
        ["a photo of a dog", "a photo of a lamp"],
        ["a photo of a pilot"],
        ["a photo of a farmer"],
        ["a photo of a cook"],
    ]


def test_more_images_than_a_batch_are_made_by_themselves(held: Held) -> None:
    """A request is not torn apart."""
    three = ["a photo of a cat"] * 3
    futures = at_once(
        held,
        2,
        ask("a photo of a dog"),
        lambda adapter: adapter.generate(three, [1, 2, 3], [()] * 3, FEW),
        ask("a photo of a lamp"),
    )

    assert [len(each.result()) for each in futures] == [1, 3, 1]
    assert [len(call) for call in held.calls] == [1, 3, 1]


def test_a_request_that_fails_fails_alone(held: Held) -> None:
    """Those that were in the same call are made anew."""
    held.poison["a photo of a lamp"] = SteeringError("not this one", "ask for another")
    fine, bad, other = at_once(
        held, 8, ask("a photo of a cat"), ask("a photo of a lamp"), ask("a photo of a dog")
    )

    with pytest.raises(SteeringError, match="not this one"):
        bad.result()
    assert len(fine.result()) == len(other.result()) == 1


def test_a_thread_that_is_ended_lets_nobody_hang(held: Held) -> None:
    """What ends a thread, raised by the pipeline's work, is for the request at fault alone."""
    held.poison["a photo of a lamp"] = KeyboardInterrupt()
    _, lamp, dog = at_once(
        held, 2, ask("a photo of a cat"), ask("a photo of a lamp"), ask("a photo of a dog")
    )

    assert isinstance(lamp.exception(60), KeyboardInterrupt)
    assert len(dog.result(60)) == 1
    assert len(ask("a photo of a pilot")(BatchingAdapter(held, 2))) == 1


class DeadlineError(Exception):
    """What the handler of a signal raises in the main thread."""


@pytest.fixture
def deadline() -> Iterator[Callable[[], None]]:
    """Raises a DeadlineError in the main thread, whatever that does."""

    def over(*_: object) -> None:
        raise DeadlineError

    before = signal.signal(signal.SIGUSR1, over)
    yield lambda: signal.pthread_kill(main_thread().ident or 0, signal.SIGUSR1)
    signal.signal(signal.SIGUSR1, before)


def test_a_deadline_while_a_batch_is_made(held: Held, deadline: Callable[[], None]) -> None:
    """It ends the request whose thread it strikes, at once, and the batch goes on."""
    batching = BatchingAdapter(held, 8)
    held.go.set()
    make, begun, go = held.inner.generate, Event(), Event()

    def slow(prompts: Sequence[str], *given: Any) -> list[Image.Image | None]:
        if len(prompts) == 1:
            waiting(batching, 3)
        else:
            begun.set()
            assert go.wait(60)
        return make(prompts, *given)

    held.inner.generate = slow  # type: ignore[method-assign]

    def others() -> list[Image.Image | None]:
        waiting(batching, 1)  # the main thread's, which has waited longest
        two = [pool.submit(ask(f"a photo of a {each}"), batching) for each in ("dog", "lamp")]
        assert begun.wait(60)
        deadline()
        return [image for each in two for image in each.result(60)]

    with ThreadPoolExecutor(4) as pool:
        cat = pool.submit(ask("a photo of a cat"), batching)
        assert held.begun.wait(60)
        served = pool.submit(others)
        with pytest.raises(DeadlineError):
            ask("a photo of a pilot")(batching)
        go.set()

        assert len(served.result(60)) == 2
        assert len(cat.result(60)) == 1
    assert [len(call) for call in held.calls] == [1, 3]


def test_nothing_that_fails_while_a_batch_is_put_together_stops_the_service(held: Held) -> None:
    """Who cannot be compared with others fails alone, and those behind are served."""
    wrong: Any = None
    cat, dog, bad, lamp = at_once(
        held,
        8,
        ask("a photo of a cat"),
        ask("a photo of a dog"),
        lambda adapter: adapter.generate(wrong, [0], [()], FEW),
        ask("a photo of a lamp"),
    )

    assert isinstance(bad.exception(60), TypeError)
    assert len(cat.result(60)) == len(dog.result(60)) == len(lamp.result(60)) == 1


def test_a_batch_that_fails_is_told_of(held: Held) -> None:
    """Without words of the failure, which may quote a prompt."""
    held.poison["a photo of a lamp"] = ValueError("a photo of a lamp")
    asks = [ask(f"a photo of a {each}") for each in ("cat", "lamp", "dog")]
    with structlog.testing.capture_logs() as told:
        at_once(held, 8, *asks)[-1].result(60)

    (failed,) = told
    assert (failed["event"], failed["requests"], failed["error"]) == (
        "batch failed",
        2,
        "ValueError",
    )
    assert "lamp" not in failed["traceback"]


def test_numbers_that_are_equal_are_not_the_same_argument(held: Held) -> None:
    """One request is not given what another asked for: True is 1, and yet another thing."""
    held.inner.generate = lambda prompts, *_: [None] * len(prompts)  # type: ignore[method-assign]
    first, *others = (Sampler(3, 5.0, {"width": width}) for width in (64, 64.0, True, 1))
    at_once(held, 8, *(ask("a photo of a cat", sampler=each) for each in (first, *others, first)))

    assert [len(call) for call in held.calls] == [1, 1, 1, 1, 1]


def test_looks_at_different_times_are_not_in_one_call(held: Held) -> None:
    """Each request's own is at the time that its policy says."""
    held.inner.generate = lambda prompts, *_: [None] * len(prompts)  # type: ignore[method-assign]
    looks = (EarlyLook(at, lambda pictures: [True] * len(pictures)) for at in (0.2, 0.8, 0.2))
    asks = [ask(str(number), early=look) for number, look in enumerate(looks, 1)]
    at_once(held, 8, ask("0"), *asks)

    assert held.calls == [["0"], ["1", "3"], ["2"]]


def test_the_pipeline_is_called_in_the_context_of_a_request(held: Held) -> None:
    """Context variables are those of a request that is in the call; of an early look, its own."""
    request: ContextVar[str] = ContextVar("request", default="")
    seen: list[str] = []

    def asking(name: str) -> Ask:
        def stop(pictures: Sequence[Image.Image]) -> list[bool]:
            seen.append(request.get())
            return [True] * len(pictures)

        def made(adapter: BatchingAdapter) -> list[Image.Image | None]:
            request.set(name)
            return ask("a photo of a cat", early=EarlyLook(0.5, stop))(adapter)

        return made

    at_once(held, 8, ask("a photo of a dog"), asking("one"), asking("two"))

    assert seen == ["one", "two"]


@pytest.mark.parametrize("lamps", [0, 2])
def test_an_image_too_few_or_too_many_is_nobody_elses(held: Held, lamps: int) -> None:
    """Where the pipeline makes a batch of another number, each request is made alone."""
    make = held.inner.generate

    def miscounting(prompts: Sequence[str], *given: Any) -> list[Image.Image | None]:
        images = zip(make(prompts, *given), prompts, strict=True)
        return [i for i, prompt in images for _ in range(lamps if "lamp" in prompt else 1)]

    held.inner.generate = miscounting  # type: ignore[method-assign]
    _, dog, lamp, pilot = at_once(
        held, 8, *(ask(f"a photo of a {each}") for each in ("cat", "dog", "lamp", "pilot"))
    )
    names = ("dog", "pilot")
    alone = {each: ask(f"a photo of a {each}")(BatchingAdapter(held, 1)) for each in names}

    assert len(lamp.result()) == lamps  # which the guard takes for an error
    assert np.array_equal(pixels(dog.result()), pixels(alone["dog"]))
    assert np.array_equal(pixels(pilot.result()), pixels(alone["pilot"]))


def test_a_request_returns_when_its_images_are_made(held: Held) -> None:
    """Others that keep asking do not hold it up, and what waits is the whole next batch."""
    held.go.set()
    batching = BatchingAdapter(held, 4)

    def asking(number: int) -> None:
        for _ in range(4):
            ask(f"a photo of a cat {number}")(batching)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(asking, range(8)))

    assert sum(map(len, held.calls)) == 32
    assert len(held.calls) <= 12  # eight full ones, the first, and what was left at the end


def test_a_waiting_thread_that_is_ended_hands_on(held: Held, deadline: Callable[[], None]) -> None:
    """Interrupted while it waits, it leaves the queue, and the next one is served."""
    batching = BatchingAdapter(held, 1)

    def lamp() -> list[Image.Image | None]:
        waiting(batching, 1)
        lamp = pool.submit(ask("a photo of a lamp"), batching)
        waiting(batching, 2)
        deadline()
        return lamp.result(60)

    with ThreadPoolExecutor(3) as pool:
        cat = pool.submit(ask("a photo of a cat"), batching)
        assert held.begun.wait(60)
        other = pool.submit(lamp)
        with pytest.raises(DeadlineError):
            ask("a photo of a dog")(batching)
        held.go.set()

        assert len(cat.result(60)) == len(other.result(60)) == 1
    assert held.calls == [["a photo of a cat"], ["a photo of a lamp"]]


def test_each_request_looks_early_at_its_own_images(held: Held) -> None:
    """One stops its image, the other lets its own go on."""
    seen: dict[str, int] = {}

    def early(name: str, stops: bool) -> EarlyLook:
        def stop(pictures: Sequence[Image.Image]) -> list[bool]:
            seen[name] = len(pictures)
            return [stops] * len(pictures)

        return EarlyLook(0.5, stop)

    _, stopped, going = at_once(
        held,
        8,
        ask("a photo of a cat"),
        ask("a photo of a dog", early=early("dog", stops=True)),
        ask("a photo of a lamp", early=early("lamp", stops=False)),
    )

    assert (stopped.result(), len(held.calls)) == ([None], 2)
    assert going.result() != [None]
    assert seen == {"dog": 1, "lamp": 1}


def test_a_service_with_an_event_loop(tmp_path: Path) -> None:
    """Requests that come together are served together, each with its own record."""
    request: ContextVar[str] = ContextVar("request", default="")
    seen = set()

    def noting(prompts: Sequence[str]) -> list[Scores]:
        seen.add((request.get(), prompts[0]))
        return [Scores() for _ in prompts]

    async def serve(guarded: Any, occupation: str) -> Any:
        request.set(occupation)
        prompt = f"a photo of a {occupation}"
        return await guarded.generate_async(prompt, seed=0, sampler=FEW, images=2)

    async def all_at_once(guarded: Any) -> list[Any]:
        return await asyncio.gather(*(serve(guarded, each) for each in names))

    names = ["teacher", "pilot", "farmer", "cook", "guard"]
    policy = Policy.load("fair-occupations", classifiers=[noting])
    with Guard.from_policy("fair-occupations", ledger=tmp_path / "ledger") as guard:
        guard.use(policy)
        with guard.attach(load_pipeline(), batch=6) as guarded:
            results = asyncio.run(all_at_once(guarded))

    assert {each.outcome for each in results} == {Outcome.STEERED}
    assert [len(each.images) for each in results] == [2] * 5
    assert seen - {("", "")} == {(name, f"a photo of a {name}") for name in names}
    assert {record.id for _, record in read(tmp_path / "ledger")} == {
        each.record_id for each in results
    }


def test_no_batch_at_all(tmp_path: Path) -> None:
    """A number that makes no sense is refused before anything is attached."""
    with Guard.from_policy("default", ledger=tmp_path / "ledger") as guard:
        with pytest.raises(InputError, match="at least 1, got 0"):
            guard.attach(load_pipeline(), batch=0)


def test_a_fork_is_told_to_attach_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its threads stayed behind, so that it would wait for ever."""
    with Guard.from_policy("default", ledger=tmp_path / "ledger") as guard:
        with guard.attach(load_pipeline()) as guarded:
            with monkeypatch.context() as forked:
                forked.setattr("os.getpid", lambda: -1)
                with pytest.raises(InputError, match="of which this one is a fork"):
                    guarded.generate("a photo of a cat", sampler=FEW)

"""What a service does to a guard: wrong arguments, changing pictures, threads, new policies."""

import asyncio
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event, Thread
from time import sleep
from typing import Any

import pytest
import structlog
import torch
from PIL import Image
from serving import FEW, HEAD, STEER, guard, pixels, policy

from safegen.adapters.sampler import Sampler
from safegen.audit.ledger import Ledger, read
from safegen.errors import InputError
from safegen.guard import Guard
from safegen.guarded import GuardedPipeline
from safegen.nouns import Context, Finding, Outcome, Scores
from safegen.pixels import pixels_digest
from safegen.policy import Policy
from safegen.testing import tiny_pipeline

REQUEST_TEXTS = ("tenant", "user", "region", "age_band", "surface")


def said(name: str, text: str) -> dict[str, Any]:
    """What a request is given beside its prompt: one text."""
    return {name: text} if name == "bypass" else {"context": Context(**{name: text})}


@pytest.fixture
def ledger(tmp_path: Path) -> Path:
    """The folder of a ledger."""
    return tmp_path / "ledger"


class TestWhatIsAsked:
    """Mistakes in a request are told before it is served, and nothing is left unrecorded."""

    @pytest.mark.parametrize(
        "wrong",
        [
            {"prompt": ["a cook", "a pilot"]},
            {"prompt": b"a cook"},
            {"prompt": None},
            {"context": {"tenant": "acme"}},
            {"sampler": {"steps": 3}},
            {"bypass": True},
        ],
    )
    def test_types(self, ledger: Path, wrong: dict[str, Any]) -> None:
        """Another type is an error that says which it is, not one from somewhere within."""
        asked = {"prompt": "a cook", "sampler": FEW} | wrong
        with (
            guard(ledger, policy(STEER)) as made,
            made.attach(tiny_pipeline(), other_model=True) as guarded,
            pytest.raises(InputError, match=r"got a (list|bytes|NoneType|dict|bool)"),
        ):
            guarded.generate(**asked)
        assert list(read(ledger)) == []

    @pytest.mark.parametrize(
        "wrong",
        [
            {"steps": 0},
            {"steps": 2**60},
            {"guidance_scale": float("nan")},
            {"more": {"strength": float("inf")}},
        ],
    )
    def test_numbers_that_no_record_holds(self, wrong: dict[str, Any]) -> None:
        """They are refused where they are given."""
        with pytest.raises(InputError, match="expected"):
            Sampler(**wrong)

    @pytest.mark.parametrize("name", ["tenant", "user", "bypass"])
    def test_half_a_surrogate_pair(self, ledger: Path, name: str) -> None:
        """So is text that no record holds."""
        with (
            guard(ledger, policy(STEER)) as made,
            made.attach(tiny_pipeline(), other_model=True) as guarded,
            pytest.raises(InputError, match=f"expected text as {name}"),
        ):
            guarded.generate("a cook", sampler=FEW, **said(name, "\ud800"))

    @pytest.mark.parametrize("name", [*REQUEST_TEXTS, "bypass"])
    def test_text_that_would_fill_a_record(self, ledger: Path, name: str) -> None:
        """Its length is bounded before an image is made whose record could not be written."""
        longest, given = "x" * 2000, Sampler(1)
        with (
            guard(ledger, policy(STEER)) as made,
            made.attach(tiny_pipeline(), other_model=True) as guarded,
        ):
            with pytest.raises(InputError, match=f"at most 2000 characters as {name}, got 2001"):
                guarded.generate("a cook", sampler=given, **said(name, f"{longest}x"))
            assert guarded.generate("a cook", sampler=given, **said(name, longest)).record_id
        assert len(list(read(ledger))) == 1

    def test_a_picture_is_taken_as_it_is(self, tmp_path: Path) -> None:
        """Whatever its file or the caller does to it afterwards; half a file is refused."""
        Image.new("RGB", (64, 64), "red").save(tmp_path / "red.png")
        with Image.open(tmp_path / "red.png") as opened:
            sampler = Sampler(3, 5.0, {"image": opened})
        told = sampler.as_record()["image"]
        sampler_of_mine = Sampler(3, 5.0, {"image": (mine := Image.new("RGB", (64, 64), "red"))})
        mine.paste("blue", (0, 0, 64, 64))
        whole = (tmp_path / "red.png").read_bytes()
        (tmp_path / "half.png").write_bytes(whole[: len(whole) // 2])

        assert sampler.more["image"].getpixel((0, 0)) == (255, 0, 0)
        assert told == f"sha256:{pixels_digest(sampler.more['image'])}"
        assert sampler_of_mine.as_record()["image"] == told
        assert sampler_of_mine.more["image"].getpixel((0, 0)) == (255, 0, 0)
        with (
            pytest.raises(InputError, match="'image' cannot be read"),
            Image.open(tmp_path / "half.png") as half,
        ):
            Sampler(3, 5.0, {"image": half})


def test_a_compiled_form_put_in_later_is_the_same_model(ledger: Path) -> None:
    """`pipeline.unet = torch.compile(pipeline.unet)` after attaching is steered as before."""
    pipeline = tiny_pipeline()
    with guard(ledger, policy(STEER)) as made:
        with made.attach(pipeline, other_model=True) as guarded:
            eager = guarded.generate("a cook", seed=1, sampler=FEW)
            pipeline.unet = torch.compile(pipeline.unet, backend="eager")
            compiled = guarded.generate("a cook", seed=1, sampler=FEW)

    assert (compiled.outcome, compiled.error) == (Outcome.STEERED, "")
    assert pixels(compiled) == pixels(eager)


def test_detaching_waits_for_the_request_that_runs(
    ledger: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It ends as it began; the next one is told."""
    pipeline, begun, going = tiny_pipeline(), Event(), Event()
    step = pipeline.scheduler.step

    def slow(*args: Any, **kwargs: Any) -> Any:
        begun.set()
        assert going.wait(60)
        return step(*args, **kwargs)

    pipeline.scheduler.step = slow
    with guard(ledger, policy(STEER)) as made, ThreadPoolExecutor(2) as pool:
        guarded = made.attach(pipeline, other_model=True)
        wait = guarded._requests._changed.wait

        def waiting(timeout: float | None = None) -> bool:
            going.set()  # by nothing but that somebody waits for it
            return wait(timeout)

        monkeypatch.setattr(guarded._requests._changed, "wait", waiting)
        running = pool.submit(guarded.generate, "a cook", seed=1, sampler=FEW)
        assert begun.wait(60)
        pool.submit(guarded.detach).result(60)

        assert running.result(60).outcome == Outcome.STEERED
        assert "detached" in guarded.generate("a cook", seed=1, sampler=FEW).error


@pytest.mark.parametrize("batch", [1, 4])
def test_a_request_whose_client_has_left_is_on_record(ledger: Path, batch: int) -> None:
    """Detaching waits for it, and refuses those behind it, before the ledger is closed."""
    pipeline, go, threads = tiny_pipeline(), Event(), 2 * batch
    step = pipeline.scheduler.step

    def slow(*args: Any, **kwargs: Any) -> Any:
        assert go.wait(60)
        return step(*args, **kwargs)

    def letting_go(guarded: GuardedPipeline) -> None:
        while not guarded._requests._closed:
            sleep(0.001)
        go.set()

    async def clients() -> None:
        with guard(ledger, policy(STEER)) as made:
            with made.attach(pipeline, other_model=True, batch=batch) as guarded:
                asked = [
                    asyncio.create_task(guarded.generate_async("a cook", seed=seed, sampler=FEW))
                    for seed in range(2 * threads)
                ]
                while len(guarded._requests._pieces) < threads:
                    await asyncio.sleep(0.001)
                for each in asked[:threads]:
                    each.cancel()
                letting = Thread(target=letting_go, args=[guarded])
                letting.start()
            letting.join()
            late = await guarded.generate_async("a cook", sampler=FEW)
            behind = await asyncio.gather(*asked[threads:])
        assert all("detached" in each.error for each in (*behind, late))

    pipeline.scheduler.step = slow
    asyncio.run(clients())

    outcomes = Counter(record.outcome for _, record in read(ledger))
    assert outcomes == {Outcome.STEERED: threads, Outcome.ERROR: threads + 1}


def test_a_detector_that_hangs_is_given_nothing_by_the_next_policy_either(ledger: Path) -> None:
    """A new version of the policy does not forget it."""
    gate, calls = Event(), []

    class Hanging:
        name, digest, labels = "slow", "sha256:test", ("weapon",)

        def __call__(self, images: Sequence[Image.Image]) -> list[list[Finding]]:
            calls.append(len(images))
            assert gate.wait(60)
            return [[] for _ in images]

    check = "check: [{detector: slow, label: weapon, threshold: 0.5}]"
    rule = f"rules: [{{id: all, when: 'true', then: {{{check}}}}}]\n"
    text = f"{HEAD}detectors: {{slow: {{timeout: 0.05}}}}\n{rule}"
    versions = [Policy(f"{text}# {number}\n") for number in range(3)]
    with Guard(versions[0], {}, [Hanging()], Ledger.open(ledger)) as made:
        with made.attach(tiny_pipeline(), other_model=True) as guarded:
            errors = []
            for version in versions:
                made.use(version)
                errors.append(guarded.generate("a cook", sampler=FEW).error)
            gate.set()

    assert calls == [1]
    assert "took longer" in errors[0]
    assert all("has not come back" in each for each in errors[1:])


def test_a_request_ends_under_the_policy_that_it_began_under(ledger: Path) -> None:
    """Another that comes into force meanwhile would not have its detector look."""
    late: list[Policy] = []

    class Sees:
        digest, labels = "sha256:test", ("weapon",)

        def __init__(self, name: str, score: float) -> None:
            self.name, self.score = name, score

        def __call__(self, images: Sequence[Image.Image]) -> list[list[Finding]]:
            seen = {"detector": self.name, "detector_digest": self.digest, "label": "weapon"}
            return [[Finding(**seen, score=self.score)] for _ in images]

    def slow(prompts: Sequence[str]) -> list[Scores]:
        for each in late:
            made.use(each)
        return [Scores() for _ in prompts]

    check = "check: [{detector: dear, label: weapon, threshold: 0.5}]"
    text = f"{HEAD}rules: [{{id: all, when: 'true', then: {{{check}}}}}]\n"
    band = "detectors: {dear: {when: {detector: cheap, label: weapon, between: [0.9, 1]}}}\n"
    begun = Policy(text, classifiers=[slow])
    with Guard(begun, {}, [Sees("cheap", 0.0), Sees("dear", 1.0)], Ledger.open(ledger)) as made:
        with made.attach(tiny_pipeline(), other_model=True) as guarded:
            late.append(Policy(text + band))
            result = guarded.generate("a cook", sampler=FEW)

    assert made.policy is late[0]
    assert result.decision is not None
    assert result.decision.policy_digest == begun.digest
    assert result.outcome == Outcome.BLOCKED


def test_diagnostics_that_cannot_be_written_end_no_request(ledger: Path, tmp_path: Path) -> None:
    """A closed stream loses them; the record and the outcome stay."""
    with (tmp_path / "log").open("w") as closed:
        before = structlog.get_config()["logger_factory"]
        structlog.configure(logger_factory=structlog.PrintLoggerFactory(closed))
    try:
        with guard(ledger, policy(STEER)) as made:
            guarded = made.attach(tiny_pipeline(), other_model=True)
            guarded.detach()
            result = guarded.generate("a cook", sampler=FEW)
    finally:
        structlog.configure(logger_factory=before)

    assert result.outcome == Outcome.ERROR
    assert [record.id for _, record in read(ledger)] == [result.record_id]

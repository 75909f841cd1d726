"""What ends a request in its middle: it is in the ledger all the same, and the log says why."""

import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from importlib import metadata
from pathlib import Path
from threading import Event
from time import sleep
from typing import Any

import pytest
import structlog
from PIL import Image
from serving import FEW, HEAD

from safegen import diagnostics
from safegen.audit.ledger import Ledger, read
from safegen.guard import Guard
from safegen.nouns import Context, Finding, Outcome, Record
from safegen.policy import Policy
from safegen.testing import tiny_pipeline

CHECK = """
rules:
  - {id: all, when: 'true', then: {check: [{detector: mine, label: bad, threshold: 0.5}]}}
"""
LONG = 17_000_000  # characters; no line of a ledger holds so many


class Mine:
    """A detector that does what it is told."""

    name, labels, digest = "mine", ("bad",), "sha256:d0"

    def __init__(self, does: Callable[[], Any]) -> None:
        self.does = does

    def __call__(self, images: Sequence[Image.Image]) -> Sequence[Sequence[Finding]]:
        """As it is told."""
        return [self.does() or [] for _ in images]


def raising(error: BaseException) -> Callable[[], Any]:
    """What raises this."""

    def does() -> Any:
        raise error

    return does


def failing(text: str) -> Callable[[], Any]:
    """What answers that it could not tell, in these words."""
    told = Finding(detector="mine", detector_digest="sha256:d0", label="bad", score=1, error=text)
    return lambda: [told]


def guard(ledger: Path, does: Callable[[], Any], more: str = "") -> Guard:
    """A guard that asks this detector about every image."""
    policy = Policy(f"{HEAD}{more}{CHECK}")
    return Guard(policy, {}, [Mine(does)], Ledger.open(ledger))


def records(ledger: Path) -> list[Record]:
    """Those of requests."""
    return [record for _, record in read(ledger)]


@pytest.mark.parametrize("more", ["", "detectors: {mine: {timeout: 60}}\n"])
@pytest.mark.parametrize("stop", [KeyboardInterrupt(), SystemExit(3)])
def test_an_interrupt_is_recorded_and_raised(
    tmp_path: Path, stop: BaseException, more: str
) -> None:
    """Ctrl-C, or a worker that is told to end: whoever reads the ledger sees the request."""
    with (
        guard(tmp_path, raising(stop), more) as made,
        made.attach(tiny_pipeline(), other_model=True) as guarded,
    ):
        with pytest.raises(type(stop)):
            guarded.generate("a cook", sampler=FEW)
        made.detectors["mine"].does = list  # type: ignore[attr-defined]
        assert guarded.generate("a cook", sampler=FEW).outcome == Outcome.ALLOWED

    interrupted, after = records(tmp_path)
    assert (interrupted.outcome, interrupted.images) == (Outcome.ERROR, ())
    assert interrupted.error.startswith(type(stop).__name__)
    assert after.outcome == Outcome.ALLOWED


@pytest.mark.parametrize(
    "does",
    [
        raising(ValueError("\ud800")),
        raising(ValueError("x" * LONG)),
        failing("x" * LONG),
        lambda: ["x" * LONG],
    ],
)
def test_no_words_of_a_detector_keep_a_record_away(tmp_path: Path, does: Any) -> None:
    """Half a surrogate pair is replaced, a novel is cut."""
    with (
        guard(tmp_path, does) as made,
        made.attach(tiny_pipeline(), other_model=True) as guarded,
    ):
        result = guarded.generate("a cook", sampler=FEW)

    (record,) = records(tmp_path)
    assert (result.outcome, record.outcome) == (Outcome.ERROR, Outcome.ERROR)
    assert 0 < len(record.error) < 5000


def test_no_image_passes_beside_one_that_nobody_could_look_at(tmp_path: Path) -> None:
    """The other image of the request, in which nothing was found, is not returned either."""
    answers = iter([[], failing("out of order")()])
    with (
        guard(tmp_path, lambda: next(answers)) as made,
        made.attach(tiny_pipeline(), other_model=True) as guarded,
    ):
        result = guarded.generate("a cook", images=2, sampler=FEW)

    (record,) = records(tmp_path)
    assert [(image.outcome, image.image) for image in result.images] == [(Outcome.ERROR, None)] * 2
    assert [(image.outcome, image.sha256) for image in record.images] == [(Outcome.ERROR, "")] * 2


def test_the_error_on_record_names_neither_prompt_nor_user(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """Nor does the log: no detector is given them, but one of the platform's own may know them."""
    with (
        guard(tmp_path, failing("no luck with a quiet harbour, ask alice-4711")) as made,
        made.attach(tiny_pipeline(), other_model=True) as guarded,
    ):
        context = Context(user="alice-4711")
        result = guarded.generate("a quiet harbour", sampler=FEW, context=context)

    (record,) = records(tmp_path)
    assert "a quiet harbour, ask alice-4711" in result.error
    for told in (record.error, "".join(capfd.readouterr())):
        assert "no luck with [hidden], ask [hidden]" in told
        assert "harbour" not in told
        assert "alice" not in told
    written = record.model_dump_json()
    assert record.images[0].findings[0].error == "no luck with [hidden], ask [hidden]"
    assert "harbour" not in written
    assert "alice" not in written


def test_a_detector_that_fails_is_logged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With name, digest and why, once a minute, and then how often it was."""
    with (
        guard(tmp_path, raising(ValueError("out of order"))) as made,
        made.attach(tiny_pipeline(), other_model=True) as guarded,
        structlog.testing.capture_logs() as told,
    ):
        for _ in range(3):
            guarded.generate("a cook", sampler=FEW)
        assert [each["untold"] for each in told] == [0]
        monkeypatch.setattr(diagnostics, "_MINUTE", 0.0)
        guarded.generate("a cook", sampler=FEW)

    first, last = told
    assert first["event"] == "detector failed"
    assert (first["detector"], first["digest"]) == ("mine", "sha256:d0")
    assert "out of order" in first["error"]
    assert last["untold"] == 2


def test_a_record_names_the_code_that_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not what pip puts in its place meanwhile, and it needs no file of pip's."""
    with (
        guard(tmp_path, list) as made,
        made.attach(tiny_pipeline(), other_model=True) as guarded,
    ):
        running = metadata.version("safegen")
        monkeypatch.setattr(sys, "path", [])
        with pytest.raises(metadata.PackageNotFoundError):
            metadata.version("safegen")
        result = guarded.generate("a cook", sampler=FEW)

    (record,) = records(tmp_path)
    assert result.outcome == Outcome.ALLOWED
    assert record.safegen == running


def test_detaching_waits_until_a_request_is_on_record(tmp_path: Path) -> None:
    """Also while its images are looked at, in whichever thread, before the ledger is closed."""
    looking, go = Event(), Event()

    def slow() -> list[Any]:
        looking.set()
        assert go.wait(60)
        return []

    def letting_go() -> None:
        while not guarded._requests._closed:
            sleep(0.001)
        go.set()

    with ThreadPoolExecutor(2) as pool:
        with (
            guard(tmp_path, slow) as made,
            made.attach(tiny_pipeline(), other_model=True) as guarded,
        ):
            running = pool.submit(guarded.generate, "a cook", sampler=FEW)
            assert looking.wait(60)
            pool.submit(letting_go)
        assert running.result(60).outcome == Outcome.ALLOWED

    assert [record.outcome for record in records(tmp_path)] == [Outcome.ALLOWED]


def test_detaching_from_within_a_request(tmp_path: Path) -> None:
    """It does not wait for its own end; the request goes on, and the next one is refused."""

    def detaching() -> list[Any]:
        guarded.detach()
        return []

    with guard(tmp_path, detaching) as made:
        guarded = made.attach(tiny_pipeline(), other_model=True)
        own = guarded.generate("a cook", sampler=FEW)
        late = guarded.generate("a cook", sampler=FEW)

    assert (own.outcome, late.outcome) == (Outcome.ALLOWED, Outcome.ERROR)
    assert len(records(tmp_path)) == 2


HALF = "a cook \ud800 in a hat"
BLOCK = """
lists: {hat: {kind: fact, terms: [hat]}}
rules: [{id: hat, when: fact.hat, then: {block: {reason: hat}}}]
"""


@pytest.mark.parametrize("batch", [1, 4])
def test_half_a_surrogate_pair_in_a_prompt(tmp_path: Path, batch: int) -> None:
    """No model reads it: the request ends as an error that says so, and is on record."""
    with (
        guard(tmp_path, list) as made,
        made.attach(tiny_pipeline(), other_model=True, batch=batch) as guarded,
    ):
        results = [guarded.generate(HALF, sampler=FEW, bypass=why) for why in ("", "a test")]

    for result, record in zip(results, records(tmp_path), strict=True):
        assert (result.outcome, record.outcome) == (Outcome.ERROR, Outcome.ERROR)
        assert result.error.startswith("InputError: the prompt holds half of a surrogate pair")
        assert record.error == result.error


@pytest.mark.parametrize("kept", ["plain", "encrypted", "hmac", "none"])
def test_a_policy_reads_half_a_surrogate_pair(tmp_path: Path, kept: str) -> None:
    """What it stops is stopped, and is on record however the prompt is kept."""
    policy = Policy(f"{HEAD}record: {{prompt: {kept}}}\n{BLOCK}")
    with (
        Guard(policy, {}, [], Ledger.open(tmp_path)) as made,
        made.attach(tiny_pipeline(), other_model=True) as guarded,
    ):
        result = guarded.generate(HALF, sampler=FEW)

    (record,) = records(tmp_path)
    assert (result.outcome, result.error) == (Outcome.BLOCKED, "")
    assert (record.id, record.outcome) == (result.record_id, Outcome.BLOCKED)
    if kept == "plain":
        assert record.prompt == r"a cook \ud800 in a hat"


@pytest.mark.parametrize(("prompt", "user"), [("Ann", ""), ("a cook", "417"), ("李娜", "")])
def test_a_short_name_is_in_no_record_and_no_log(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], prompt: str, user: str
) -> None:
    """Where words quote what is too short to be taken out of them, none of them is kept."""
    words = f"cannot read {user or prompt!r} of it"
    with (
        guard(tmp_path, failing(words)) as made,
        made.attach(tiny_pipeline(), other_model=True) as guarded,
    ):
        result = guarded.generate(prompt, sampler=FEW, context=Context(user=user))

    (record,) = records(tmp_path)
    assert words in result.error
    assert record.outcome == Outcome.ERROR
    for told in (record.model_dump_json(), "".join(capfd.readouterr())):
        assert "cannot read" not in told

"""Questions to the index: filters, pages, counts, verdicts."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from ledgers import CHECK, event, image, ledger, record

from safegen.audit import search as module
from safegen.audit.filters import Filters, State
from safegen.audit.index import Index
from safegen.audit.search import Cursor, count_open, counts, every, search, verdicts
from safegen.errors import InputError
from safegen.nouns import Check, Finding, Outcome

OUTCOMES = [Outcome.ALLOWED, Outcome.STEERED, Outcome.BLOCKED, Outcome.REVIEW, Outcome.ERROR]
RECORDS = [
    record(
        number,
        OUTCOMES[number % 5],
        violence=number / 100,
        tenant=f"tenant-{number % 2}",
        policy="strict" if number < 10 else "default",
        images=[image(unsafe=number / 60)],
    )
    for number in range(60)
]
EVENTS = [
    event(0, "overturned", RECORDS[2]),
    event(1, "upheld", RECORDS[7]),
    event(2, "upheld", RECORDS[12]),
    event(3, "overturned", RECORDS[33]),
    event(4, "escalated", RECORDS[3]),
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A ledger with all of them."""
    return ledger(tmp_path_factory.mktemp("ledger"), *RECORDS, *EVENTS)


@pytest.fixture
def index(folder: Path) -> Iterator[Index]:
    """Its index."""
    with Index.open(folder) as index:
        index.update()
        yield index


@pytest.fixture(params=["looked up", "looked through"])
def plan(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both ways to find records; few enough are looked through that pages end early."""
    monkeypatch.setattr(module, "_RARE", 1000 if request.param == "looked up" else 0)
    monkeypatch.setattr(module, "_LOOKED_THROUGH", 7)


def found(index: Index, **wanted: str | list[str]) -> list[int]:
    """Numbers of the records, newest first."""
    filters = Filters.parse(**wanted)  # type: ignore[arg-type]
    return [row.seq for row in every(index, filters)]


@pytest.mark.usefixtures("plan")
@pytest.mark.parametrize(("state", "first"), [("overturned", 33), ("escalated", 3)])
def test_no_page_of_a_queue_is_empty(index: Index, state: str, first: int) -> None:
    """What an index holds in order is found on the first page, however far off it is."""
    page = search(index, Filters.parse(state=state), limit=1)

    assert [row.seq for row in page.rows] == [first]


@pytest.mark.usefixtures("plan")
@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        ({}, range(60)),
        ({"outcome": "blocked"}, range(2, 60, 5)),
        ({"rule": "no.weapon"}, range(1, 60, 5)),
        ({"rule": "check:nsfw/unsafe"}, range(30, 60)),
        ({"score": ["violence>=0.5"]}, range(50, 60)),
        ({"score": ["violence>0.5", "violence<0.52"]}, [51]),
        ({"score": ["nsfw/unsafe<=0.05"]}, range(4)),
        ({"tenant": "tenant-1"}, range(1, 60, 2)),
        ({"policy": "strict"}, range(10)),
        ({"policy": "sha256:strict0"}, range(10)),
        ({"state": "escalated"}, [3]),
        ({"state": "upheld"}, [7, 12]),
        ({"since": "2026-01-01T06:00", "until": "2026-01-01T09:00+00:00"}, [6, 7, 8]),
        ({"since": "2026-01-01T06:00+02:00", "until": "2026-01-01T06:00"}, [4, 5]),
        ({"outcome": "blocked", "tenant": "tenant-0", "score": ["violence>=0.3"]}, [32, 42, 52]),
        ({"outcome": "allowed", "rule": "no.weapon"}, []),
    ],
)
def test_filters(index: Index, wanted: dict[str, str], expected: list[int]) -> None:
    """Each filter, and several together, give the same records by either plan."""
    assert found(index, **wanted) == sorted(expected, reverse=True)


@pytest.mark.usefixtures("plan")
@pytest.mark.parametrize("oldest_first", [False, True])
@pytest.mark.parametrize("tenant", ["", "tenant-1"])
def test_pages_neither_skip_nor_repeat(index: Index, tenant: str, oldest_first: bool) -> None:
    """Page by page, in either direction, every record comes once and in order."""
    filters, seen, after = Filters(tenant=tenant), [], None
    while True:
        page = search(index, filters, after=after, limit=4, oldest_first=oldest_first)
        assert len(page.rows) <= 4
        seen += [row.seq for row in page.rows]
        after = page.next
        if after is None:
            break
        after = Cursor.parse(str(after))
    expected = [n for n in range(60) if not tenant or n % 2]

    assert seen == (expected if oldest_first else expected[::-1])


def test_equal_times_page_by_number(tmp_path: Path) -> None:
    """Records of one moment are not lost between pages."""
    ledger(tmp_path, *(record(number, hours=0) for number in range(5)))
    with Index.open(tmp_path) as index:
        index.update()
        first = search(index, Filters(), limit=2)
        second = search(index, Filters(), after=first.next, limit=3)

    assert [row.seq for row in (*first.rows, *second.rows)] == [4, 3, 2, 1, 0]
    assert second.next is None


def test_a_limit_of_all(index: Index) -> None:
    """No more are given than asked for."""
    assert [row.seq for row in every(index, Filters(), limit=2)] == [59, 58]


def test_counts_over_time(index: Index) -> None:
    """Each outcome and rule is counted in the step of time that it fell in."""
    outcomes = counts(index, Filters(), "outcome", 24)
    rules = counts(index, Filters.parse(since="2026-01-02", until="2026-01-02T05:00"), "rule", 1)
    midnight = 1767225600000

    assert list(outcomes) == [midnight, midnight + 86_400_000, midnight + 2 * 86_400_000]
    assert outcomes[midnight] == {
        "allowed": 5, "steered": 5, "blocked": 5, "review": 5, "error": 4
    }  # fmt: skip
    assert rules == {
        midnight + 86_400_000 + 2 * 3_600_000: {"no.weapon": 1},
        midnight + 86_400_000 + 3 * 3_600_000: {"block.gore": 1},
        midnight + 86_400_000 + 4 * 3_600_000: {"ask.first": 1},
    }


def test_verdicts_by_rule(index: Index) -> None:
    """The false-alarm rate counts the rules and checks that stopped what was reviewed."""
    assert [(each.rule, each.upheld, each.overturned) for each in verdicts(index)] == [
        ("ask.first", 0, 1),
        ("check:nsfw/unsafe", 0, 1),
        ("block.gore", 2, 1),
    ]
    assert verdicts(index)[-1].false_alarms == pytest.approx(1 / 3)


def test_verdicts_about_images_count_for_what_flagged_them(tmp_path: Path) -> None:
    """A check has the verdicts of its own images; a rule of the prompt that of the request."""
    seen = Finding(detector="clip", detector_digest="sha256:d1", label="weapon", score=0.9)
    armed = image(Outcome.BLOCKED).model_copy(update={"findings": (seen,)})
    made = record(0, Outcome.BLOCKED, images=[image(Outcome.BLOCKED, unsafe=0.9), armed])
    checks = (CHECK, Check(detector="clip", label="weapon", threshold=0.5))
    assert made.decision is not None
    both = made.decision.model_copy(update={"checks": checks})
    made = made.model_copy(update={"decision": both})
    said = [
        event(number, what, made).model_copy(update={"details": {"image": number}})
        for number, what in enumerate(("overturned", "upheld"))
    ]
    ledger(tmp_path, made, said[0], segment_bytes=1)
    told = []
    with Index.open(tmp_path) as index:
        for number in range(2):
            index.update()
            told.append([(each.rule, each.upheld, each.overturned) for each in verdicts(index)])
            if number == 0:
                ledger(tmp_path, said[1], segment_bytes=1)
        (tmp_path / "00000000.jsonl").unlink()
        index._forget(1)

        assert verdicts(index) == []
    assert told[0] == [("check:nsfw/unsafe", 0, 1)]
    assert told[1] == [
        ("check:nsfw/unsafe", 0, 1), ("block.gore", 1, 0), ("check:clip/weapon", 1, 0)
    ]  # fmt: skip


def test_how_many_wait(index: Index) -> None:
    """The queue's length is that of the state."""
    assert count_open(index, State.ESCALATED) == 1
    assert count_open(index, State.OPEN) == len(found(index, state="open"))


@pytest.mark.parametrize("text", ["", "12", "a.b", "1.2.3", f"1.{10**22}", f"{10**22}.1", "1_0.1"])
def test_cursors_are_checked(text: str) -> None:
    """What is no place in the list is an error."""
    with pytest.raises(InputError, match="not a place"):
        Cursor.parse(text)

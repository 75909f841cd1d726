"""The shipper: at least once, in order, whatever the sink does; nobody waits for it."""

import os
import threading
from contextlib import suppress
from pathlib import Path

import pytest
import structlog
from ledgers import ledger, record
from shippers import until
from writers import fill, outcome, script, small_disk

from safegen.adapters.sampler import Sampler
from safegen.audit.ledger import Ledger, verify
from safegen.audit.sinks import Batch, Cursor, Shipper, sink_at, statuses
from safegen.errors import LedgerError, LedgerTamperedError, OutputError, SinkError, Tampering
from safegen.guard import Guard
from safegen.testing import tiny_pipeline


class Memory:
    """A sink that keeps what it gets, and is out of order on demand."""

    most, pause = 2, 0.01
    to = "memory"

    def __init__(self) -> None:
        self.got: list[int] = []
        self.failure: Exception | None = None
        self.tried = threading.Semaphore(0)
        self.opened = 0

    def open(self, kept: Cursor) -> Cursor:
        """Take its place."""
        self.opened += 1
        return kept

    def deliver(self, batch: Batch) -> Cursor:
        """Keep the numbers of the lines."""
        self.tried.release()
        if self.failure is not None:
            raise self.failure
        self.got.extend(item.line.seq for item in batch.items)
        return batch.after

    def close(self) -> None:
        """Leave."""
        self.opened -= 1


def test_once_delivers_each_line_once(tmp_path: Path) -> None:
    """A second run goes on after the first; the sink is closed after each."""
    fill(tmp_path, 5)
    sink, seen = Memory(), []
    first = Shipper(tmp_path, sink).once(lambda done, total: seen.append((done, total)))
    with Ledger.open(tmp_path) as opened:
        opened.append(record(5))
    second = Shipper(tmp_path, sink).once()

    assert sink.got == [0, 1, 2, 3, 4, 5]
    assert (first.delivered, first.behind, second.delivered) == (5, 0, 6)
    assert (5, 5) in seen
    assert sink.opened == 0


def test_an_empty_ledger(tmp_path: Path) -> None:
    """There is nothing to deliver, which is no error."""
    fill(tmp_path, 0)

    assert Shipper(tmp_path, Memory()).once().delivered == 0


def test_a_dead_sink_loses_nothing(tmp_path: Path) -> None:
    """What it did not take is told as behind, and delivered when it lives again."""
    fill(tmp_path, 5)
    sink = Memory()
    sink.failure = SinkError("it sleeps")
    with pytest.raises(SinkError, match="it sleeps"):
        Shipper(tmp_path, sink).once()
    [status] = statuses(tmp_path)
    assert (status.delivered, status.behind, status.error) == (0, 5, "it sleeps")
    sink.failure = None
    Shipper(tmp_path, sink).once()

    assert sink.got == [0, 1, 2, 3, 4]
    assert statuses(tmp_path)[0].error == ""


def test_whatever_a_driver_raises(tmp_path: Path) -> None:
    """An error that no sink should raise is one of a sink that failed."""
    fill(tmp_path, 1)
    sink = Memory()
    sink.failure = ZeroDivisionError("in the driver")

    with pytest.raises(SinkError, match="memory failed: ZeroDivisionError: in the driver"):
        Shipper(tmp_path, sink).once()


def test_following_goes_on_when_the_sink_is_back(tmp_path: Path) -> None:
    """A follower tries again and says so in the log; what was written meanwhile comes too."""
    fill(tmp_path, 2)
    sink = Memory()
    sink.failure = SinkError("it sleeps")
    with structlog.testing.capture_logs() as logged, Shipper(tmp_path, sink).following():
        sink.tried.acquire()
        sink.tried.acquire()
        with Ledger.open(tmp_path) as opened:
            opened.append(record(2))
            sink.failure = None
            until(lambda: len(sink.got) >= 3)
            opened.append(record(3))
            until(lambda: len(sink.got) >= 4)

    assert sink.got == [0, 1, 2, 3]
    assert logged[0]["event"].startswith("a sink takes no records")
    assert (logged[0]["to"], logged[0]["error"]) == ("memory", "it sleeps")
    assert logged[-1]["event"] == "a sink takes records again"
    assert sink.opened == 0


def test_a_follower_that_cannot_go_on_says_so(tmp_path: Path) -> None:
    """A tampered ledger ends the thread with an error in the log and in the status."""
    fill(tmp_path, 2)
    segment = tmp_path / "00000000.jsonl"
    segment.write_bytes(segment.read_bytes().splitlines(keepends=True)[0])
    sink = Memory()
    with structlog.testing.capture_logs() as logged, Shipper(tmp_path, sink).following():
        until(lambda: bool(logged))

    assert logged[0]["event"] == "shipping ended"
    assert "after line 0 there are none" in statuses(tmp_path)[0].error


def test_a_ledger_that_lost_its_end(tmp_path: Path) -> None:
    """Fewer lines than the checkpoint vouches for are an error once the others are delivered."""
    fill(tmp_path, 3)
    segment = tmp_path / "00000000.jsonl"
    segment.write_bytes(b"".join(segment.read_bytes().splitlines(keepends=True)[:2]))
    sink = Memory()

    with pytest.raises(LedgerTamperedError) as caught:
        Shipper(tmp_path, sink).once()
    assert (caught.value.seq, caught.value.kind) == (2, Tampering.TRUNCATED)
    assert sink.got == [0, 1]


def test_another_ledger_in_its_place(tmp_path: Path) -> None:
    """A ledger that was replaced under the same name is not mixed with the one before."""
    fill(tmp_path / "ledger", 2)
    Shipper(tmp_path / "ledger", Memory(), state=tmp_path / "state").once()
    (tmp_path / "ledger").rename(tmp_path / "old")
    fill(tmp_path / "ledger", 4)

    with pytest.raises(LedgerError, match="memory was fed from another ledger"):
        Shipper(tmp_path / "ledger", Memory(), state=tmp_path / "state").once()


def test_two_ledgers_in_one_state_folder(tmp_path: Path) -> None:
    """The second is told to take a folder of its own, and neither knows the other's figures."""
    one, two, state = tmp_path / "one", tmp_path / "two", tmp_path / "state"
    fill(one, 3)
    fill(two, 1)
    sink = Memory()
    Shipper(one, sink, state=state).once()
    before = statuses(one, state)

    for method in (Shipper(two, sink, state=state).once, Shipper(two, sink, state=state).begin):
        with pytest.raises(LedgerError, match=f"by what is kept in {state}") as caught:
            method()
        assert "--state of its own" in str(caught.value.mend)
    assert statuses(one, state) == before
    assert statuses(two, state) == []
    assert Shipper(two, Memory(), state=tmp_path / "other").once().delivered == 1
    assert Shipper(one, sink, state=state).once().begin == 3


def test_one_shipper_at_a_time(tmp_path: Path) -> None:
    """While one delivers, another is refused, by name; a follower stands by and takes over."""
    fill(tmp_path, 3)
    first, second = Memory(), Memory()
    with Shipper(tmp_path, first).following():
        until(lambda: len(first.got) == 3)
        with pytest.raises(SinkError, match=r"another shipper delivers to memory .*process"):
            Shipper(tmp_path, second).once()
    with Ledger.open(tmp_path) as opened:
        opened.append(record(3))
    Shipper(tmp_path, second).once()

    assert (first.got, second.got) == ([0, 1, 2], [3])


def test_somebody_else_delivered_meanwhile(tmp_path: Path) -> None:
    """A sink that says it is further than the batch is believed, once it is on this chain."""
    fill(tmp_path, 6)
    ahead: list[Cursor] = []

    class Shared(Memory):
        def deliver(self, batch: Batch) -> Cursor:
            super().deliver(batch)
            return ahead.pop() if ahead else batch.after

    source = Shipper(tmp_path, Memory()).source
    third = list(source.batches(Cursor(ledger=source.ledger), 1))[3].after
    ahead.append(third)
    sink = Shared()
    Shipper(tmp_path, sink).once()
    assert sink.got == [0, 1, 4, 5]

    ahead.append(third.model_copy(update={"hash": "f" * 64}))
    with pytest.raises(LedgerError, match="which is not in"):
        Shipper(tmp_path, Shared(), state=tmp_path / "anew").once()


def test_a_damaged_state(tmp_path: Path) -> None:
    """What cannot be read is not taken for the beginning, and stays for whoever mends it."""
    fill(tmp_path, 1)
    Shipper(tmp_path, Memory()).once()
    [state] = (tmp_path / "sinks").glob("memory-*/state.json")
    state.write_bytes(b"{}")

    for _ in range(2):
        with pytest.raises(OutputError, match="does not say how far the sink has come"):
            Shipper(tmp_path, Memory()).once()
    assert state.read_bytes() == b"{}"


def test_a_sink_that_cannot_be_opened(tmp_path: Path) -> None:
    """What it had stays counted, its error stands until it takes lines, and none come twice."""

    class Shut(Memory):
        def open(self, kept: Cursor) -> Cursor:
            raise SinkError("it is shut")

    fill(tmp_path, 2)
    sink = Memory()
    Shipper(tmp_path, sink).once()
    with pytest.raises(SinkError, match="it is shut"):
        Shipper(tmp_path, Shut()).once()
    [status] = statuses(tmp_path)
    Shipper(tmp_path, sink).once()

    assert (status.delivered, status.error) == (2, "it is shut")
    assert sink.got == [0, 1]
    assert statuses(tmp_path)[0].error == ""


def test_an_error_stands_while_the_sink_is_tried(tmp_path: Path) -> None:
    """A sink that hangs is not told to be well because it could be opened."""
    fill(tmp_path, 1)
    seen: list[str] = []

    class Hanging(Memory):
        def deliver(self, batch: Batch) -> Cursor:
            seen.extend(status.error for status in statuses(tmp_path))
            return super().deliver(batch)

    sink = Hanging()
    sink.failure = SinkError("it sleeps")
    for _ in range(2):
        with pytest.raises(SinkError, match="it sleeps"):
            Shipper(tmp_path, sink).once()

    assert seen == ["it sleeps"]


def test_repairs_pass_through(tmp_path: Path) -> None:
    """What a crash cut off never comes, the event that tells of it does, while being followed."""
    fill(tmp_path, 2)
    sink = Memory()
    with Shipper(tmp_path, sink).following():
        until(lambda: len(sink.got) == 2)
        with (tmp_path / "00000000.jsonl").open("ab") as segment:
            segment.write(b'{"hash":"half a line')
        with Ledger.open(tmp_path) as opened:
            opened.append(record(4))
        until(lambda: len(sink.got) == 4)

    assert sink.got == [0, 1, 2, 3]  # 2 is the event `repaired`


WRITE = """
ledger = Ledger.open(folder)
for number in range(1000):
    ledger.append(record(number))
    print(number, flush=True)
"""


def test_writers_that_are_killed_while_followed(tmp_path: Path) -> None:
    """Whatever their ends leave behind, the follower has what the ledger has, and no error."""
    fill(tmp_path, 0)
    sink = Memory()
    with structlog.testing.capture_logs() as logged, Shipper(tmp_path, sink).following():
        for _ in range(4):
            process = script(WRITE, tmp_path)
            assert process.stdout is not None
            for _ in range(20):
                process.stdout.readline()
            process.kill()
            outcome(process)
        fill(tmp_path, 1)
        count = verify(tmp_path).records
        until(lambda: len(sink.got) >= count)

    assert sink.got == list(range(count))
    assert not [line for line in logged if line["log_level"] in ("warning", "error")]


POLICY = """
apiVersion: safegen/v1
metadata: {name: small, version: "1"}
lists:
  weapon: {kind: score, terms: [gun]}
rules:
  - id: weapon
    when: score.weapon >= 0.5
    then: {block: {reason: weapon}}
"""


def test_a_guard_never_waits_for_a_dead_sink(tmp_path: Path) -> None:
    """Requests are served and recorded while the sink is dead from the first to the last."""
    policy = tmp_path / "small.yaml"
    policy.write_text(POLICY)
    few = Sampler(steps=2, guidance_scale=1.0)
    with Guard.from_policy(policy, ledger=tmp_path / "ledger") as guard:
        sink = sink_at("syslog://127.0.0.1:1")
        with structlog.testing.capture_logs(), Shipper(guard.ledger.folder, sink).following():
            with guard.attach(tiny_pipeline()) as guarded:
                results = [
                    guarded.generate(f"a photo of a {thing}", sampler=few)
                    for thing in ("gun", "cat") * 10
                ]
            until(lambda: any(status.error for status in statuses(guard.ledger.folder)))
    [status] = statuses(tmp_path / "ledger")

    assert [result.outcome for result in results] == ["blocked", "allowed"] * 10
    assert verify(tmp_path / "ledger").records == 20
    assert (status.delivered, status.behind) == (0, 20)
    assert "syslog://127.0.0.1:1 takes no messages" in status.error


def test_state_can_be_kept_elsewhere(tmp_path: Path) -> None:
    """A shipper that may only read the ledger keeps its state where it may write."""
    folder = ledger(tmp_path / "ledger", record(0))
    before = sorted(folder.iterdir())
    Shipper(folder, Memory(), state=tmp_path / "state").once()

    assert sorted(folder.iterdir()) == before
    assert [status.delivered for status in statuses(folder, tmp_path / "state")] == [1]
    assert statuses(folder) == []


def test_a_full_disk_under_its_memory_is_waited_for(tmp_path: Path) -> None:
    """A follower tries again until how far it came can be kept; nothing is lost."""
    fill(tmp_path / "ledger", 2)
    sink = Memory()
    with small_disk(tmp_path, 64) as disk:
        state = disk / "state"
        shipper = Shipper(tmp_path / "ledger", sink, state=state)
        shipper.once()
        filler = os.open(disk / "filler", os.O_WRONLY | os.O_CREAT)
        with suppress(OSError):
            while True:
                os.write(filler, bytes(4096))
        os.close(filler)
        with structlog.testing.capture_logs() as logged, shipper.following():
            with Ledger.open(tmp_path / "ledger") as opened:
                opened.append(record(2))
            until(lambda: any("cannot keep" in each.get("error", "") for each in logged))
            (disk / "filler").unlink()
            until(lambda: logged[-1]["event"] == "a sink takes records again")
        [status] = statuses(tmp_path / "ledger", state)

    assert {each["event"] for each in logged[:-1]} == {
        "a sink takes no records; they wait in the ledger"
    }
    assert "No space left" in logged[0]["error"]
    assert sorted({*sink.got}) == [0, 1, 2]
    assert (status.delivered, status.error) == (3, "")

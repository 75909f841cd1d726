"""The memory of a scan."""

from pathlib import Path

import pytest

from safegen.audit.scan.examine import Seen
from safegen.audit.scan.journal import Journal
from safegen.audit.scan.result import Scanned
from safegen.errors import OutputError


def seen(name: str, **told: object) -> Seen:
    """An image that was looked at."""
    values = {"path": name, "sha256": f"of {name}", "judge": "j", **told}
    return Seen(name, Scanned.model_validate(values), b"thumb" if "flagged" in told else b"")


def test_what_is_known(tmp_path: Path) -> None:
    """The digest, under the same judge only, and not of an image with an error."""
    with Journal.open(tmp_path / "r.jsonl") as journal:
        journal.add([seen("a"), seen("b", error="cut"), seen("c", judge="other")])
        names = [*map(str, range(2000)), "a", "b", "c"]

        assert journal.known(names, "j") == {"a": "of a"}


def test_results_come_in_the_order_of_their_paths(tmp_path: Path) -> None:
    """Whatever the order in which they were found; the flagged ones have thumbnails."""
    with Journal.open(tmp_path / "r.jsonl") as journal:
        journal.add([seen("b", flagged=["x"]), seen("a"), seen("c", flagged=["x"])])

        assert [result.path for result in journal.results()] == ["a", "b", "c"]
        shown = [(result.path, picture) for result, picture in journal.thumbnails(1)]
        assert shown == [("b", b"thumb")]


def test_a_later_run_forgets_what_is_gone(tmp_path: Path) -> None:
    """What it came across stays, changed or not; the rest is forgotten when it is through."""
    with Journal.open(tmp_path / "r.jsonl") as journal:
        journal.add([seen("kept"), seen("changed"), seen("gone")])
    with Journal.open(tmp_path / "r.jsonl") as journal:
        journal.add([Seen("kept"), seen("changed", sha256="new")])
        assert len(list(journal.results())) == 3
        journal.forget_others()

        assert [(r.path, r.sha256) for r in journal.results()] == [
            ("changed", "new"),
            ("kept", "of kept"),
        ]


def test_one_scan_at_a_time(tmp_path: Path) -> None:
    """A second one is told so at once, and may write when the first is through."""
    with Journal.open(tmp_path / "r.jsonl"):
        with pytest.raises(OutputError, match="another scan is writing"):
            Journal.open(tmp_path / "r.jsonl")
        Journal.open(tmp_path / "other.jsonl").close()
    Journal.open(tmp_path / "r.jsonl").close()


def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    """It is told before anything is looked at."""
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match="cannot write"):
        Journal.open(tmp_path / "file/r.jsonl")

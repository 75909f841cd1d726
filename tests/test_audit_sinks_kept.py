"""What is kept between runs: whole or not at all, by one process at a time."""

from pathlib import Path

import pytest

from safegen.audit.sinks import Cursor
from safegen.audit.sinks.kept import alone, load, save
from safegen.errors import OutputError, SinkError

CURSOR = Cursor(ledger="f" * 64, seq=3, hash="e" * 64)


def test_a_cursor_is_what_was_saved(tmp_path: Path) -> None:
    """It reads back equal; a file that is missing is no cursor."""
    assert load(tmp_path / "cursor.json", Cursor) is None
    save(tmp_path / "cursor.json", CURSOR)
    save(tmp_path / "cursor.json", CURSOR.model_copy(update={"seq": 4}))

    assert load(tmp_path / "cursor.json", Cursor) == CURSOR.model_copy(update={"seq": 4})
    assert [path.name for path in tmp_path.iterdir()] == ["cursor.json"]


@pytest.mark.parametrize("data", [b"", b"{}", b'{"ledger":"f","seq":"x"}', b"\xff"])
def test_damage_is_not_the_beginning(tmp_path: Path, data: bytes) -> None:
    """What does not say how far is an error, since to begin anew would repeat everything."""
    (tmp_path / "cursor.json").write_bytes(data)

    with pytest.raises(OutputError, match="does not say how far"):
        load(tmp_path / "cursor.json", Cursor)


def test_one_at_a_time(tmp_path: Path) -> None:
    """The second is told who is first, and may once that one has ended."""
    with alone(tmp_path / "state", "the sink"):
        with pytest.raises(SinkError, match="another shipper delivers to the sink"):
            with alone(tmp_path / "state", "the sink"):
                pytest.fail("two were alone")
    with alone(tmp_path / "state", "the sink"):
        pass


def test_nowhere_to_keep_it(tmp_path: Path) -> None:
    """A folder that cannot be made, or written, is an error that names it."""
    (tmp_path / "file").touch()

    with pytest.raises(OutputError, match="cannot keep in"):
        with alone(tmp_path / "file", "the sink"):
            pytest.fail("there is no such folder")
    with pytest.raises(OutputError, match="cannot keep in"):
        save(tmp_path / "missing" / "cursor.json", CURSOR)

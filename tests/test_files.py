"""Files are written whole or not at all, and what is no file stays what it is."""

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from safegen.errors import OutputError
from safegen.files import whole, write_file


def test_a_link_is_followed(tmp_path: Path) -> None:
    """It stays a link, to what is written."""
    (tmp_path / "real").write_text("old")
    (tmp_path / "link").symlink_to(tmp_path / "real")
    write_file(tmp_path / "link", b"new")

    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "real").read_text() == "new"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["link", "real"]


def test_a_pipe_is_written_to(tmp_path: Path) -> None:
    """`--out >(gzip)` works, and a device such as /dev/null is not replaced by a file."""
    os.mkfifo(tmp_path / "pipe")
    with ThreadPoolExecutor(1) as pool:
        read = pool.submit((tmp_path / "pipe").read_bytes)
        write_file(tmp_path / "pipe", b"all of it")

        assert read.result(60) == b"all of it"
    assert (tmp_path / "pipe").is_fifo()


def test_a_folder_is_no_file(tmp_path: Path) -> None:
    """It is told, and nothing is left beside it."""
    (tmp_path / "folder").mkdir()
    for path in (tmp_path / "folder", Path()):
        with pytest.raises(OutputError, match="it is a folder"):
            write_file(path, b"x")
    with pytest.raises(OutputError, match="cannot write"):
        write_file(tmp_path / "none" / "file", b"x")

    assert [path.name for path in tmp_path.iterdir()] == ["folder"]


def test_half_a_file_is_not_left(tmp_path: Path) -> None:
    """What was there before stays, whatever ends the writing."""
    (tmp_path / "file").write_text("old")

    def interrupted() -> None:
        with whole(tmp_path / "file") as part:
            part.write_text("ne")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()

    assert (tmp_path / "file").read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["file"]

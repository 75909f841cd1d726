"""Whose the files are that root makes in somebody else's folder."""

import os
from pathlib import Path

import pytest
from ledgers import FULL

from safegen.audit.index import Index
from safegen.audit.ledger import Ledger
from safegen.files import open_or_make

SOMEBODY = 12345
pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")


def owners(folder: Path) -> set[int]:
    """Of all files in it."""
    return {path.stat().st_uid for path in folder.iterdir()}


def test_a_ledgers_are_its_folders_owners(tmp_path: Path) -> None:
    """A command by root leaves nothing that the guard cannot write."""
    os.chown(tmp_path, SOMEBODY, -1)
    with Ledger.open(tmp_path) as ledger:
        ledger.append(FULL)
        ledger.begin_segment()
        assert not ledger.subjects.of("nobody")
    with Index.open(tmp_path) as index:
        index.update()

    assert len(list(tmp_path.iterdir())) >= 7
    assert owners(tmp_path) == {SOMEBODY}


def test_roots_own_stay_roots(tmp_path: Path) -> None:
    """Where the folder is."""
    with Ledger.open(tmp_path) as ledger:
        ledger.append(FULL)

    assert owners(tmp_path) == {0}


def test_what_was_there_is_given_to_nobody(tmp_path: Path) -> None:
    """A link that somebody puts there would make them the owner of any file."""
    other = tmp_path / "other"
    other.touch()
    folder = tmp_path / "folder"
    folder.mkdir()
    os.chown(folder, SOMEBODY, -1)
    (folder / "link").symlink_to(other)
    os.close(open_or_make(folder / "link", 0o600))

    assert other.stat().st_uid == 0

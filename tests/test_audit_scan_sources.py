"""What a scan comes across."""

import os
import tracemalloc
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from archives import flat

from safegen.audit.scan import sources
from safegen.audit.scan.sources import MAX_BYTES, Listing, Read, WorkUnit
from safegen.errors import InputError


def found(where: Path | str, **options: object) -> dict[str, Read]:
    """Every image by its name, as a worker reads it."""
    return everything(Listing(str(where), **options))  # type: ignore[arg-type]


def everything(listing: Listing) -> dict[str, Read]:
    """Every image of a listing by its name; the units travel as they do to another process."""
    units = (WorkUnit.load(unit.dump()) for unit in listing.units())
    reads = [read for unit in units for read in unit.read()]
    names = [read.item.name for read in reads]
    assert len(names) == len(set(names))
    return {read.item.name: read for read in reads}


def table(path: Path, cells: list[object], **options: object) -> Path:
    """A Parquet table with the column `image`."""
    pq.write_table(pa.table({"image": cells}), path, **options)
    return path


def test_a_folder_is_gone_through_with_what_is_hidden(tmp_path: Path) -> None:
    """Images by name, hidden ones and those of any depth; others are counted and left out."""
    for name in ("a.png", ".b.PNG", ".hidden/c.jpg", "d/e/f.webp", "g.heic"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"x")
    (tmp_path / "readme.txt").write_text("Python")
    listing = Listing(str(tmp_path))

    assert set(everything(listing)) == {"a.png", ".b.PNG", ".hidden/c.jpg", "d/e/f.webp", "g.heic"}
    assert listing.skipped == 1
    assert "readme.txt" in found(tmp_path, every_file=True)


def test_an_image_under_another_name_is_looked_at(tmp_path: Path) -> None:
    """Its first bytes say what it is; a file that nobody may read could be one."""
    flat(tmp_path / "a.png").rename(tmp_path / "notes.txt")
    flat(tmp_path / "b.gif").rename(tmp_path / "b")
    (tmp_path / "gone").symlink_to(tmp_path / "nowhere")

    assert set(found(tmp_path)) == {"notes.txt", "b", "gone"}
    assert found(tmp_path)["gone"].error == "it cannot be read: No such file or directory"


@pytest.mark.parametrize("name", ["a.heic", "a.CR3", "a.arw", "a.exr", "a.dds", "a.qoi", "a.avifs"])
def test_an_image_of_a_format_that_is_not_read_is_looked_at(tmp_path: Path, name: str) -> None:
    """So it becomes an error, and not one of the files that are none of a scan's business."""
    (tmp_path / name).write_bytes(b"what only other programs read")

    assert set(found(tmp_path)) == {name}


def test_links_that_lead_in_circles(tmp_path: Path) -> None:
    """Links to folders are counted and not followed; links to files are read."""
    flat(tmp_path / "a/b.png")
    (tmp_path / "a/up").symlink_to(tmp_path)
    (tmp_path / "a/self.png").symlink_to(tmp_path / "a/self.png")
    (tmp_path / "a/link.png").symlink_to(tmp_path / "a/b.png")
    listing = Listing(str(tmp_path))
    reads = everything(listing)

    assert set(reads) == {"a/b.png", "a/self.png", "a/link.png"}
    assert reads["a/link.png"].data == reads["a/b.png"].data
    assert "symbolic links" in reads["a/self.png"].error
    assert listing.linked_folders == 1


def test_a_folder_that_cannot_be_listed_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It stands among the images with the reason, and the rest is gone through."""
    flat(tmp_path / "a.png")
    flat(tmp_path / "locked/b.png")
    scandir = os.scandir

    def refuse(folder: str) -> object:  # root may list everything, so permissions prove nothing
        if Path(folder).name == "locked":
            raise PermissionError(13, "Permission denied")
        return scandir(folder)

    monkeypatch.setattr(os, "scandir", refuse)

    reads = found(tmp_path)
    assert reads["locked/"].error == "the folder cannot be listed: Permission denied"
    assert reads["a.png"].data


def test_what_is_no_file_is_not_waited_for(tmp_path: Path) -> None:
    """A pipe that ends like an image is an error at once; under another name it is left out."""
    os.mkfifo(tmp_path / "pipe.png")
    os.mkfifo(tmp_path / "pipe")
    os.mkfifo(tmp_path / "pipe.parquet")
    reads = found(tmp_path)

    assert reads["pipe.png"].error == "it is no file"
    assert "it is no file" in reads["pipe.parquet"].error
    assert len(reads) == 2


def test_names_are_told_apart(tmp_path: Path) -> None:
    """Bytes that are no UTF-8 are told, and not mixed up with a name that spells them."""
    folder = os.fsencode(tmp_path)
    for name in (b"\xff.png", b"\\xff.png"):
        with open(os.path.join(folder, name), "wb") as file:  # noqa: PTH118, PTH123 - bytes
            file.write(name)
    reads = found(tmp_path)

    assert {name: read.data for name, read in reads.items()} == {
        "\\xff.png": b"\xff.png",
        "\\\\xff.png": b"\\xff.png",
    }


@pytest.mark.parametrize(
    ("pattern", "names"),
    [
        ("*.png", {"a.png"}),
        ("**/*.png", {"a.png", "b/c.png", "b/d/e.png"}),
        ("*/*.png", {"b/c.png"}),
        ("b/**", {"c.png", "d/e.png"}),
        ("b/[cd]*", {"c.png"}),
        ("**/d/?.png", {"b/d/e.png"}),
    ],
)
def test_patterns(tmp_path: Path, pattern: str, names: set[str]) -> None:
    """They fit part by part; names are told from the folder before the first part with a sign."""
    for name in ("a.png", "b/c.png", "b/d/e.png"):
        flat(tmp_path / name)

    assert set(found(tmp_path / pattern)) == names


def test_one_file_is_looked_at_whatever_its_name(tmp_path: Path) -> None:
    """Who names a file means it."""
    (tmp_path / "x.bin").write_bytes(b"x")

    assert found(tmp_path / "x.bin")["x.bin"].data == b"x"


def test_nothing_there(tmp_path: Path) -> None:
    """A path that does not exist, also as the beginning of a pattern, is told at once."""
    for where in ("nowhere", "nowhere/*.png"):
        with pytest.raises(InputError, match="there is no file or folder"):
            Listing(str(tmp_path / where)).units()


def test_files_too_large_are_errors(tmp_path: Path) -> None:
    """One byte more than the limit is not held in memory."""
    with (tmp_path / "a.png").open("wb") as file:
        file.truncate(MAX_BYTES + 1)

    assert found(tmp_path)["a.png"].error == f"expected at most {MAX_BYTES} bytes, got more"


def test_tables_of_bytes_paths_and_both(tmp_path: Path) -> None:
    """Each row is an image; a cell that is neither is an error of its own."""
    data = flat(tmp_path / "x/a.png").read_bytes()
    both = [{"bytes": data, "path": None}, {"bytes": None, "path": "x/a.png"}, None]
    table(tmp_path / "both.parquet", both, row_group_size=2)
    table(tmp_path / "paths.parquet", ["x/a.png", "gone.png", "a\0b"])
    table(tmp_path / "numbers.parquet", [1])
    reads = found(tmp_path)

    same = ("both.parquet/0", "both.parquet/1", "paths.parquet/0", "x/a.png")
    assert all(reads[name].data == data for name in same)
    assert reads["both.parquet/2"].error == "expected bytes or a path in its cell, got NoneType"
    assert reads["numbers.parquet/0"].error.endswith("got int")
    assert reads["paths.parquet/1"].error.endswith("No such file or directory")
    assert "null" in reads["paths.parquet/2"].error


def test_tables_that_cannot_be_read(tmp_path: Path) -> None:
    """A table that is none, or lacks the column, is an image with an error."""
    (tmp_path / "bad.parquet").write_bytes(b"PAR1 nothing PAR1")
    table(tmp_path / "good.parquet", [b"x"])

    assert "the table cannot be read" in found(tmp_path)["bad.parquet"].error
    assert "no column 'photo'; there are ['image']" in (
        found(tmp_path / "good.parquet", column="photo")["good.parquet"].error
    )


def test_a_table_that_is_damaged_within(tmp_path: Path) -> None:
    """Every row that cannot be read is an error; none is missing."""
    path = table(tmp_path / "t.parquet", [bytes([i]) * 5000 for i in range(8)], compression="none")
    data = bytearray(path.read_bytes())
    data[4:200] = b"\xff" * 196
    path.write_bytes(data)
    reads = found(path)

    assert len(reads) == 8
    assert any("the table cannot be read" in read.error for read in reads.values())


def test_a_row_group_that_is_too_long(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a table claims to hold is not believed beyond what memory holds."""
    monkeypatch.setattr(sources, "MAX_ROWS", 3)
    table(tmp_path / "t.parquet", [b"x"] * 4)

    assert "4 rows, at most 3 may" in found(tmp_path)["t.parquet"].error


def test_what_the_scan_writes_is_left_out(tmp_path: Path) -> None:
    """Results within the archive are no part of it."""
    flat(tmp_path / "a.png")
    table(tmp_path / "out.parquet", [b"x"])
    flat(tmp_path / "out.scan/b.png")
    own = frozenset({tmp_path / "out.parquet", tmp_path / "out.scan"})

    assert set(found(tmp_path, without=own)) == {"a.png"}


def test_ten_thousand_files_are_not_held(tmp_path: Path) -> None:
    """The listing of a large folder takes the memory of a few units."""
    for number in range(10_000):
        (tmp_path / f"{number}.png").touch()
    units = Listing(str(tmp_path)).units()
    next(units)
    tracemalloc.start()
    count = sum(len(unit.items) for unit in units)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert count > 9_900
    assert peak < 500_000

"""Files that are written as a whole."""

from pathlib import Path

from safegen.errors import OutputError


def write_file(path: Path, data: bytes) -> None:
    """Write a file as a whole, through a part beside it, or not at all.

    Raises:
        OutputError: it cannot be written.
    """
    part = path.with_name(f"{path.name}.part")
    try:
        part.write_bytes(data)
        part.replace(path)
    except OSError as error:
        raise OutputError(f"cannot write {path}: {error}", "give another path") from error

"""What commands write: files, and text from requests on a terminal."""

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


def plain(text: str) -> str:
    """Text of a request must not move the reader's cursor or turn the direction of writing."""
    return "".join(c if c.isprintable() or c == "\n" else ascii(c)[1:-1] for c in text)

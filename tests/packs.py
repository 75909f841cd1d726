"""The shipped packs, by name, and the file of words that they import."""

from pathlib import Path

WORDS = "default-words"  # lists alone, for others to import
PACKS = sorted(
    path.stem
    for path in (Path(__file__).parent.parent / "policies").glob("*.yaml")
    if path.stem != WORDS
)

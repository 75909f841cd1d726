"""What the guides show, and what they link to."""

import re
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).parent.parent


def snippets(document: str, language: str = "python") -> list[str]:
    """The code blocks of a document in one language."""
    return re.findall(rf"```{language}\n(.*?)```", (ROOT / document).read_text(), re.DOTALL)


def links(document: Path) -> list[str]:
    """Where a document's links and pictures lead within the repository, as they are written."""
    found = re.findall(r"\]\(([^()\s]+)\)", _prose(document))
    return [link for link in found if ":" not in link]


def anchors(document: Path) -> set[str]:
    """The anchors that GitHub gives a document's headings."""
    found: set[str] = set()
    seen: Counter[str] = Counter()
    for heading in re.findall(r"^#{1,6} (.+)$", _prose(document), re.MULTILINE):
        shown = re.sub(r"\]\([^()]*\)", "", heading.strip().lower())
        anchor = re.sub(r"[^\w -]", "", shown).replace(" ", "-")
        found.add(f"{anchor}-{seen[anchor]}" if seen[anchor] else anchor)
        seen[anchor] += 1
    return found


def _prose(document: Path) -> str:
    """A document without its blocks of code, which hold lines that only look like headings."""
    return re.sub(r"^```.*?^```", "", document.read_text(), flags=re.DOTALL | re.MULTILINE)

"""What the guides show."""

import re
from pathlib import Path

ROOT = Path(__file__).parent.parent


def snippets(document: str, language: str = "python") -> list[str]:
    """The code blocks of a document in one language."""
    return re.findall(rf"```{language}\n(.*?)```", (ROOT / document).read_text(), re.DOTALL)
